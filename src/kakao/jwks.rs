//! Kakao's signing keys: fetched when they are needed, kept in memory, and never asked for too often.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tracing::warn;

use super::faults::Fault;
use crate::domain::{Clock, Timestamp};

/// Kakao's tokens have about a kilobyte.
const LARGEST_TOKEN: usize = 16 * 1024;
const TOO_LARGE: &str = "it is larger than 16 KiB";

/// After this the keys are read again, should the fetch work; until it does, the old ones are used.
const FRESH: Duration = Duration::from_hours(1);

/// Kakao blocks those who fetch its keys too often: after a fetch, an unknown key has to wait for the next one.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The same as long as no keys are known and nobody can log in.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);

/// Kakao's keys.
#[derive(Default)]
pub(super) struct Jwks {
    keys: ArcSwap<KeySet>,
    /// One fetch at a time; when the last one was tried, and what was wrong with it.
    fetching: Mutex<Option<(Timestamp, Option<Fault>)>>,
}

#[derive(Default)]
struct KeySet {
    keys: Vec<(String, DecodingKey)>,
    fetched_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// What a token must be before its signature is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `typ` is `JWT` or absent.
    IdToken,
    /// `typ` is `secevent+jwt` (RFC 8417 §2.3).
    SecurityEvent,
}

/// Why a token was not verified.
#[derive(Debug)]
pub(super) enum Unverified {
    /// It is not a token of this kind.
    Malformed(&'static str),
    /// It names a key that was not among Kakao's just now.
    UnknownKey,
    /// Kakao's key did not sign it.
    Unsigned,
    /// Kakao's keys cannot be had now, or were read so lately that they are not read again.
    Later(Fault),
}

impl Jwks {
    /// The claims of a token that Kakao signed with RS256. Times, issuer and audience are for the caller to check: the
    /// library lets absent ones pass. `fetch` reads the JWKS.
    pub(super) async fn verify<T: DeserializeOwned, F: Future<Output = Result<Vec<u8>, Fault>>>(
        &self,
        kind: Kind,
        token: &str,
        clock: &Clock,
        fetch: impl FnOnce() -> F,
    ) -> Result<T, Unverified> {
        let key_id = kid_of(kind, token).map_err(Unverified::Malformed)?;
        let keys = self.with(&key_id, clock, fetch).await.map_err(Unverified::Later)?;
        let key = keys.find(&key_id).ok_or(Unverified::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<T>(token, key, &validation).map(|data| data.claims).map_err(
            |error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::Json(_) => {
                    Unverified::Malformed("it lacks a claim, or one is of another type")
                }
                _ => Unverified::Unsigned,
            },
        )
    }

    /// The keys, fetched when they are old or lack this one. Concurrent callers share one fetch.
    async fn with<F: Future<Output = Result<Vec<u8>, Fault>>>(
        &self,
        kid: &str,
        clock: &Clock,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<KeySet>, Fault> {
        let keys = self.keys.load_full();
        if keys.find(kid).is_some() && keys.is_fresh(clock.now()) {
            return Ok(keys);
        }
        let mut last_try = self.fetching.lock().await;
        // Whoever waited finds what the one before found: a fetch that hung is not begun again for each.
        let now = clock.now();
        let keys = self.keys.load_full();
        let has_it = keys.find(kid).is_some();
        if has_it && keys.is_fresh(now) {
            return Ok(keys);
        }
        let cool_down = if keys.fetched_at.is_some() { COOL_DOWN } else { FIRST_COOL_DOWN };
        if let Some((tried, fault)) = last_try.as_ref().filter(|(tried, _)| now.since(*tried) < cool_down) {
            // Without it, whether Kakao has this key is not known: it may be newer than the last fetch.
            let unseen = || Fault::key_unseen(cool_down.saturating_sub(now.since(*tried)));
            return if has_it { Ok(keys) } else { Err(fault.clone().unwrap_or_else(unseen)) };
        }
        let fetched = fetch().await.and_then(|body| KeySet::read(&body, now));
        let now = clock.now();
        *last_try = Some((now, fetched.as_ref().err().cloned()));
        match fetched {
            Ok(fetched) => {
                let fetched = Arc::new(fetched);
                self.keys.store(Arc::clone(&fetched));
                Ok(fetched)
            }
            Err(fault) if has_it => {
                let (id, actor) = (fault.id(), fault.actor().name());
                warn!(
                    id,
                    actor,
                    cause = fault.cause,
                    "Kakao's keys could not be read again; the known ones are used"
                );
                Ok(keys)
            }
            Err(fault) => Err(fault),
        }
    }
}

impl KeySet {
    fn read(body: &[u8], now: Timestamp) -> Result<Self, Fault> {
        let unreadable = || Fault::unreadable(200, "a JWKS that is not one");
        let document: Document = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let text =
            |jwk: &Map<String, Value>, name: &str| jwk.get(name).and_then(Value::as_str).map(str::to_owned);
        let keys: Vec<(String, DecodingKey)> = document
            .keys
            .iter()
            .filter(|jwk| text(jwk, "kty").as_deref() == Some("RSA"))
            .filter_map(|jwk| {
                let key = DecodingKey::from_rsa_components(&text(jwk, "n")?, &text(jwk, "e")?).ok()?;
                Some((text(jwk, "kid")?, key))
            })
            .collect();
        if keys.is_empty() { Err(unreadable()) } else { Ok(Self { keys, fetched_at: Some(now) }) }
    }

    fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.keys.iter().find(|(mine, _)| mine == kid).map(|(_, key)| key)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.fetched_at.is_some_and(|at| now.since(at) < FRESH)
    }
}

/// The key that the header names, once the header is one that Kakao writes. The library looks at neither `typ` nor
/// `crit`; keys that come along in a header (`jwk`, `jku`, `x5u`) are never looked at.
fn kid_of(kind: Kind, token: &str) -> Result<String, &'static str> {
    if token.len() > LARGEST_TOKEN {
        return Err(TOO_LARGE);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it does not have three parts");
    };
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header = header.and_then(|json| serde_json::from_slice::<Header>(&json).ok());
    let header = header.ok_or("its header cannot be read")?;
    if header.alg != "RS256" {
        return Err("it is not signed with RS256");
    }
    let typ_fits = match kind {
        Kind::IdToken => header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT")),
        Kind::SecurityEvent => header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case("secevent+jwt")),
    };
    if header.crit.is_some() || !typ_fits {
        return Err("it is of another type");
    }
    header.kid.ok_or("it names no key")
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn kakao_tokens() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(token) = std::str::from_utf8(bytes) else { return };
            for kind in [Kind::IdToken, Kind::SecurityEvent] {
                if let Ok(kid) = kid_of(kind, token) {
                    assert!(kid.len() < token.len());
                }
            }
        });
    }
}
