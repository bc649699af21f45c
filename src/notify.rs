//! Owns the calls to servers that are neither Kakao nor a store: back-channel logout at clients, and ourselves as seen from
//! outside. Stands on `domain`.

use std::time::Duration;

use reqwest::Client;

use crate::domain::LogoutToken;

/// Posts to the addresses that clients registered.
#[derive(Clone)]
pub(crate) struct Notifier(Client);

/// Why a client was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
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
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kakao-auth/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(http))
    }

    /// What an address answers to GET: the status, and up to 64 KiB of the body.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn get(&self, url: &str) -> Result<(u16, Vec<u8>), Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable(error.without_url());
        let mut reply = self.0.get(url).send().await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > 64 * 1024 {
                break;
            }
        }
        Ok((reply.status().as_u16(), body))
    }

    /// The status that an address answers to an empty form.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn post_nothing(&self, url: &str) -> Result<u16, Error> {
        let reply = self.0.post(url).form::<[(&str, &str); 0]>(&[]).send().await;
        Ok(reply.map_err(|error| Error::Unreachable(error.without_url()))?.status().as_u16())
    }

    /// Posts a logout token (OpenID Connect Back-Channel Logout §2.5).
    ///
    /// # Errors
    /// When the client was not told.
    pub(crate) async fn logged_out(&self, uri: &str, logout_token: &LogoutToken) -> Result<(), Error> {
        let form = [("logout_token", logout_token.reveal())];
        // The address is ours to know; errors leave it out, for it may hold a secret of the client's.
        let reply = self.0.post(uri).form(&form).send().await;
        let status = reply.map_err(|error| Error::Unreachable(error.without_url()))?.status().as_u16();
        if matches!(status, 200 | 204) { Ok(()) } else { Err(Error::Refused(status)) }
    }
}
