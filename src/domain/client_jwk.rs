//! The public keys with which a client proves who it is (RFC 7523 §2.2, RFC 7517).

use serde_json::{Map, Value};

use super::SigningAlg;

/// A public key of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientJwk {
    /// Which of the client's keys it is, if it says so.
    pub(crate) kid: Option<String>,
    /// The one algorithm it is for.
    pub(crate) alg: SigningAlg,
    /// The JWK, with its public members alone.
    pub(crate) json: String,
}

impl ClientJwk {
    /// Reads a JWK of the settings.
    ///
    /// # Errors
    /// When it is not a public key that we can verify with; the sentence says what to write.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        let Value::Object(members) = value else { return Err("each key must be a table (a JWK)".to_owned()) };
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return Err("it holds a private key: keep that one, and write the public one here".to_owned());
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        // The lengths of 32 bytes, and of the modulus of 2048 bits, in base64url.
        let (alg, wanted): (_, &[(&str, usize)]) = match (text("kty"), text("crv")) {
            ("EC", "P-256") => (SigningAlg::Es256, &[("x", 43), ("y", 43)]),
            ("OKP", "Ed25519") => (SigningAlg::EdDsa, &[("x", 43)]),
            ("RSA", "") => (SigningAlg::Rs256, &[("n", 342), ("e", 2)]),
            _ => return Err("it must be of kty EC (P-256), OKP (Ed25519) or RSA".to_owned()),
        };
        let mut public = Map::new();
        for (name, shortest) in wanted {
            let value = text(name);
            let is_base64url = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !is_base64url || value.len() < *shortest {
                return Err(format!("{name} must be base64url of the right length (RSA: 2048 bits or more)"));
            }
            public.insert((*name).to_owned(), value.into());
        }
        if members.contains_key("alg") && text("alg") != alg.name() {
            return Err(format!("alg must be {} for this key, or absent", alg.name()));
        }
        for name in ["kty", "crv"] {
            if members.contains_key(name) {
                public.insert(name.to_owned(), text(name).into());
            }
        }
        let kid = members.get("kid").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { kid, alg, json: Value::Object(public).to_string() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn public_keys_are_read_and_everything_else_says_what_to_write() {
        let x = "a".repeat(43);
        let good = json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "kid": "one", "use": "sig"});
        let key = ClientJwk::read(&good).unwrap();
        assert_eq!((key.kid.as_deref(), key.alg), (Some("one"), SigningAlg::Es256));
        assert!(!key.json.contains("use"));
        for (bad, why) in [
            (json!("text"), "table"),
            (json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "d": x}), "private"),
            (json!({"kty": "oct", "k": "secret"}), "private"),
            (json!({"kty": "EC", "crv": "P-384", "x": x, "y": x}), "EC (P-256)"),
            (json!({"kty": "EC", "crv": "P-256", "x": x}), "y must be"),
            (json!({"kty": "RSA", "n": x, "e": "AQAB"}), "2048"),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "+".repeat(43)}), "x must be"),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "ES256"}), "alg must be"),
        ] {
            let said = ClientJwk::read(&bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
