//! Verifies tokens of our own, at our own endpoints: by the keys that the JWKS publishes at this moment.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::jwk::PublicJwk;
use super::signer::TokenType;
use crate::domain::SigningAlg;

/// The largest token that is looked at. Ours have less than two kilobytes.
const LARGEST_TOKEN: usize = 8 * 1024;

/// A public key, parsed once.
pub(super) struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
    crit: Option<Value>,
}

impl VerifyingKey {
    pub(super) fn of(public: &PublicJwk) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(serde_json::to_value(public).ok()?).ok()?;
        let algorithm = algorithm(public.alg);
        Some(Self { kid: public.kid.clone(), algorithm, key: DecodingKey::from_jwk(&jwk).ok()? })
    }
}

/// The claims of a token that one of `keys` signed as this type (RFC 8725 §3.1, §3.11). What they say, time included, is
/// for the caller to judge.
pub(super) fn verify<C: DeserializeOwned>(keys: &[VerifyingKey], typ: TokenType, token: &str) -> Option<C> {
    if token.len() > LARGEST_TOKEN {
        return None;
    }
    let (first, _) = token.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(first).ok()?).ok()?;
    if header.crit.is_some() || header.typ != typ.name() {
        return None;
    }
    // The key knows its algorithm; the token's word for it must agree, and decides nothing.
    let key = keys.iter().find(|key| key.kid == header.kid)?;
    if header.alg.parse() != Ok(key.algorithm) {
        return None;
    }
    signed_claims(token, key.algorithm, &key.key)
}

/// The library's name of one of our algorithms.
pub(super) const fn algorithm(alg: SigningAlg) -> Algorithm {
    match alg {
        SigningAlg::Es256 => Algorithm::ES256,
        SigningAlg::Rs256 => Algorithm::RS256,
        SigningAlg::EdDsa => Algorithm::EdDSA,
    }
}

/// The claims of a token that this key signed with this algorithm. The library judges nothing of what they say: it lets
/// absent issuers and audiences pass, so that is done by whoever knows what to expect.
pub(super) fn signed_claims<C: DeserializeOwned>(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
) -> Option<C> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    Some(jsonwebtoken::decode::<C>(token, key, &validation).ok()?.claims)
}

#[cfg(test)]
mod fuzz {
    use serde_json::json;

    use super::*;
    use crate::keys::signer::SigningKey;

    /// A genuine token with one byte changed, or any other text, never verifies.
    #[test]
    fn tokens() {
        let key =
            SigningKey::from_pkcs8(SigningAlg::Es256, &SigningKey::generate(SigningAlg::Es256).unwrap());
        let key = key.unwrap();
        let genuine = key.sign(TokenType::AccessToken, &json!({ "sub": "u" })).unwrap();
        let keys = [VerifyingKey::of(key.public()).unwrap()];
        let verifies = |token: &str| verify::<Value>(&keys, TokenType::AccessToken, token).is_some();
        assert!(verifies(&genuine));
        bolero::check!().with_type::<(u16, u8, Vec<u8>)>().for_each(|(at, byte, bytes)| {
            let mut changed = genuine.clone().into_bytes();
            let at = usize::from(*at) % changed.len();
            changed[at] = *byte;
            for token in [changed.as_slice(), bytes.as_slice()] {
                let Ok(token) = std::str::from_utf8(token) else { continue };
                assert!(token == genuine || !verifies(token), "{token}");
            }
        });
    }
}
