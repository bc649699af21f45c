//! Kakao's account status change webhook: a security event token (RFC 8417), delivered by push (RFC 8935).
//!
//! Source: developers.kakao.com, Kakao Login > Account status change webhook. What its page leaves open is accepted either
//! way: `aud` is one of our app keys or the app's number, the transaction id is not needed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::faults::Fault;
use super::jwks::Unverified;
use crate::domain::consent::is_item;
use crate::domain::kakao_event::Source;
use crate::domain::{Audience, KakaoEvent, KakaoId, Timestamp};

/// Kakao's carry one event.
const MOST_EVENTS: usize = 8;

/// A verified security event token.
#[derive(Debug)]
pub(crate) struct SecurityEvents {
    /// Its id: the same token may come again.
    pub(crate) jti: String,
    /// What it tells.
    pub(crate) events: Vec<KakaoEvent>,
}

/// Why a security event token was not accepted.
#[derive(Debug)]
pub(crate) enum EventRefused {
    /// It is wrong: the code of RFC 8935 §2.4 and a sentence.
    Invalid { err: &'static str, description: &'static str },
    /// Kakao's keys cannot be had now, so nothing can be said about it.
    Later(Fault),
}

#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    iat: i64,
    toe: Option<i64>,
    jti: String,
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize)]
struct Event {
    subject: Option<Subject>,
    reason: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Subject {
    iss: Option<String>,
    sub: Option<String>,
}

impl From<Unverified> for EventRefused {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Malformed(description) => Self::Invalid { err: "invalid_request", description },
            Unverified::UnknownKey => {
                Self::Invalid { err: "invalid_key", description: "it names a key that Kakao does not have" }
            }
            Unverified::Unsigned => {
                Self::Invalid { err: "invalid_key", description: "it is not signed by Kakao" }
            }
            Unverified::Later(fault) => Self::Later(fault),
        }
    }
}

impl SecurityEvents {
    /// Checks the claims of a token that Kakao signed.
    pub(super) fn check(claims: Claims, issuer: &str, audiences: &[&str]) -> Result<Self, EventRefused> {
        let refuse = |err, description| Err(EventRefused::Invalid { err, description });
        if claims.iss != issuer {
            return refuse("invalid_issuer", "iss is not Kakao");
        }
        if !claims.aud.is_within(audiences) {
            return refuse("invalid_audience", "aud is none of this app's keys");
        }
        let Some(user) = claims.sub.parse::<i64>().ok().filter(|id| *id > 0).map(KakaoId) else {
            return refuse("invalid_request", "sub is not a member number");
        };
        if claims.jti.is_empty() {
            return refuse("invalid_request", "jti is empty");
        }
        if claims.events.is_empty() || claims.events.len() > MOST_EVENTS {
            return refuse("invalid_request", "events must hold one to eight events");
        }
        let at = Timestamp::from_secs(claims.toe.unwrap_or(claims.iat));
        let mut events = Vec::with_capacity(claims.events.len());
        for (kind, event) in claims.events {
            if let Some(subject) = &event.subject {
                let other_issuer = subject.iss.as_deref().is_some_and(|iss| iss != issuer);
                if other_issuer || subject.sub.as_deref().is_some_and(|sub| sub != claims.sub) {
                    return refuse("invalid_request", "subject and sub name different people");
                }
            }
            if kind.len() > 256 {
                return refuse("invalid_request", "the name of an event is longer than 256 bytes");
            }
            events.push(KakaoEvent {
                source: Source::AccountStatus,
                kind: without_nul(&kind, 256),
                user,
                at,
                reason: event.reason.map(|reason| without_nul(&reason, 64)),
                items: items(&event.rest),
            });
        }
        Ok(Self { jti: claims.jti, events })
    }
}

/// A text that every database keeps. What held a NUL is still another one than without it.
fn without_nul(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).take(longest).collect()
}

/// Consent items, should the event name some: how is not documented, so both spellings and both shapes are read.
fn items(rest: &BTreeMap<String, Value>) -> Vec<String> {
    let Some(value) = rest.get("scopes").or_else(|| rest.get("scope")) else { return Vec::new() };
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split([' ', ',']).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter(|item| is_item(item)).take(64).map(str::to_owned).collect()
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn security_events() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else { return };
            let Ok(events) = SecurityEvents::check(claims, "https://kauth.kakao.com", &["key"]) else {
                return;
            };
            assert!(!events.jti.is_empty() && events.events.len() <= MOST_EVENTS);
            for event in events.events {
                assert!(event.user.0 > 0 && !event.kind.contains('\0'));
                assert!(event.reason.is_none_or(|reason| !reason.contains('\0')));
            }
        });
    }
}
