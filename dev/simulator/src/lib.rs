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

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App as Actix, HttpServer, dev::ServerHandle, web};

pub use faults::{Effect, Endpoint, Fault, Forgery};
pub use people::{Email, Person};
use state::State;
pub use state::{Call, Options};

/// The keys of the simulated Kakao app.
#[derive(Clone, Debug, serde::Serialize)]
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
                    Actix::new().app_data(web::Data::from(Arc::clone(&shared))).configure(routes)
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
        .route("/v1/oidc/userinfo", web::get().to(api::userinfo))
        .route("/.well-known/jwks.json", web::get().to(api::jwks))
        .route("/.well-known/openid-configuration", web::get().to(api::discovery))
        .configure(control::routes);
}
