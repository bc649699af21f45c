//! Kakao's ID token (OpenID Connect Core §3.1.3.7): RS256 by a key of Kakao's JWKS, for us, now, of this login.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tracing::warn;

use super::codes::{self, KnownFault};
use super::faults::Fault;
use crate::domain::{Audience, KakaoId, Secret, Timestamp};

/// Kakao's have about a kilobyte.
const LARGEST_TOKEN: usize = 16 * 1024;

/// How far two clocks may be apart.
const LEEWAY: Duration = Duration::from_mins(1);

/// After this the keys are read again, should the fetch work; until it does, the old ones are used.
const FRESH: Duration = Duration::from_hours(1);

/// Kakao blocks those who fetch its keys too often: after a fetch, an unknown key is refused without another one.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// What a verified ID token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdToken {
    /// The member number.
    pub sub: KakaoId,
    /// When the person proved who they are.
    pub auth_time: Option<Timestamp>,
}

/// Verifies ID tokens, keeping Kakao's keys in memory.
pub(super) struct Verifier {
    issuer: String,
    client_id: String,
    keys: ArcSwap<KeySet>,
    /// One fetch at a time; when the last one was tried.
    fetching: Mutex<Option<Timestamp>>,
}

#[derive(Default)]
struct KeySet {
    keys: Vec<(String, DecodingKey)>,
    fetched_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    auth_time: Option<i64>,
}

impl Verifier {
    pub(super) fn new(issuer: String, client_id: String) -> Self {
        Self { issuer, client_id, keys: ArcSwap::default(), fetching: Mutex::new(None) }
    }

    /// Verifies a token. `fetch` reads Kakao's JWKS.
    pub(super) async fn verify<F: Future<Output = Result<Vec<u8>, Fault>>>(
        &self,
        token: &Secret,
        nonce: &str,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<IdToken, Fault> {
        let text = token.reveal();
        let kid = kid_of(text)?;
        let keys = self.keys_with(&kid, now, fetch).await?;
        let key = keys.find(&kid).ok_or_else(|| {
            Fault::id_token(codes::ID_TOKEN_KEY, "the ID token names a key that Kakao does not have")
        })?;
        self.claims(text, key, nonce, now)
    }

    fn claims(&self, text: &str, key: &DecodingKey, nonce: &str, now: Timestamp) -> Result<IdToken, Fault> {
        let mut validation = Validation::new(Algorithm::RS256);
        // Times are checked below, by our clock; issuer and audience too, because the library lets absent ones pass.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(text, key, &validation)
            .map_err(|_| Fault::of(codes::ID_TOKEN_SIGNATURE))?
            .claims;
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
        let refuse = |known: &'static KnownFault| Err(Fault::of(known));
        if claims.iss != self.issuer {
            return refuse(codes::ID_TOKEN_ISSUER);
        }
        if !claims.aud.is_only(&self.client_id) {
            return refuse(codes::ID_TOKEN_AUDIENCE);
        }
        if claims.exp.saturating_add(leeway) <= now.secs() {
            return refuse(codes::ID_TOKEN_EXPIRED);
        }
        if claims.iat.saturating_sub(leeway) > now.secs() {
            return refuse(codes::ID_TOKEN_FUTURE);
        }
        if !claims.nonce.is_some_and(|given| Secret::new(given).matches(nonce)) {
            return refuse(codes::ID_TOKEN_NONCE);
        }
        match claims.sub.parse::<i64>() {
            Ok(id) if id > 0 => {
                Ok(IdToken { sub: KakaoId(id), auth_time: claims.auth_time.map(Timestamp::from_secs) })
            }
            _ => Err(Fault::id_token(codes::ID_TOKEN_PERSON, "the ID token has no member number")),
        }
    }

    /// The keys, fetched when they are old or lack this one. Concurrent callers share one fetch.
    async fn keys_with<F: Future<Output = Result<Vec<u8>, Fault>>>(
        &self,
        kid: &str,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<KeySet>, Fault> {
        let keys = self.keys.load_full();
        let has_it = keys.find(kid).is_some();
        if has_it && keys.is_fresh(now) {
            return Ok(keys);
        }
        let mut last_try = self.fetching.lock().await;
        let keys = self.keys.load_full();
        let cooling = last_try.is_some_and(|tried| now.since(tried) < COOL_DOWN);
        if cooling || (keys.find(kid).is_some() && keys.is_fresh(now)) {
            return Ok(keys);
        }
        *last_try = Some(now);
        match fetch().await.and_then(|body| KeySet::read(&body, now)) {
            Ok(fetched) => {
                let fetched = Arc::new(fetched);
                self.keys.store(Arc::clone(&fetched));
                Ok(fetched)
            }
            Err(fault) if has_it => {
                // No login suffers from it, so it is not counted.
                let (id, actor) = (fault.id(), fault.actor().name());
                warn!(
                    id,
                    actor,
                    cause = fault.cause,
                    "Kakao's keys could not be read again; the known ones are used"
                );
                Ok(keys)
            }
            Err(fault) => {
                // Nothing is known yet, so the next login may try at once.
                *last_try = None;
                Err(fault)
            }
        }
    }
}

impl KeySet {
    fn read(body: &[u8], now: Timestamp) -> Result<Self, Fault> {
        let unreadable = || Fault::unreadable(200, "a JWKS that is not one");
        let jwks: Jwks = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let text =
            |jwk: &Map<String, Value>, name: &str| jwk.get(name).and_then(Value::as_str).map(str::to_owned);
        let keys: Vec<(String, DecodingKey)> = jwks
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
fn kid_of(token: &str) -> Result<String, Fault> {
    let fault = |cause| Fault::id_token(codes::ID_TOKEN_MALFORMED, cause);
    let refuse = |cause| Err(fault(cause));
    if token.len() > LARGEST_TOKEN {
        return refuse("the ID token is larger than 16 KiB");
    }
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return refuse("the ID token does not have three parts");
    };
    let Some(header) =
        URL_SAFE_NO_PAD.decode(header).ok().and_then(|json| serde_json::from_slice::<Header>(&json).ok())
    else {
        return refuse("the ID token's header cannot be read");
    };
    if header.alg != "RS256" {
        return refuse("the ID token is not signed with RS256");
    }
    if header.crit.is_some() || header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return refuse("the ID token is of another type");
    }
    header.kid.ok_or_else(|| fault("the ID token names no key"))
}
