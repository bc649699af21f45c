//! Public keys as JWKs (RFC 7517) and their thumbprints (RFC 7638).

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::{Fingerprint, SigningAlg};

/// A public signing key, with only the members that a verifier needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicJwk {
    /// RFC 7638 thumbprint.
    pub(crate) kid: String,
    /// The one algorithm it is for.
    pub(crate) alg: SigningAlg,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub(crate) usage: String,
    /// The numbers.
    #[serde(flatten)]
    pub(crate) parts: Parts,
}

/// The key type and its numbers, base64url. Members stand in the order in which RFC 7638 hashes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Parts {
    /// P-256 (RFC 7518 §6.2).
    Ec {
        crv: String,
        kty: String,
        /// x coordinate
        x: String,
        /// y coordinate
        y: String,
    },
    /// Ed25519 (RFC 8037 §2).
    Okp {
        crv: String,
        kty: String,
        /// the public key
        x: String,
    },
    /// RSA (RFC 7518 §6.3).
    Rsa { e: String, kty: String, n: String },
}

impl PublicJwk {
    /// Of a P-256 key pair.
    pub(crate) fn ec(pair: &EcdsaKeyPair) -> Option<Self> {
        // Uncompressed point: 04 ‖ x ‖ y (SEC 1 §2.3.3).
        let point: &[u8; 65] = pair.public_key().as_ref().try_into().ok()?;
        let (x, y) = point[1..].split_at(32);
        Some(Self::new(
            SigningAlg::Es256,
            Parts::Ec { crv: "P-256".into(), kty: "EC".into(), x: encode(x), y: encode(y) },
        ))
    }

    /// Of an Ed25519 key pair.
    pub(crate) fn ed25519(pair: &Ed25519KeyPair) -> Self {
        let parts =
            Parts::Okp { crv: "Ed25519".into(), kty: "OKP".into(), x: encode(pair.public_key().as_ref()) };
        Self::new(SigningAlg::EdDsa, parts)
    }

    /// Of an RSA key pair.
    pub(crate) fn rsa(pair: &RsaKeyPair) -> Self {
        let public = pair.public_key();
        let n = encode(public.modulus().big_endian_without_leading_zero());
        let e = encode(public.exponent().big_endian_without_leading_zero());
        Self::new(SigningAlg::Rs256, Parts::Rsa { e, kty: "RSA".into(), n })
    }

    fn new(alg: SigningAlg, parts: Parts) -> Self {
        Self { kid: thumbprint(&parts), alg, usage: "sig".into(), parts }
    }
}

/// base64url(SHA-256(the required members in lexicographic order, without white space)) (RFC 7638 §3).
fn thumbprint(parts: &Parts) -> String {
    // serde writes the fields in the order in which they are declared, which is lexicographic.
    let canonical = serde_json::to_vec(parts).unwrap_or_default();
    encode(Fingerprint::of(&canonical).as_bytes())
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and thumbprint printed in RFC 7638 §3.1.
    #[test]
    fn the_rfc_s_own_key_has_the_rfc_s_thumbprint() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let parts = Parts::Rsa { e: "AQAB".into(), kty: "RSA".into(), n: n.into() };
        assert_eq!(thumbprint(&parts), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
