//! What the simulator remembers, behind one short lock that is never held across an await.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::faults::{Endpoint, Fault};
use crate::keys::Key;
use crate::people::{Person, everybody};
use crate::webhooks::Delivery;
use crate::{App, Autopilot};

/// Calls kept at most.
const MOST_CALLS: usize = 2_000;

/// Consent items that are switched on in the "console" at the start.
const CONSENT_ITEMS: [&str; 11] = [
    "profile_nickname",
    "profile_image",
    "account_email",
    "name",
    "gender",
    "age_range",
    "birthday",
    "birthyear",
    "phone_number",
    "talk_message",
    "friends",
];

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
    /// Whether Kakao's limits per person hold: 20 access tokens in ten minutes, 30 refresh tokens in an hour. Off in a library
    /// whose tests log one person in often.
    pub token_limits: bool,
    /// Where webhooks go.
    pub webhooks: Webhooks,
    /// What Kakao's documentation leaves open.
    pub unconfirmed: Unconfirmed,
}

/// How the unlink webhook is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlinkMethod {
    /// With a query.
    Get,
    /// With a form.
    #[default]
    Post,
}

/// The webhooks that are registered in the "console".
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhooks {
    /// Unlink webhook.
    pub unlink_url: Option<String>,
    /// Its method.
    pub unlink_method: UnlinkMethod,
    /// Account status change webhook.
    pub account_status_url: Option<String>,
    /// How often a call is repeated that was not answered as it should be.
    pub retries: u32,
}

/// `aud` of a security event token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAudience {
    /// The REST API key.
    #[default]
    RestApiKey,
    /// The app's number.
    AppId,
}

/// What Kakao's documentation leaves open; the defaults are what is likelier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Unconfirmed {
    /// The HTTP status of KOE237: 400 or 429.
    pub koe237_status: u16,
    /// Whether a wrong verifier is answered with a KOE code (KOE320) or with `invalid_grant` alone.
    pub pkce_failure_has_code: bool,
    /// `aud` of a security event token.
    pub set_audience: SetAudience,
    /// The name of the transaction's claim: `txm`, `txn` or none.
    pub set_transaction: Option<String>,
    /// Whether a security event token has `app_id`.
    pub set_app_id: bool,
    /// Whether `/v2/app/users` answers `{"elements":[…]}` or a bare list.
    pub app_users_in_elements: bool,
    /// Whether a logout by Bearer ends all of the person's tokens.
    pub logout_revokes_all: bool,
    /// The `error_description` of `interaction_required`.
    pub interaction_required_text: String,
}

impl Default for Unconfirmed {
    fn default() -> Self {
        Self {
            koe237_status: 400,
            pkce_failure_has_code: false,
            set_audience: SetAudience::RestApiKey,
            set_transaction: Some("txm".to_owned()),
            set_app_id: false,
            app_users_in_elements: true,
            logout_revokes_all: false,
            interaction_required_text: "need to collect additional personal information.".to_owned(),
        }
    }
}

/// A term of Kakao Sync in the "console".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Its tag.
    pub tag: String,
    /// Whether nobody links without it.
    pub required: bool,
    /// Whether it can be taken back.
    pub revocable: bool,
}

/// Something that happened, for the page and `/simulator/events`.
#[derive(Clone, Debug, Serialize)]
pub struct Happening {
    /// Seconds since the epoch, by the simulator's clock.
    pub at: i64,
    /// About whom.
    pub user: Option<i64>,
    /// What.
    pub what: String,
}

