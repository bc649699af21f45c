//! Owns all that is known of Kakao: its addresses, its wire, its codes. Stands on `domain`; `reqwest` is at home here.
//!
//! [`wire`] builds requests and reads replies as plain values; [`codes`] is the table of what can go wrong, [`faults`] finds
//! the row; [`id_token`] verifies; this file puts them on the network, within a deadline and a size.

pub mod codes;
pub mod faults;
pub mod id_token;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use crate::domain::{Clock, Secret, Timestamp};
use codes::Counts;
pub use codes::{Actor, FaultKind, KnownFault};
pub use faults::{Code, Fault, callback_fault};
pub use id_token::IdToken;
pub use wire::{Authorize, Person, Tokens};

/// The largest reply that is read. Kakao's have a few kilobytes.
const LARGEST_REPLY: usize = 1024 * 1024;

/// How long to leave Kakao alone after it said that a quota is used up, when it does not say how long.
const BACK_OFF: Duration = Duration::from_secs(5);

/// What the settings say about our app at Kakao.
pub struct Config {
    /// REST API key.
    pub client_id: String,
    /// Its client secret, unless switched off.
    pub client_secret: Option<Secret>,
    /// The admin key.
    pub admin_key: Option<Secret>,
    /// The app's number.
    pub app_id: Option<i64>,
    /// Further keys of the app.
    pub app_keys: Vec<String>,
    /// Consent items to ask for.
    pub scopes: Vec<String>,
    /// `https://kauth.kakao.com`
    pub auth_base_url: Url,
    /// `https://kapi.kakao.com`
    pub api_base_url: Url,
    /// As registered at Kakao.
    pub redirect_uri: String,
    /// The logout redirect URI, as registered at Kakao.
    pub logout_redirect_uri: String,
    /// For one call in all.
    pub timeout: Duration,
}

/// A client of Kakao's APIs. Cheap to clone.
#[derive(Clone)]
pub struct Kakao(Arc<Inner>);

struct Inner {
    config: Config,
    http: Client,
    clock: Clock,
    id_tokens: id_token::Verifier,
    /// Until when calls fail at once, microseconds since the epoch: shared by all logins, so that a used-up quota is not
    /// hammered.
    rests_until: AtomicI64,
    faults: Counts,
}

impl Kakao {
    /// Makes the client.
    ///
    /// # Errors
    /// When the TLS set-up of this machine is unusable.
    pub fn new(config: Config, clock: Clock) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kakao-auth/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let issuer = config.auth_base_url.as_str().trim_end_matches('/').to_owned();
        let id_tokens = id_token::Verifier::new(issuer, config.client_id.clone());
        let (rests_until, faults) = (AtomicI64::new(0), Counts::new());
        Ok(Self(Arc::new(Inner { config, http, clock, id_tokens, rests_until, faults })))
    }

    /// How long one call may take in all.
    pub fn timeout(&self) -> Duration {
        self.0.config.timeout
    }

    /// Where to send a person to log in.
    pub fn authorize_url(&self, ask: &Authorize<'_>) -> String {
        wire::authorize_url(&self.0.config, ask)
    }

    /// Where to send a person to end the Kakao account's own session in this browser (`GET /oauth/logout` of kauth).
    pub fn logout_url(&self, state: Option<&str>) -> String {
        wire::logout_url(&self.0.config, state)
    }

    /// Exchanges Kakao's code for tokens (`POST /oauth/token`).
    ///
    /// # Errors
    /// Every code of Kakao, sorted.
    pub async fn exchange_code(&self, code: &Secret, verifier: &Secret) -> Result<Tokens, Fault> {
        let form = wire::code_form(&self.0.config, code, verifier);
        let call = async {
            let url = self.auth("/oauth/token")?;
            let (status, body) = self.send(self.0.http.post(url).form(&form)).await?;
            wire::read_tokens(status, &body)
        };
        call.await.map_err(|fault| self.noted(fault))
    }

    /// Reads the person of an access token (`GET /v2/user/me`).
    ///
    /// # Errors
    /// Every code of Kakao, sorted.
    pub async fn me(&self, access_token: &Secret) -> Result<Person, Fault> {
        let call = async {
            let url = self.api("/v2/user/me")?;
            let request = self.0.http.get(url).query(&[("secure_resource", "true")]);
            let (status, body) = self.send(request.bearer_auth(access_token.reveal())).await?;
            wire::read_person(status, &body)
        };
        call.await.map_err(|fault| self.noted(fault))
    }

    /// Verifies Kakao's ID token of a login that we began with this nonce.
    ///
    /// # Errors
    /// [`FaultKind::KakaoBroken`] for a token that is not what Kakao would send us; [`FaultKind::TryLater`] when its keys
    /// cannot be had.
    pub async fn verify_id_token(&self, token: &Secret, nonce: &str) -> Result<IdToken, Fault> {
        let now = self.0.clock.now();
        let verified = self.0.id_tokens.verify(token, nonce, now, || self.jwks()).await;
        verified.map_err(|fault| self.noted(fault))
    }

    async fn jwks(&self) -> Result<Vec<u8>, Fault> {
        let url = self.auth("/.well-known/jwks.json")?;
        let (status, body) = self.send(self.0.http.get(url)).await?;
        if status == 200 { Ok(body) } else { Err(Fault::unreadable(status, "the JWKS")) }
    }

    fn auth(&self, path: &str) -> Result<Url, Fault> {
        join(&self.0.config.auth_base_url, path)
    }

    fn api(&self, path: &str) -> Result<Url, Fault> {
        join(&self.0.config.api_base_url, path)
    }

    /// Sends a request and reads the whole reply, or fails.
    async fn send(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), Fault> {
        let left =
            Timestamp::from_micros(self.0.rests_until.load(Ordering::Relaxed)).since(self.0.clock.now());
        if !left.is_zero() {
            return Err(Fault::resting(left));
        }
        let mut response = request.send().await.map_err(|error| Fault::network(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Fault::unreadable(status.as_u16(), "a redirect, which is not followed"));
        }
        let html = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.to_str().is_ok_and(|text| text.starts_with("text/html")));
        if html && status == StatusCode::OK {
            return Err(Fault::unreadable(status.as_u16(), "an HTML page"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Fault::network(&error))? {
            if body.len() + chunk.len() > LARGEST_REPLY {
                return Err(Fault::unreadable(status.as_u16(), "a reply of more than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status.as_u16(), body))
    }

    /// Counts a fault. Those with which a call ends are counted already: this is for one that a redirect brings, or that
    /// shows only when several calls are taken together.
    pub fn count(&self, fault: &Fault) {
        self.0.faults.add(fault.known);
    }

    /// The faults that were met since the start, and how often.
    pub fn faults_met(&self) -> impl Iterator<Item = (&'static KnownFault, u64)> {
        self.0.faults.met()
    }

    /// Every call ends here when it fails: the fault is counted, and a used-up quota remembered for everybody.
    fn noted(&self, fault: Fault) -> Fault {
        self.count(&fault);
        if fault.is_quota() {
            let until = self.0.clock.now() + fault.retry_after.unwrap_or(BACK_OFF);
            self.0.rests_until.fetch_max(until.micros(), Ordering::Relaxed);
        }
        fault
    }
}

fn join(base: &Url, path: &str) -> Result<Url, Fault> {
    base.join(path).map_err(|_| Fault::setup("kakao.auth_base_url or kakao.api_base_url is not usable"))
}
