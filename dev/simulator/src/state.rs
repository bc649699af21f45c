//! What the simulator remembers, behind one short lock that is never held across an await.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use serde::Serialize;
use time::OffsetDateTime;

use crate::faults::{Endpoint, Fault};
use crate::keys::Key;
use crate::people::{Person, everybody};
use crate::{App, Autopilot};

/// Calls kept at most.
const MOST_CALLS: usize = 2_000;

/// Codes and tokens kept at most, so that a load test does not fill memory.
const MOST_TOKENS: usize = 200_000;

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The address in ID tokens and discovery, where it differs from the one it listens on.
    pub public_url: Option<String>,
    /// The app's keys. The defaults are stable, so that a restart changes no settings.
    pub app: App,
    /// Registered redirect URIs.
    pub redirect_uris: Vec<String>,
    /// How long a code lives. Kakao does not say; ten minutes is what others observed.
    pub code_ttl: Duration,
    /// Whether OpenID Connect is switched on in the "console".
    pub oidc: bool,
    /// Who logs in without a page.
    pub autopilot: Autopilot,
    /// The HTTP status of Kakao's own error page (unconfirmed at Kakao).
    pub error_page_status: u16,
}

impl Default for Options {
    fn default() -> Self {
        let key = |digit: &str| digit.repeat(8);
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            app: App {
                rest_api_key: key("51a0"),
                client_secret: "simulated-client-secret-0123456789".to_owned(),
                admin_key: key("ad31"),
                app_id: 123_456,
                native_app_key: key("0a71"),
                javascript_key: key("7a5c"),
            },
            redirect_uris: Vec::new(),
            code_ttl: Duration::from_mins(10),
            oidc: true,
            autopilot: Autopilot::Off,
            error_page_status: 400,
        }
    }
}

/// A call that arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: String,
    /// Query and form, in order, as received.
    pub parameters: Vec<(String, String)>,
    /// The scheme of the Authorization header, if there was one.
    pub authorization: Option<String>,
    /// Seconds since the epoch, by the simulator's clock.
    pub at: i64,
}

impl Call {
    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
pub(crate) struct IssuedCode {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) slug: String,
    pub(crate) id: i64,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) with_id_token: bool,
    pub(crate) expires_at: i64,
    pub(crate) auth_time: i64,
}

#[derive(Clone)]
pub(crate) struct IssuedToken {
    pub(crate) client_id: String,
    pub(crate) slug: String,
    pub(crate) id: i64,
    pub(crate) with_id_token: bool,
    pub(crate) expires_at: i64,
    pub(crate) auth_time: i64,
}

pub(crate) struct Inner {
    pub(crate) people: Vec<Person>,
    pub(crate) newest: i64,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) autopilot: Autopilot,
    pub(crate) oidc: bool,
    pub(crate) faults: Vec<Fault>,
    pub(crate) calls: VecDeque<Call>,
    pub(crate) log_calls: bool,
    pub(crate) codes: HashMap<String, IssuedCode>,
    pub(crate) access_tokens: HashMap<String, IssuedToken>,
    pub(crate) refresh_tokens: HashMap<String, IssuedToken>,
    /// Who has agreed before.
    pub(crate) agreed: HashSet<String>,
    /// Newest first: the first signs, all are published.
    pub(crate) keys: Vec<Key>,
}

impl Inner {
    pub(crate) fn rotate(&mut self, key: Key) {
        self.keys.insert(0, key);
        self.keys.truncate(2);
    }

    pub(crate) fn put_person(&mut self, person: Person) {
        match self.people.iter_mut().find(|known| known.slug == person.slug) {
            Some(known) => *known = person,
            None => self.people.push(person),
        }
    }

    /// The member number of a login: a new one each time for who is new each time.
    pub(crate) fn id_of(&mut self, person: &Person) -> i64 {
        if person.new_each_time {
            self.newest += 1;
            self.newest
        } else {
            person.id
        }
    }

    pub(crate) fn make_room(&mut self) {
        if self.codes.len() > MOST_TOKENS {
            self.codes.clear();
        }
        if self.access_tokens.len() > MOST_TOKENS {
            self.access_tokens.clear();
            self.refresh_tokens.clear();
        }
    }
}

pub(crate) struct State {
    pub(crate) app: App,
    pub(crate) base_url: String,
    pub(crate) code_ttl: Duration,
    pub(crate) error_page_status: u16,
    options: Options,
    clock_offset: AtomicI64,
    inner: Mutex<Inner>,
}

impl State {
    pub(crate) fn new(options: Options, base_url: String) -> Option<Self> {
        let keys = vec![Key::generate()?, Key::generate()?];
        Some(Self {
            app: options.app.clone(),
            base_url,
            code_ttl: options.code_ttl,
            error_page_status: options.error_page_status,
            clock_offset: AtomicI64::new(0),
            inner: Mutex::new(fresh(&options, options.redirect_uris.clone(), keys)),
            options,
        })
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn reset(&self) {
        self.clock_offset.store(0, Ordering::SeqCst);
        self.with(|inner| *inner = fresh(&self.options, inner.redirect_uris.clone(), inner.keys.clone()));
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock_offset.fetch_add(i64::try_from(by.as_secs()).unwrap_or(0), Ordering::SeqCst);
    }

    /// Seconds since the epoch, by the simulator's clock.
    #[expect(clippy::disallowed_methods, reason = "the simulator has a clock of its own, and this is it")]
    pub(crate) fn now(&self) -> i64 {
        OffsetDateTime::now_utc().unix_timestamp() + self.clock_offset.load(Ordering::SeqCst)
    }

    pub(crate) fn log(&self, request: &HttpRequest, endpoint: Endpoint, form: &[(String, String)]) {
        let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let call = Call {
            endpoint,
            method: request.method().to_string(),
            parameters: query(request).into_iter().chain(form.iter().cloned()).collect(),
            authorization: authorization.and_then(|text| text.split(' ').next()).map(str::to_owned),
            at: self.now(),
        };
        self.with(|inner| {
            if inner.log_calls {
                if inner.calls.len() >= MOST_CALLS {
                    inner.calls.pop_front();
                }
                inner.calls.push_back(call);
            }
        });
    }
}

fn fresh(options: &Options, redirect_uris: Vec<String>, keys: Vec<Key>) -> Inner {
    Inner {
        people: everybody(),
        newest: 5_000_000_000,
        redirect_uris,
        autopilot: options.autopilot.clone(),
        oidc: options.oidc,
        faults: Vec::new(),
        calls: VecDeque::new(),
        log_calls: true,
        codes: HashMap::new(),
        access_tokens: HashMap::new(),
        refresh_tokens: HashMap::new(),
        agreed: HashSet::new(),
        keys,
    }
}

/// The pairs of a query or form.
pub(crate) fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}

pub(crate) fn query(request: &HttpRequest) -> Vec<(String, String)> {
    pairs(request.query_string().as_bytes())
}

pub(crate) fn get<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}
