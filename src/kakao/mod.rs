//! Owns all that is known of Kakao: its addresses, its wire, its codes. Stands on `domain`; `reqwest` is at home here.
//!
//! [`wire`] builds requests and reads replies as plain values; [`codes`] is the table of what can go wrong, [`faults`] finds
//! the row; [`id_token`] and [`security_event`] verify; this file puts them on the network, within a deadline and a size.

pub(crate) mod codes;
pub(crate) mod faults;
pub(crate) mod id_token;
mod jwks;
pub(crate) mod probe;
pub(crate) mod security_event;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Request, RequestBuilder, StatusCode};
use tracing::{error, info, warn};
use url::Url;

use crate::domain::{
    Clock, KakaoAccessToken, KakaoApp, KakaoCode, KakaoId, KakaoIdToken, KakaoRefreshToken, ServiceTerm,
    Timestamp, Verifier,
};
pub use codes::{Actor, FaultKind, KnownFault};
pub(crate) use faults::{Fault, callback_fault};
pub(crate) use id_token::IdToken;
use jwks::{Jwks, Kind, Unverified};
pub(crate) use security_event::{EventRefused, SecurityEvents};
pub(crate) use wire::{Authorize, Person, TokenInfo, Tokens};

/// The largest reply that is read. Kakao's have a few kilobytes.
const LARGEST_REPLY: usize = 1024 * 1024;

/// The longest wait that Kakao may ask for: an answer that came wrong must not stop logins for a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// How long to leave Kakao alone after it said that a quota is used up, when it does not say how long.
const BACK_OFF: Duration = Duration::from_secs(5);

/// Faults at Kakao that this process met.
const FAULTS: &str = "kakao_auth_kakao_faults_total";

/// Says what the counters of this room mean.
pub(crate) fn describe_metrics() {
    describe_counter!(FAULTS, "faults at Kakao that this process met, by id and by who must act");
}

/// A client of Kakao's APIs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Kakao(Arc<Inner>);

struct Inner {
    app: KakaoApp,
    http: Client,
    clock: Clock,
    issuer: String,
    jwks: Jwks,
    /// Until when calls of an API fail at once, by its path: shared by all, so that a used-up quota is not hammered.
    resting: Mutex<BTreeMap<String, Timestamp>>,
}

impl Kakao {
    /// Makes the client.
    ///
    /// # Errors
    /// When the TLS set-up of this machine is unusable.
    pub(crate) fn new(app: KakaoApp, clock: Clock) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(app.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kakao-auth/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let issuer = app.auth_base_url.as_str().trim_end_matches('/').to_owned();
        let jwks = Jwks::default();
        Ok(Self(Arc::new(Inner { app, http, clock, issuer, jwks, resting: Mutex::default() })))
    }