/// A person who is linked to the app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) slug: String,
    pub(crate) connected_at: i64,
    /// Items beyond those of the person.
    pub(crate) granted: BTreeSet<String>,
    pub(crate) withdrawn: BTreeSet<String>,
    /// Terms that were agreed to: when, and by which of Kakao's two ways.
    pub(crate) terms: BTreeMap<String, (i64, &'static str)>,
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
            token_limits: false,
            webhooks: Webhooks::default(),
            unconfirmed: Unconfirmed::default(),
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
    /// Consent items that the login asked for.
    pub(crate) items: Vec<String>,
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

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
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
    pub(crate) links: BTreeMap<i64, Link>,
    /// Consent items that are switched on in the "console".
    pub(crate) consent_items: BTreeSet<String>,
    pub(crate) login_enabled: bool,
    pub(crate) secret_required: bool,
    /// APIs that the admin key may not use.
    pub(crate) admin_denied: HashSet<Endpoint>,
    pub(crate) terms: Vec<Term>,
    pub(crate) webhooks: Webhooks,
    pub(crate) unconfirmed: Unconfirmed,
    pub(crate) token_limits: bool,
    /// When access and refresh tokens were issued, by person.
    pub(crate) issued: HashMap<i64, [VecDeque<i64>; 2]>,
    /// When `/v1/user/ids` was called.
    pub(crate) id_lists: VecDeque<i64>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) happenings: VecDeque<Happening>,
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

    /// The person of a member number, as the app may see them: without what they have withdrawn.
    pub(crate) fn person_of(&self, id: i64) -> Option<Person> {
        let link = self.links.get(&id)?;
        let person = self.people.iter().find(|person| person.slug == link.slug)?;
        Some(person.clone().without(&link.withdrawn))
    }

    /// The consent items that a linked person has agreed to.
    pub(crate) fn granted(&self, id: i64) -> BTreeSet<String> {
        let Some(link) = self.links.get(&id) else { return BTreeSet::new() };
        let person = self.people.iter().find(|person| person.slug == link.slug);
        let own = person.map(Person::items).unwrap_or_default().into_iter().map(str::to_owned);
        let all = own.chain(link.granted.iter().cloned());
        all.filter(|item| !link.withdrawn.contains(item)).collect()
    }

    /// The person is linked from now on, if they were not; these items are agreed to.
    pub(crate) fn link(&mut self, slug: &str, id: i64, items: &[String], now: i64) {
        let fresh = !self.links.contains_key(&id);
        let terms = &self.terms;
        let link = self.links.entry(id).or_insert_with(|| Link {
            slug: slug.to_owned(),
            connected_at: now,
            // Nobody links without the required ones.
            terms: terms
                .iter()
                .filter(|term| term.required)
                .map(|term| (term.tag.clone(), (now, "KAUTH")))
                .collect(),
            ..Link::default()
        });
        for item in items.iter().filter(|item| *item != "openid") {
            link.withdrawn.remove(item);
            link.granted.insert(item.clone());
        }
        if fresh {
            self.note(now, Some(id), "linked");
        }
    }

    /// The link, the agreement and all tokens of a person go.
    pub(crate) fn unlink(&mut self, id: i64, now: i64) -> bool {
        let Some(link) = self.links.remove(&id) else { return false };
        self.agreed.remove(&link.slug);
        self.revoke(id, true);
        self.note(now, Some(id), "unlinked");
        true
    }

    /// Access tokens of a person die, and refresh tokens with them if so.
    pub(crate) fn revoke(&mut self, id: i64, refresh_too: bool) {
        self.access_tokens.retain(|_, token| token.id != id);
        if refresh_too {
            self.refresh_tokens.retain(|_, token| token.id != id);
        }
    }

    /// Counts a token against the person's limit. False if it is one too many.
    pub(crate) fn count_token(&mut self, id: i64, now: i64, refresh: bool) -> bool {
        let (most, window) = if refresh { (30, 3_600) } else { (20, 600) };
        let times = &mut self.issued.entry(id).or_default()[usize::from(refresh)];
        while times.front().is_some_and(|at| *at <= now - window) {
            times.pop_front();
        }
        if self.token_limits && times.len() >= most {
            return false;
        }
        times.push_back(now);
        times.truncate(100);
        true
    }

    pub(crate) fn note(&mut self, at: i64, user: Option<i64>, what: impl Into<String>) {
        if !self.log_calls {
            return;
        }
        if self.happenings.len() >= MOST_CALLS {
            self.happenings.pop_front();
        }
        self.happenings.push_back(Happening { at, user, what: what.into() });
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

    pub(crate) fn set_offset(&self, seconds: i64) {
        self.clock_offset.store(seconds, Ordering::SeqCst);
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
                let what = format!("{} {:?}", call.method, call.endpoint);
                inner.calls.push_back(call);
                inner.note(self.now(), None, what);
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
        links: BTreeMap::new(),
        consent_items: CONSENT_ITEMS.map(str::to_owned).into(),
        login_enabled: true,
        secret_required: true,
        admin_denied: HashSet::new(),
        terms: Vec::new(),
        webhooks: options.webhooks.clone(),
        unconfirmed: options.unconfirmed.clone(),
        token_limits: options.token_limits,
        issued: HashMap::new(),
        id_lists: VecDeque::new(),
        deliveries: Vec::new(),
        happenings: VecDeque::new(),
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
