//! The two webhooks that Kakao calls, and the security event tokens that it signs.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::keys::{Key, hex, signing_input};
use crate::state::{SetAudience, State, UnlinkMethod};

/// The person is no longer linked to the app.
pub const USER_UNLINKED: &str = "https://schemas.openid.net/secevent/oauth/event-type/user-unlinked";

/// The events that Kakao's documentation lists.
pub const KINDS: [&str; 18] = [
    "https://schemas.openid.net/secevent/oauth/event-type/user-linked",
    USER_UNLINKED,
    "https://schemas.openid.net/secevent/oauth/event-type/user-scope-consent",
    "https://schemas.openid.net/secevent/oauth/event-type/user-scope-withdraw",
    "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked",
    "https://schemas.openid.net/secevent/oauth/event-type/token-revoked",
    "https://schemas.openid.net/secevent/oauth/event-type/token-issued",
    "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-enabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-purged",
    "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required",
    "https://schemas.openid.net/secevent/risc/event-type/credential-compromise",
    "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked",
    "https://schemas.openid.net/secevent/risc/event-type/identifier-changed",
    "https://schemas.openid.net/secevent/risc/event-type/identifier-recycled",
    "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change",
    "https://schemas.openid.net/secevent/caep/event-type/credential-change",
    "https://schemas.kakao.com/platevent/kakao/event-type/user-profile-changed",
];

/// Kakao waits so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What the account status change webhook tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// About whom.
    pub user: i64,
    /// The schema URI.
    pub kind: String,
    /// `UNLINK_FROM_APPS` and the like.
    #[serde(default)]
    pub reason: Option<String>,
    /// The consent items that it names: an array or a text. How Kakao names them is UNCONFIRMED.
    #[serde(default)]
    pub scopes: Option<Value>,
    /// When it happened, seconds since the epoch; now unless named.
    #[serde(default)]
    pub at: Option<i64>,
    /// The token's id; a fresh one unless named.
    #[serde(default)]
    pub jti: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub forgery: Option<SetForgery>,
}

impl Event {
    /// This happened to this person, now.
    pub fn new(user: i64, kind: &str) -> Self {
        Self { user, kind: kind.to_owned(), reason: None, scopes: None, at: None, jti: None, forgery: None }
    }
}

/// A way in which a security event token can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetForgery {
    /// `alg: none`, no signature.
    AlgNone,
    /// HS256, keyed with the public modulus.
    Hs256WithPublicKey,
    /// Signed with a key that is not in the JWKS, under a `kid` that is.
    StrangeKey,
    /// A `kid` that is not in the JWKS.
    UnknownKid,
    /// No `kid`.
    NoKid,
    /// `typ: JWT`.
    WrongTyp,
    /// Another `iss`.
    Issuer,
    /// Another `aud`.
    Audience,
    /// No `jti`.
    NoJti,
    /// No `sub`.
    NoSub,
    /// `subject` names somebody else than `sub`.
    OtherSubject,
    /// No `events`.
    NoEvents,
    /// Not a token.
    Garbage,
}

/// A call of a webhook, and how it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// `unlink` or `account_status`.
    pub kind: String,
    /// About whom.
    pub user: i64,
    /// Where.
    pub url: String,
    /// The answer's status; none if there was no answer.
    pub status: Option<u16>,
    /// The beginning of the answer.
    pub body: String,
    /// Which try this was, from 1.
    pub attempt: u32,
    /// Seconds since the epoch, by the simulator's clock.
    pub at: i64,
}

pub(crate) fn sign(state: &State, event: &Event) -> String {
    let (key, unconfirmed) = state.with(|inner| (inner.keys.first().cloned(), inner.unconfirmed.clone()));
    let Some(key) = key else { return String::new() };
    let now = state.now();
    let (issuer, user) = (state.base_url.as_str(), event.user.to_string());
    let audience = match unconfirmed.set_audience {
        SetAudience::RestApiKey => state.app.rest_api_key.clone(),
        SetAudience::AppId => state.app.app_id.to_string(),
    };
    let mut told = json!({ "subject": { "subject_type": "iss-sub", "iss": issuer, "sub": user } });
    if let Some(reason) = &event.reason {
        told["reason"] = json!(reason);
    }
    if let Some(scopes) = &event.scopes {
        told["scopes"] = scopes.clone();
    }
    let mut claims = json!({
        "iss": issuer, "aud": audience, "sub": user, "iat": now, "toe": event.at.unwrap_or(now),
        "jti": event.jti.clone().unwrap_or_else(|| hex(16)), "events": { event.kind.as_str(): told },
    });
    if let Some(name) = &unconfirmed.set_transaction {
        claims[name.as_str()] = json!(hex(16));
    }
    if unconfirmed.set_app_id {
        claims["app_id"] = json!(state.app.app_id.to_string());
    }
    let header = json!({ "kid": key.kid, "typ": "secevent+jwt", "alg": "RS256" });
    match event.forgery {
        None => key.sign(&header, &claims),
        Some(forgery) => forge(forgery, &key, header, claims, event),
    }
}

