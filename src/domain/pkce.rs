//! Proof Key for Code Exchange (RFC 7636), S256 only.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Verifier;

/// A `code_challenge` made with S256 (RFC 7636 §4.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

/// The text cannot be a challenge or a verifier: 43 to 128 unreserved characters (RFC 7636 §4.1 and §4.2).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 43 to 128 characters from A-Z a-z 0-9 - . _ ~")]
pub(crate) struct Malformed;

impl CodeChallenge {
    /// Takes a challenge as a client sent it.
    ///
    /// # Errors
    /// When the length or a character is outside RFC 7636 §4.2.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        unreserved(text).then(|| Self(text.to_owned())).ok_or(Malformed)
    }

    /// The challenge of a verifier: base64url of its SHA-256.
    pub fn of(verifier: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())))
    }

    /// Whether the verifier is the one this challenge was made of (RFC 7636 §4.6).
    pub(crate) fn accepts(&self, verifier: &CodeVerifier) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), Self::of(verifier.0.reveal()).0.as_bytes()).is_ok()
    }

    /// The text, as it goes into a URL or the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[code_challenge]")
    }
}

/// A `code_verifier` (RFC 7636 §4.1).
#[derive(Clone, Debug)]
pub(crate) struct CodeVerifier(Verifier);

impl CodeVerifier {
    /// Takes a verifier as a client sent it.
    ///
    /// # Errors
    /// When the length or a character is outside RFC 7636 §4.1.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        unreserved(text).then(|| Self(Verifier::new(text))).ok_or(Malformed)
    }
}

fn unreserved(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair printed in RFC 7636, Appendix B.
    #[test]
    fn the_rfc_s_own_pair_fits() {
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert!(challenge.accepts(&verifier));
        let other = CodeVerifier::parse(&"a".repeat(43)).unwrap();
        assert!(!challenge.accepts(&other));
    }

    #[test]
    fn lengths_and_characters_outside_the_grammar_are_refused() {
        for bad in
            ["a".repeat(42), "a".repeat(129), format!("{}+", "a".repeat(43)), "가".repeat(43), String::new()]
        {
            assert!(CodeChallenge::parse(&bad).is_err(), "{bad}");
            assert!(CodeVerifier::parse(&bad).is_err(), "{bad}");
        }
        assert!(CodeVerifier::parse(&"~".repeat(128)).is_ok());
    }
}
