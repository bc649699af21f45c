//! A fake Kakao: the wire of kauth.kakao.com and kapi.kakao.com on one address, for development and tests.
//!
//! Strict where Kakao is strict. It shares no type with any service that talks to it, so the two can disagree.
//! [`Simulator`] is the door for tests; everything it can do stands under `/simulator/…` over HTTP too ([`control`]).

pub mod control;
pub mod faults;
pub mod people;

mod api;
mod authorize;
mod keys;
mod state;
mod token;
mod user;
mod webhooks;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix_web::dev::{ServerHandle, Service};
use actix_web::http::header::{DATE, HttpDate, TryIntoHeaderValue};
use actix_web::{App as Actix, HttpServer, web};

pub use faults::{Effect, Endpoint, Fault, Forgery};
pub use people::{Email, Person};
use state::State;
pub use state::{Call, Happening, Options, SetAudience, Term, Unconfirmed, UnlinkMethod, Webhooks};
pub use token::SdkTokens;
pub use webhooks::{Delivery, Event, KINDS, SetForgery, USER_UNLINKED};

/// The keys of the simulated Kakao app.
#[derive(Clone, Debug, serde::Serialize)]
#[expect(clippy::struct_field_names, reason = "Kakao's word")]
pub struct App {
    /// `client_id` of web logins.
    pub rest_api_key: String,
    /// Its client secret.
    pub client_secret: String,
    /// For server calls.
    pub admin_key: String,
    /// The app's number.
    pub app_id: i64,
    /// `client_id` of Kakao's mobile SDKs.
    pub native_app_key: String,
    /// `client_id` of Kakao's JavaScript SDK.
    pub javascript_key: String,
}

/// Who logs in when nobody is there to pick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Autopilot {
    /// Nobody: the page is shown.
    Off,
    /// This person, at once.
    Person(String),
    /// The person presses cancel, at once.
    Cancel,
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("the address cannot be used")]
    Bind(#[from] std::io::Error),
    /// No signing key could be made.
    #[error("a signing key could not be made")]
    Keys,
}

/// A running simulator. Dropping it stops it.
pub struct Simulator {
    state: Arc<State>,
    address: SocketAddr,
    base_url: String,
    server: Option<ServerHandle>,
}