    /// How long one call may take in all.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.app.timeout
    }

    /// A client of the same app that asks for other consent items. Its back-off and Kakao's keys are its own: it is for a
    /// probe beside the service, whose outcome must not stop logins.
    #[must_use]
    pub(crate) fn with_scopes(&self, scopes: &[String]) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            app: KakaoApp { scopes: scopes.to_vec(), ..inner.app.clone() },
            http: inner.http.clone(),
            clock: inner.clock.clone(),
            issuer: inner.issuer.clone(),
            jwks: Jwks::default(),
            resting: Mutex::default(),
        }))
    }

    /// The scheme of Kakao's pages.
    pub(crate) fn page_scheme(&self) -> &str {
        self.0.app.auth_base_url.scheme()
    }

    /// Where to send a person to log in.
    pub(crate) fn authorize_url(&self, request: &Authorize<'_>) -> String {
        wire::authorize_url(&self.0.app, request)
    }

    /// Where to send a person to end the Kakao account's own session in this browser (`GET /oauth/logout` of kauth).
    pub(crate) fn logout_url(&self, state: Option<&str>) -> String {
        wire::logout_url(&self.0.app, state)
    }

    /// Exchanges Kakao's code for tokens (`POST /oauth/token`).
    ///
    /// # Errors
    /// What Kakao answered instead, as a row of [`codes`].
    pub(crate) async fn exchange_code(&self, code: &KakaoCode, verifier: &Verifier) -> Result<Tokens, Fault> {
        let form = wire::code_form(&self.0.app, code, verifier);
        let url = self.auth("/oauth/token")?;
        // Anybody can come back from Kakao with a code of their own making.
        self.call_for(self.0.http.post(url).form(&form), wire::read_tokens, false).await
    }

    /// Reads the person of an access token (`GET /v2/user/me`).
    ///
    /// # Errors
    /// What Kakao answered instead, as a row of [`codes`].
    pub(crate) async fn me(&self, access_token: &KakaoAccessToken) -> Result<Person, Fault> {
        let url = self.api("/v2/user/me")?;
        let request = self.0.http.get(url).query(&[("secure_resource", "true")]);
        self.call(request.bearer_auth(access_token.reveal()), wire::read_person).await
    }

    /// Verifies Kakao's ID token of a login that we began with this nonce.
    ///
    /// # Errors
    /// [`FaultKind::KakaoBroken`] for a token that is not what Kakao would send us; [`FaultKind::TryLater`] when its keys
    /// cannot be had.
    pub(crate) async fn verify_id_token(&self, token: &KakaoIdToken, nonce: &str) -> Result<IdToken, Fault> {
        let id_token = self.read_id_token(token).await?;
        id_token.of_login(&self.0.app.client_id, nonce).map_err(|fault| Self::record("id_token", fault))?;
        Ok(id_token)
    }

    /// Verifies Kakao's ID token of a login that an app began: signature, issuer, time. Its audience and nonce are for the
    /// caller to judge.
    ///
    /// # Errors
    /// As for [`Kakao::verify_id_token`].
    pub(crate) async fn read_id_token(&self, token: &KakaoIdToken) -> Result<IdToken, Fault> {
        let now = self.0.clock.now();
        let claims = self.0.jwks.verify(Kind::IdToken, token.reveal(), &self.0.clock, || self.jwks()).await;
        let id_token =
            claims.map_err(Fault::from).and_then(|claims| IdToken::check(claims, &self.0.issuer, now));
        id_token.map_err(|fault| Self::record("id_token", fault))
    }

    /// Verifies a security event token of the account status change webhook (RFC 8417).
    ///
    /// # Errors
    /// What is wrong with it, or that Kakao's keys cannot be had.
    pub(crate) async fn read_security_events(&self, token: &str) -> Result<SecurityEvents, EventRefused> {
        let claims = self.0.jwks.verify(Kind::SecurityEvent, token, &self.0.clock, || self.jwks()).await;
        let claims = claims.map_err(|unverified| match unverified {
            Unverified::Later(fault) => Unverified::Later(Self::record("security event", fault)),
            other => other,
        })?;
        let number = self.0.app.app_id.map(|id| id.to_string());
        let mut audiences = self.app_keys();
        audiences.extend(number.as_deref());
        SecurityEvents::check(claims, &self.0.issuer, &audiences)
    }

    /// All keys of the app whose tokens are ours: the REST API key first.
    pub(crate) fn app_keys(&self) -> Vec<&str> {
        let app = &self.0.app;
        std::iter::once(&app.client_id).chain(&app.app_keys).map(String::as_str).collect()
    }

    /// The app's number, if the settings know it.
    pub(crate) fn app_id(&self) -> Option<i64> {
        self.0.app.app_id
    }

    /// Whether the settings hold an admin key.
    pub(crate) fn has_admin_key(&self) -> bool {
        self.0.app.admin_key.is_some()
    }

    /// Whether this is `KakaoAK` and our admin key, in time that does not tell how much of it fits.
    pub(crate) fn is_admin_key(&self, authorization: &str) -> bool {
        let Some((scheme, key)) = authorization.split_once(' ') else { return false };
        let Some(ours) = &self.0.app.admin_key else { return false };
        scheme.eq_ignore_ascii_case("KakaoAK") && ours.matches(key.trim())
    }

    /// Refreshes Kakao's tokens (`POST /oauth/token`). A new refresh token comes only when the old one has less than a month.
    ///
    /// # Errors
    /// What Kakao answered instead, as a row of [`codes`].
    pub(crate) async fn refresh(&self, refresh_token: &KakaoRefreshToken) -> Result<Tokens, Fault> {
        let form = wire::refresh_form(&self.0.app, refresh_token);
        let url = self.auth("/oauth/token")?;
        self.call(self.0.http.post(url).form(&form), wire::read_tokens).await
    }

    /// Whose and of which app an access token is (`GET /v1/user/access_token_info`).
    ///
    /// # Errors
    /// What Kakao answered instead, as a row of [`codes`].
    pub(crate) async fn token_info(&self, access_token: &KakaoAccessToken) -> Result<TokenInfo, Fault> {
        let url = self.api("/v1/user/access_token_info")?;
        // Whoever handed the token in has proven nothing: what Kakao says of it makes nobody else wait.
        let request = self.0.http.get(url).bearer_auth(access_token.reveal());
        self.call_for(request, wire::read_token_info, false).await
    }

    /// Reads a person by the admin key (`GET /v2/user/me`).
    ///
    /// # Errors
    /// What Kakao answered instead; [`FaultKind::SetupWrong`] without an admin key.
    pub(crate) async fn me_by_admin(&self, user: KakaoId) -> Result<Person, Fault> {
        let url = self.api("/v2/user/me")?;
        let request = self
            .by_admin(self.0.http.get(url))?
            .query(&wire::target(user))
            .query(&[("secure_resource", "true")]);
        self.call(request, wire::read_person).await
    }

    /// Which consent items the person of an access token has agreed to (`GET /v2/user/scopes`).
    ///
    /// # Errors
    /// What Kakao answered instead, as a row of [`codes`].
    pub(crate) async fn scopes(&self, access_token: &KakaoAccessToken) -> Result<Vec<String>, Fault> {
        let url = self.api("/v2/user/scopes")?;
        self.call(self.0.http.get(url).bearer_auth(access_token.reveal()), wire::read_scopes).await
    }

    /// The same by the admin key.
    ///
    /// # Errors
    /// What Kakao answered instead; [`FaultKind::SetupWrong`] without an admin key.
    pub(crate) async fn scopes_by_admin(&self, user: KakaoId) -> Result<Vec<String>, Fault> {
        let url = self.api("/v2/user/scopes")?;
        let request = self.by_admin(self.0.http.get(url))?.query(&wire::target(user));
        self.call(request, wire::read_scopes).await
    }

    /// Which terms of Kakao Sync the person of an access token has agreed to (`GET /v2/user/service_terms`).
    ///
    /// # Errors
    /// What Kakao answered instead, as a row of [`codes`].
    pub(crate) async fn service_terms(
        &self,
        access_token: &KakaoAccessToken,
    ) -> Result<Vec<ServiceTerm>, Fault> {
        let url = self.api("/v2/user/service_terms")?;
        let request =
            self.0.http.get(url).query(&[("result", "app_service_terms")]).bearer_auth(access_token.reveal());
        self.call(request, wire::read_service_terms).await
    }

    /// Unlinks the person of an access token from the app (`POST /v1/user/unlink`).
    ///
    /// # Errors
    /// What Kakao answered instead; −101 means that there is nothing left to do.
    pub(crate) async fn unlink(&self, access_token: &KakaoAccessToken) -> Result<(), Fault> {
        let url = self.api("/v1/user/unlink")?;
        self.call(self.0.http.post(url).bearer_auth(access_token.reveal()), wire::read_done).await
    }

    /// Unlinks a person from the app by the admin key.
    ///
    /// # Errors
    /// As for [`Kakao::unlink`]; [`FaultKind::SetupWrong`] without an admin key.
    pub(crate) async fn unlink_by_admin(&self, user: KakaoId) -> Result<(), Fault> {
        let url = self.api("/v1/user/unlink")?;
        let request = self.by_admin(self.0.http.post(url))?.form(&wire::target(user));
        self.call(request, wire::read_done).await
    }

    fn by_admin(&self, request: RequestBuilder) -> Result<RequestBuilder, Fault> {
        let Some(key) = &self.0.app.admin_key else {
            return Err(Fault::setup("kakao.admin_key is not set"));
        };
        let mut value = HeaderValue::try_from(format!("KakaoAK {}", key.reveal()))
            .map_err(|_| Fault::setup("kakao.admin_key has characters that no header can carry"))?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    async fn jwks(&self) -> Result<Vec<u8>, Fault> {
        let url = self.auth("/.well-known/jwks.json")?;
        let Reply { status, body, .. } = self.send(Request::new(Method::GET, url)).await?;
        if status == 200 { Ok(body) } else { Err(Fault::unreadable(status, "the JWKS")) }
    }

    fn auth(&self, path: &str) -> Result<Url, Fault> {
        join(&self.0.app.auth_base_url, path)
    }

    fn api(&self, path: &str) -> Result<Url, Fault> {
        join(&self.0.app.api_base_url, path)
    }

    /// Sends a request and reads the reply; a fault is recorded. A used-up quota has this API rest.
    async fn call<T>(
        &self,
        request: RequestBuilder,
        read: fn(u16, &[u8]) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.call_for(request, read, true).await
    }

    /// The same, where the API rests only if somebody asked who is `known`: by a token that Kakao gave us, or for a client.
    async fn call_for<T>(
        &self,
        request: RequestBuilder,
        read: fn(u16, &[u8]) -> Result<T, Fault>,
        known: bool,
    ) -> Result<T, Fault> {
        let request = request.build().map_err(|error| Self::record("a request", Fault::network(&error)))?;
        let path = request.url().path().to_owned();
        let reply = self.send(request).await.and_then(|Reply { status, body, retry_after }| {
            read(status, &body)
                .map_err(|fault| Fault { retry_after: fault.retry_after.or(retry_after), ..fault })
        });
        reply.map_err(|fault| {
            if fault.is_quota() && known {
                self.have_rest(&path, fault.retry_after.unwrap_or(BACK_OFF));
            }
            Self::record(&path, fault)
        })
    }

    /// Sends a request and reads the whole reply, or fails.
    async fn send(&self, request: Request) -> Result<Reply, Fault> {
        if let Some(left) = self.rests(request.url().path()) {
            return Err(Fault::backing_off(left));
        }
        let mut response = self.0.http.execute(request).await.map_err(|error| Fault::network(&error))?;
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
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Fault::network(&error))? {
            if body.len() + chunk.len() > LARGEST_REPLY {
                return Err(Fault::unreadable(status.as_u16(), "a reply of more than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status: status.as_u16(), body, retry_after })
    }

    /// How long this API is still left alone, if it is.
    fn rests(&self, path: &str) -> Option<Duration> {
        let resting = self.0.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let left = resting.get(path)?.since(self.0.clock.now());
        (!left.is_zero()).then_some(left)
    }

    /// A used-up quota is left alone by everybody. There are as many entries as paths that this file calls.
    fn have_rest(&self, path: &str, length: Duration) {
        let until = self.0.clock.now() + length;
        let mut resting = self.0.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = resting.entry(path.to_owned()).or_insert(until);
        *entry = until.max(*entry);
    }

    /// Counts and logs a fault, once, where it is met. The calls of this client record their own; whoever finds one in a
    /// redirect, or by taking several calls together, records it here. `during` says where: a path of Kakao's, or a word.
    pub(crate) fn record(during: &str, fault: Fault) -> Fault {
        counter!(FAULTS, "id" => fault.id(), "actor" => fault.actor().name()).increment(1);
        let (id, actor, kind, cause) = (fault.id(), fault.actor().name(), fault.kind(), fault.cause);
        let code = fault.code.as_ref().map(ToString::to_string).unwrap_or_default();
        match kind {
            FaultKind::Cancelled | FaultKind::UnderAge | FaultKind::PersonRefused | FaultKind::StartAgain => {
                info!(target: "kakao_auth::sampled", id, actor, code, cause, during, "Kakao refused");
            }
            FaultKind::TryLater | FaultKind::KakaoBroken => {
                warn!(id, actor, code, cause, during, "Kakao failed");
            }
            // The operator may want it so: what the admin key may not do is done with the person's token.
            FaultKind::SetupWrong if fault.is_not_allowed() => {
                warn!(id, actor, code, cause, during, "Kakao does not allow this call");
            }
            FaultKind::SetupWrong => {
                error!(id, actor, code, cause, during, "the Kakao app is not set up correctly");
            }
        }
        fault
    }
}

/// A reply of Kakao's, whole.
struct Reply {
    status: u16,
    body: Vec<u8>,
    /// `Retry-After` (RFC 9110 §10.2.3), where it is a number of seconds.
    retry_after: Option<Duration>,
}

fn join(base: &Url, path: &str) -> Result<Url, Fault> {
    base.join(path).map_err(|_| Fault::setup("kakao.auth_base_url or kakao.api_base_url is not usable"))
}
