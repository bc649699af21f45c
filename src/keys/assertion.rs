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

/// Does the work of [`verify`] for a client that does not exist or has no key of this kind, so that time does not tell. Whatever
/// it finds is worth nothing: those keys are known to everybody.
fn verify_for_nobody(text: &str, header: &Header) {
    if let Some(key) = NOBODYS.iter().find(|key| key.alg.name() == header.alg) {
        drop(claims_by(key, text));
    }
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
    let fits = |key: &&ClientJwk| {
        key.alg.name() == header.alg && (header.kid.is_none() || key.kid.is_none() || key.kid == header.kid)
    };
    if !keys.iter().any(|key| fits(&key)) {
        verify_for_nobody(text, &header);
    }
    keys.iter().filter(fits).find_map(|key| claims_by(key, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_of_nobody_costs_a_signature_too_and_proves_nothing() {
        let mut names: Vec<&str> = NOBODYS.iter().map(|key| key.alg.name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["ES256", "EdDSA", "RS256"]);
        for key in NOBODYS.iter() {
            let jwk: Jwk = serde_json::from_str(&key.json).unwrap();
            assert!(DecodingKey::from_jwk(&jwk).is_ok(), "{}", key.alg.name());
        }
        // RFC 7515 A.3, signed by the key that everybody knows: good, and still not for us.
        let text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(verify(&[], text).is_none());
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
