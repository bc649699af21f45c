//! Signing keys: making, keeping and using them.
//!
//! jsonwebtoken parses the private key again on every `encode()` (for RSA that includes checking it: 0.9 ms instead of
//! 0.3). A token server signs all day with the same few keys, so here they are parsed once.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metrics::{Counter, counter, describe_counter};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Error;
use super::jwk::PublicJwk;
use crate::domain::SigningAlg;

/// Tokens that this process signed, by key.
const SIGNATURES: &str = "kakao_auth_signatures_total";

/// Says what the counter of this room means.
pub(crate) fn describe_metrics() {
    describe_counter!(SIGNATURES, "tokens that this process signed with the key");
}

/// What a token is, by its JOSE `typ` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068 §2.1).
    AccessToken,
    /// `JWT`.
    IdToken,
    /// `revocations+jwt`: the revocation feed (`docs/revocation-feed.md`).
    Revocations,
    /// `logout+jwt` (OpenID Connect Back-Channel Logout §2.4).
    LogoutToken,
}

impl TokenType {
    const ALL: [Self; 4] = [Self::AccessToken, Self::IdToken, Self::Revocations, Self::LogoutToken];

    /// The value of `typ`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::IdToken => "JWT",
            Self::Revocations => "revocations+jwt",
            Self::LogoutToken => "logout+jwt",
        }
    }
}

/// A private key, parsed once, and what stands before every token that it signs.
pub struct SigningKey {
    pair: Pair,
    public: PublicJwk,
    /// By [`TokenType`].
    headers: [String; TokenType::ALL.len()],
    signatures: Counter,
    random: SystemRandom,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Makes a new key; returns it as PKCS#8, to be encrypted at once. RSA keys have 2048 bits and take about 80 ms.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn generate(alg: SigningAlg) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = |_| Error::Crypto("making a signing key");
        let der = match alg {
            SigningAlg::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            SigningAlg::EdDsa => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            SigningAlg::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair))
                .map_err(failed)?
                .as_ref()
                .to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    /// Parses a key of [`SigningKey::generate`].
    ///
    /// # Errors
    /// When the bytes are not a key of this algorithm.
    pub fn from_pkcs8(alg: SigningAlg, der: &[u8]) -> Result<Self, Error> {
        const UNREADABLE: Error = Error::Crypto("reading a signing key");
        let (pair, public) = match alg {
            SigningAlg::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(|_| UNREADABLE)?;
                let public = PublicJwk::ec(&pair).ok_or(UNREADABLE)?;
                (Pair::Ec(pair), public)
            }
            SigningAlg::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| UNREADABLE)?;
                let public = PublicJwk::ed25519(&pair);
                (Pair::Ed(pair), public)
            }
            SigningAlg::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| UNREADABLE)?;
                let public = PublicJwk::rsa(&pair);
                (Pair::Rsa(Box::new(pair)), public)
            }
        };
        let header = |typ: &str| {
            let json = format!(r#"{{"alg":"{}","typ":"{typ}","kid":"{}"}}"#, alg.name(), public.kid);
            format!("{}.", URL_SAFE_NO_PAD.encode(json))
        };
        let headers = TokenType::ALL.map(|typ| header(typ.name()));
        // Kept, so that counting a signature is one addition.
        let signatures = counter!(SIGNATURES, "alg" => alg.name(), "kid" => public.kid.clone());
        Ok(Self { pair, public, headers, signatures, random: SystemRandom::new() })
    }

    /// The public half.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// Signs a claim set as a compact JWS (RFC 7515 §3.1).
    ///
    /// # Errors
    /// When the claims cannot be written as JSON or the crypto library fails.
    pub fn sign(&self, typ: TokenType, claims: &impl Serialize) -> Result<String, Error> {
        self.signatures.increment(1);
        let header = &self.headers[typ as usize];
        let claims = serde_json::to_vec(claims)?;
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 360);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let failed = |_| Error::Crypto("signing");
        match &self.pair {
            Pair::Ec(pair) => {
                let signature = pair.sign(&self.random, token.as_bytes()).map_err(failed)?;
                append(&mut token, signature.as_ref());
            }
            Pair::Ed(pair) => {
                let signature = pair.sign(token.as_bytes());
                append(&mut token, signature.as_ref());
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, token.as_bytes(), &mut signature)
                    .map_err(failed)?;
                append(&mut token, &signature);
            }
        }
        Ok(token)
    }
}

fn append(token: &mut String, signature: &[u8]) {
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, token);
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stock_library_verifies_what_each_algorithm_signs() {
        for alg in SigningAlg::ALL {
            let key = SigningKey::from_pkcs8(alg, &SigningKey::generate(alg).unwrap()).unwrap();
            let token =
                key.sign(TokenType::AccessToken, &json!({"sub": "u", "exp": 4_000_000_000_u64})).unwrap();
            let jwk: Jwk = serde_json::from_value(serde_json::to_value(key.public()).unwrap()).unwrap();
            let algorithm: Algorithm = alg.name().parse().unwrap();
            let data = decode::<serde_json::Value>(
                &token,
                &DecodingKey::from_jwk(&jwk).unwrap(),
                &Validation::new(algorithm),
            )
            .unwrap();
            assert_eq!(data.claims["sub"], "u");
            assert_eq!(data.header.typ.as_deref(), Some("at+jwt"));
            assert_eq!(data.header.kid.as_deref(), Some(key.public().kid.as_str()));
        }
    }

    #[test]
    fn a_key_of_another_algorithm_is_not_read() {
        let ed = SigningKey::generate(SigningAlg::EdDsa).unwrap();
        assert!(SigningKey::from_pkcs8(SigningAlg::Es256, &ed).is_err());
        assert!(SigningKey::from_pkcs8(SigningAlg::Rs256, b"nonsense").is_err());
    }
}