impl Simulator {
    /// Starts a simulator on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listener = TcpListener::bind(options.bind)?;
        let address = listener.local_addr()?;
        let base_url = options.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let state = Arc::new(State::new(options, base_url.clone()).ok_or(StartError::Keys)?);
        let shared = Arc::clone(&state);
        let (send, receive) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let clock = Arc::clone(&shared);
                    Actix::new()
                        .app_data(web::Data::from(Arc::clone(&shared)))
                        .configure(routes)
                        // The date is Kakao's, not this machine's.
                        .wrap_fn(move |request, service| {
                            let (clock, reply) = (Arc::clone(&clock), service.call(request));
                            async move {
                                let mut reply = reply.await?;
                                let date = HttpDate::from(
                                    UNIX_EPOCH + Duration::from_secs(clock.now().unsigned_abs()),
                                );
                                if let Ok(date) = date.try_into_value() {
                                    reply.headers_mut().insert(DATE, date);
                                }
                                Ok(reply)
                            }
                        })
                })
                .workers(2)
                .disable_signals()
                .shutdown_timeout(1)
                .listen(listener);
                match server {
                    Ok(server) => {
                        let running = server.run();
                        let _ = send.send(Ok(running.handle()));
                        if let Err(error) = running.await {
                            tracing::error!(%error, "the simulator ended");
                        }
                    }
                    Err(error) => drop(send.send(Err(error))),
                }
            });
        });
        let server = receive.await.map_err(|_| std::io::Error::other("the simulator's thread ended"))??;
        Ok(Self { state, address, base_url, server: Some(server) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of both kauth and kapi, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The app's keys.
    pub fn app(&self) -> App {
        self.state.app.clone()
    }

    /// Registers a redirect URI for the REST API key.
    pub fn register_redirect_uri(&self, uri: &str) {
        self.state.with(|inner| inner.redirect_uris.push(uri.to_owned()));
    }

    /// Says who logs in without a page.
    pub fn autopilot(&self, autopilot: Autopilot) {
        self.state.with(|inner| inner.autopilot = autopilot);
    }

    /// Everybody there is.
    pub fn people(&self) -> Vec<Person> {
        self.state.with(|inner| inner.people.clone())
    }

    /// The person of this slug.
    pub fn person(&self, slug: &str) -> Option<Person> {
        self.state.with(|inner| inner.people.iter().find(|person| person.slug == slug).cloned())
    }

    /// Adds a person, or replaces the one of the same slug.
    pub fn put_person(&self, person: Person) {
        self.state.with(|inner| inner.put_person(person));
    }

    /// Scripts a fault.
    pub fn fault(&self, fault: Fault) {
        self.state.with(|inner| inner.faults.push(fault));
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.state.with(|inner| inner.faults.clear());
    }

    /// The calls that arrived, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.state.with(|inner| inner.calls.iter().cloned().collect())
    }

    /// How many calls an endpoint had.
    pub fn calls_to(&self, endpoint: Endpoint) -> usize {
        self.state.with(|inner| inner.calls.iter().filter(|call| call.endpoint == endpoint).count())
    }

    /// Forgets the calls.
    pub fn clear_calls(&self) {
        self.state.with(|inner| inner.calls.clear());
    }

    /// Switches the call log off for load tests, and on again.
    pub fn log_calls(&self, on: bool) {
        self.state.with(|inner| inner.log_calls = on);
    }

    /// Switches OpenID Connect on or off in the "console".
    pub fn set_oidc(&self, on: bool) {
        self.state.with(|inner| inner.oidc = on);
    }

    /// Where webhooks go.
    pub fn set_webhooks(&self, webhooks: Webhooks) {
        self.state.with(|inner| inner.webhooks = webhooks);
    }

    /// What Kakao's documentation leaves open.
    pub fn set_unconfirmed(&self, unconfirmed: Unconfirmed) {
        self.state.with(|inner| inner.unconfirmed = unconfirmed);
    }

    /// Whether Kakao's limits per person hold.
    pub fn set_token_limits(&self, on: bool) {
        self.state.with(|inner| inner.token_limits = on);
    }

    /// Switches Kakao Login on or off in the "console" (KOE004).
    pub fn set_login_enabled(&self, on: bool) {
        self.state.with(|inner| inner.login_enabled = on);
    }

    /// Switches the client secret on or off in the "console".
    pub fn set_client_secret_required(&self, on: bool) {
        self.state.with(|inner| inner.secret_required = on);
    }

    /// Switches a consent item on or off in the "console" (KOE205).
    pub fn set_consent_item(&self, item: &str, on: bool) {
        self.state.with(|inner| {
            if on { inner.consent_items.insert(item.to_owned()) } else { inner.consent_items.remove(item) }
        });
    }

    /// The terms of Kakao Sync in the "console".
    pub fn set_terms(&self, terms: Vec<Term>) {
        self.state.with(|inner| inner.terms = terms);
    }

    /// The registered redirect URIs, all of them.
    pub fn set_redirect_uris(&self, uris: Vec<String>) {
        self.state.with(|inner| inner.redirect_uris = uris);
    }

    /// Whether the admin key may use an API (−3).
    pub fn allow_admin(&self, endpoint: Endpoint, allowed: bool) {
        self.state.with(|inner| {
            if allowed { inner.admin_denied.remove(&endpoint) } else { inner.admin_denied.insert(endpoint) }
        });
    }

    /// The person removes the app in Kakao's settings: tokens die, and both webhooks that are registered are called.
    pub async fn unlink(&self, id: i64, referrer_type: &str) -> Vec<Delivery> {
        webhooks::unlink_in_settings(&self.state, id, referrer_type).await
    }

    /// Calls the unlink webhook and changes nothing else; `None` if none is registered.
    pub async fn fire_unlink(&self, id: i64, referrer_type: &str) -> Option<Delivery> {
        webhooks::fire_unlink(&self.state, id, referrer_type).await
    }

    /// Calls the account status change webhook; `None` if none is registered.
    pub async fn fire_event(&self, event: &Event) -> Option<Delivery> {
        webhooks::fire_event(&self.state, event).await
    }

    /// The security event token of an event, not sent.
    pub fn sign_event(&self, event: &Event) -> String {
        webhooks::sign(&self.state, event)
    }

    /// The webhook calls so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.with(|inner| inner.deliveries.clone())
    }

    /// Whether this member number is linked to the app.
    pub fn is_linked(&self, id: i64) -> bool {
        self.state.with(|inner| inner.links.contains_key(&id))
    }

    /// The person takes consent back.
    pub fn withdraw_consent(&self, id: i64, items: &[&str]) {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        let now = self.state.now();
        self.state.with(|inner| user::withdraw(inner, id, &items, now));
    }

    /// The person agrees to terms of Kakao Sync.
    pub fn agree_terms(&self, id: i64, tags: &[&str]) {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let now = self.state.now();
        self.state.with(|inner| user::agree(inner, id, &tags, now, "KAUTH"));
    }

    /// All tokens of a person die.
    pub fn revoke_tokens(&self, id: i64) {
        self.state.with(|inner| inner.revoke(id, true));
    }

    /// The access tokens of a person die.
    pub fn revoke_access_tokens(&self, id: i64) {
        self.state.with(|inner| inner.revoke(id, false));
    }

    /// The tokens that Kakao's mobile SDK has after a login of this person, with this app key; the nonce goes into the ID token
    /// as it is.
    pub fn sdk_login(
        &self,
        slug: &str,
        client_id: &str,
        nonce: Option<&str>,
        forgery: Option<Forgery>,
    ) -> SdkTokens {
        token::sdk_login(&self.state, slug, client_id, nonce, forgery)
    }

    /// Sets the simulator's clock so many seconds off the machine's, forwards or backwards.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.set_offset(seconds);
    }

    /// Moves the simulator's clock forward.
    pub fn advance_clock(&self, by: Duration) {
        self.state.advance(by);
    }

    /// Replaces the key that signs ID tokens; the one before stays in the JWKS.
    pub fn rotate_keys(&self) {
        if let Some(key) = keys::Key::generate() {
            self.state.with(|inner| inner.rotate(key));
        }
    }

    /// Back to the beginning: people, faults, calls, sessions, tokens, clock. The redirect URIs stay.
    pub fn reset(&self) {
        self.state.reset();
    }

    /// Stops it and waits until it has.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop(false).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // The command is sent when `stop` is called; nobody needs to wait for it.
            drop(server.stop(false));
        }
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/oauth/authorize", web::get().to(authorize::get))
        .route("/oauth/authorize", web::post().to(authorize::choose))
        .route("/oauth/logout", web::get().to(authorize::log_out))
        .route("/oauth/token", web::post().to(token::post))
        .route("/oauth/tokeninfo", web::post().to(token::info))
        .route("/v2/user/me", web::get().to(api::me))
        .route("/v2/user/me", web::post().to(api::me))
        .route("/v1/user/access_token_info", web::get().to(api::access_token_info))
        .route("/v1/user/unlink", web::post().to(user::unlink))
        .route("/v1/user/logout", web::post().to(user::logout))
        .route("/v2/user/scopes", web::get().to(user::scopes))
        .route("/v2/user/revoke/scopes", web::post().to(user::revoke_scopes))
        .route("/v2/user/service_terms", web::get().to(user::service_terms))
        .route("/v2/user/revoke/service_terms", web::post().to(user::revoke_service_terms))
        .route("/v2/user/upgrade/service_terms", web::post().to(user::upgrade_service_terms))
        .route("/v1/user/ids", web::get().to(user::ids))
        .route("/v2/app/users", web::get().to(user::app_users))
        .route("/.well-known/ssf-configuration", web::get().to(api::ssf_configuration))
        .route("/.well-known/sse-configuration", web::get().to(api::ssf_configuration))
        .route("/v1/oidc/userinfo", web::get().to(api::userinfo))
        .route("/.well-known/jwks.json", web::get().to(api::jwks))
        .route("/.well-known/openid-configuration", web::get().to(api::discovery))
        .configure(control::routes);
}
