//! Owns the calls to clients' own servers: back-channel logout. Stands on `domain`.

use std::time::Duration;

use reqwest::Client;

use crate::domain::Secret;

/// Posts to the addresses that clients registered.
#[derive(Clone)]
pub struct Notifier(Client);

/// Why a client was not told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, or does not answer in time.
    #[error("the client cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It answered something else than 200 or 204.
    #[error("the client answered {0}")]
    Refused(u16),
}

impl Notifier {
    /// Makes one: 2 seconds to connect, 5 in all, no redirects.
    ///
    /// # Errors
    /// When the TLS set-up of this machine is unusable.
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kakao-auth/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(http))
    }

    /// Posts a logout token (OpenID Connect Back-Channel Logout §2.5).
    ///
    /// # Errors
    /// When the client was not told.
    pub async fn logged_out(&self, uri: &str, logout_token: &Secret) -> Result<(), Error> {
        let form = [("logout_token", logout_token.reveal())];
        // The address is ours to know; errors leave it out, for it may hold a secret of the client's.
        let reply = self.0.post(uri).form(&form).send().await;
        let status = reply.map_err(|error| Error::Unreachable(error.without_url()))?.status().as_u16();
        if matches!(status, 200 | 204) { Ok(()) } else { Err(Error::Refused(status)) }
    }
}
