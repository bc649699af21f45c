//! Verifies client assertions (RFC 7523 §3): JWTs that a client signed with a key of its own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;

use super::verify::{algorithm, signed_claims};
use crate::domain::Audience;
use crate::domain::client_jwk::ClientJwk;

/// The largest assertion that is looked at.
const LARGEST: usize = 8 * 1024;

/// What an assertion says; the caller judges it.
#[derive(Debug, Deserialize)]
pub(crate) struct Assertion {
    /// The client.
    pub(crate) iss: String,
    /// The client.
    pub(crate) sub: String,
    pub(crate) aud: Audience,
    /// Seconds since the epoch.
    pub(crate) exp: i64,
    /// Seconds since the epoch.
    pub(crate) nbf: Option<i64>,
    /// Seconds since the epoch.
    pub(crate) iat: Option<i64>,
    pub(crate) jti: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Who the assertion says it is of, unproven: finds the client whose keys prove it.
pub(crate) fn subject(text: &str) -> Option<String> {
    let payload = text.split('.').nth(1).filter(|_| text.len() <= LARGEST)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

/// The claims, if one of these keys signed them. The key knows its algorithm; the assertion's word for it must agree.
pub(crate) fn verify(keys: &[ClientJwk], text: &str) -> Option<Assertion> {
    if text.len() > LARGEST {
        return None;
    }
    let (first, _) = text.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(first).ok()?).ok()?;
    if header.crit.is_some() {
        return None;
    }
    let fits = |key: &&ClientJwk| {
        key.alg.name() == header.alg && (header.kid.is_none() || key.kid.is_none() || key.kid == header.kid)
    };
    keys.iter().filter(fits).find_map(|key| {
        let jwk: Jwk = serde_json::from_str(&key.json).ok()?;
        signed_claims(text, algorithm(key.alg), &DecodingKey::from_jwk(&jwk).ok()?)
    })
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn client_assertions() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            assert!(subject(text).is_none_or(|subject| subject.len() < text.len()));
            assert!(verify(&[], text).is_none(), "nobody's key signed it");
        });
    }
}
