//! Verifies client assertions (RFC 7523 §3): JWTs that a client signed with a key of its own.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::{Value, json};

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

/// A key of each algorithm that no client has: those of RFC 7515 (A.2, A.3) and RFC 8037 (A.2).
static NOBODYS: LazyLock<Vec<ClientJwk>> = LazyLock::new(|| {
    let rsa = json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
    let ec = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    [rsa, ec, okp].iter().filter_map(|jwk| ClientJwk::read(jwk).ok()).collect()
});

/// The keys that the signature is checked with, and whether a good one proves anything. A client that does not exist, or has no
/// key of this kind, gets one that no client has, so that time does not tell; its private half is known to everybody.
fn keys_to_try<'k>(keys: &'k [ClientJwk], header: &Header) -> (Vec<&'k ClientJwk>, bool) {
    let fits = |key: &&ClientJwk| {
        key.alg.name() == header.alg && (header.kid.is_none() || key.kid.is_none() || key.kid == header.kid)
    };
    let own: Vec<&ClientJwk> = keys.iter().filter(fits).collect();
    if own.is_empty() { (NOBODYS.iter().filter(fits).collect(), false) } else { (own, true) }
}

fn claims_by(key: &ClientJwk, text: &str) -> Option<Assertion> {
    let jwk: Jwk = serde_json::from_str(&key.json).ok()?;
    signed_claims(text, algorithm(key.alg), &DecodingKey::from_jwk(&jwk).ok()?)
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
    let (tried, proves) = keys_to_try(keys, &header);
    tried.into_iter().find_map(|key| claims_by(key, text)).filter(|_| proves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_of_nobody_costs_a_signature_too_and_proves_nothing() {
        for alg in ["ES256", "EdDSA", "RS256"] {
            let header = Header { alg: alg.to_owned(), kid: Some("1".to_owned()), crit: None };
            let (tried, proves) = keys_to_try(&[], &header);
            assert_eq!((tried.len(), proves), (1, false), "{alg}");
            let jwk: Jwk = serde_json::from_str(&tried[0].json).unwrap();
            assert!(DecodingKey::from_jwk(&jwk).is_ok(), "{alg}");
            // A client whose keys are of another kind costs as much as one that does not exist.
            let others: Vec<ClientJwk> =
                NOBODYS.iter().filter(|key| key.alg.name() != alg).cloned().collect();
            assert_eq!(keys_to_try(&others, &header), (tried, false), "{alg}");
        }
        // Signed with the private key that RFC 7515 prints (A.3).
        let text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJub2JvZHkiLCJzdWIiOiJub2JvZHkiLCJhdWQiOiJodHRwczovL2F1dGguZXhhbXBsZSIsImV4cCI6NDEwMjQ0NDgwMCwianRpIjoiMSJ9.sLbw9f1yrh2OTMCDt4306UtexLHB7ym5ovWC1OJzltIX26c13xkJnHLo_Vq5vmgv_MnR1N2IGeF3z5L5eRElaA";
        assert!(verify(&NOBODYS, text).is_some(), "the signature is good");
        assert!(verify(&[], text).is_none(), "and proves nothing");
    }
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