fn forge(forgery: SetForgery, key: &Key, mut header: Value, mut claims: Value, event: &Event) -> String {
    let mut without = |name: &str| {
        if let Value::Object(members) = &mut claims {
            members.remove(name);
        }
    };
    match forgery {
        SetForgery::AlgNone => {
            header["alg"] = json!("none");
            return format!("{}.", signing_input(&header, &claims));
        }
        SetForgery::Hs256WithPublicKey => {
            header["alg"] = json!("HS256");
            let input = signing_input(&header, &claims);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.modulus()), input.as_bytes());
            return format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        }
        SetForgery::StrangeKey => {
            return Key::generate().map(|strange| strange.sign(&header, &claims)).unwrap_or_default();
        }
        SetForgery::Garbage => return "not.a.token".to_owned(),
        SetForgery::UnknownKid => header["kid"] = json!("0".repeat(30)),
        SetForgery::NoKid => header = json!({ "typ": "secevent+jwt", "alg": "RS256" }),
        SetForgery::WrongTyp => header["typ"] = json!("JWT"),
        SetForgery::Issuer => claims["iss"] = json!("https://kauth.evil.example"),
        SetForgery::Audience => claims["aud"] = json!("another-app"),
        SetForgery::NoJti => without("jti"),
        SetForgery::NoSub => without("sub"),
        SetForgery::NoEvents => without("events"),
        SetForgery::OtherSubject => {
            claims["events"][event.kind.as_str()]["subject"]["sub"] = json!("4400000001");
        }
    }
    key.sign(&header, &claims)
}

/// Calls the unlink webhook, if one is registered.
pub(crate) async fn fire_unlink(state: &State, user: i64, referrer_type: &str) -> Option<Delivery> {
    let webhooks = state.with(|inner| inner.webhooks.clone());
    let url = webhooks.unlink_url?;
    let fields = [
        ("app_id", state.app.app_id.to_string()),
        ("user_id", user.to_string()),
        ("referrer_type", referrer_type.to_owned()),
    ];
    let key = format!("KakaoAK {}", state.app.admin_key);
    let call = |client: &reqwest::Client| {
        let request = match webhooks.unlink_method {
            UnlinkMethod::Get => client.get(&url).query(&fields),
            UnlinkMethod::Post => client.post(&url).form(&fields),
        };
        request.header("Authorization", key.as_str())
    };
    let target = Target { kind: "unlink", url: &url, wanted: 200, retries: webhooks.retries };
    Some(deliver(state, &target, user, call).await)
}

/// Calls the account status change webhook, if one is registered.
pub(crate) async fn fire_event(state: &State, event: &Event) -> Option<Delivery> {
    let webhooks = state.with(|inner| inner.webhooks.clone());
    let url = webhooks.account_status_url?;
    let token = sign(state, event);
    let call = |client: &reqwest::Client| {
        client.post(&url).header("Content-Type", "application/secevent+jwt").body(token.clone())
    };
    let target = Target { kind: "account_status", url: &url, wanted: 202, retries: webhooks.retries };
    Some(deliver(state, &target, event.user, call).await)
}

/// The person removes the app in Kakao's settings: both webhooks that are registered.
pub(crate) async fn unlink_in_settings(state: &State, user: i64, referrer_type: &str) -> Vec<Delivery> {
    let now = state.now();
    state.with(|inner| inner.unlink(user, now));
    let event = Event { reason: Some(referrer_type.to_owned()), ..Event::new(user, USER_UNLINKED) };
    let first = fire_unlink(state, user, referrer_type).await;
    let second = fire_event(state, &event).await;
    first.into_iter().chain(second).collect()
}

/// Where a webhook goes, the status that it takes for "received", and how often it comes again without it.
struct Target<'a> {
    kind: &'static str,
    url: &'a str,
    wanted: u16,
    retries: u32,
}

async fn deliver(
    state: &State,
    target: &Target<'_>,
    user: i64,
    call: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Delivery {
    let Target { kind, url, wanted, retries } = *target;
    let client =
        reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (status, body) = match &client {
            Err(_) => (None, "the HTTP client could not be made".to_owned()),
            Ok(client) => match call(client).send().await {
                Err(error) => (None, error.without_url().to_string()),
                Ok(reply) => (Some(reply.status().as_u16()), reply.text().await.unwrap_or_default()),
            },
        };
        let body: String = body.chars().take(500).collect();
        let delivery = Delivery {
            kind: kind.to_owned(),
            user,
            url: url.to_owned(),
            status,
            body,
            attempt,
            at: state.now(),
        };
        state.with(|inner| {
            let word = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            inner.note(delivery.at, Some(user), format!("webhook {kind}, try {attempt}: {word}"));
            inner.deliveries.push(delivery.clone());
        });
        if status == Some(wanted) || attempt > retries {
            return delivery;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
