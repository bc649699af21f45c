//! Everything that a login attempt needs and that no server keeps: derived from the 32 random bytes (the seed) that its
//! sealed cookie carries, so that every repetition of a callback makes the same values again.
//!
//! What goes to Kakao (`state`, `nonce`, verifier) needs the seed alone. What logs somebody in here (the client's code, the
//! session's cookie) needs a key of this service too: who reads a cookie's plain text has neither.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Error, MasterKeys, code, random};
use crate::domain::{AuthorizationCode, KakaoState, SessionCookie, Verifier};

/// A fresh seed: 32 random bytes, base64url.
///
/// # Errors
/// When the random generator fails.
pub(crate) fn new_seed() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// The derivations of one attempt.
pub(crate) struct AttemptKeys<'a> {
    master: &'a MasterKeys,
    seed: &'a str,
}

impl<'a> AttemptKeys<'a> {
    /// Of the attempt with this seed.
    pub(crate) fn new(master: &'a MasterKeys, seed: &'a str) -> Self {
        Self { master, seed }
    }

    /// Our `state` at Kakao, which names the attempt.
    pub(crate) fn state(&self) -> KakaoState {
        KakaoState::new(self.derive(b"state"))
    }

    /// Our `nonce` for Kakao's ID token.
    pub(crate) fn nonce(&self) -> String {
        self.derive(b"nonce")
    }

    /// Our PKCE verifier for Kakao (RFC 7636 §4.1).
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.derive(b"verifier"))
    }

    /// The client's one-time code.
    pub(crate) fn code(&self) -> AuthorizationCode {
        code::of(&self.master.derive_code(self.seed.as_bytes()))
    }

    /// The value of the browser session's cookie.
    pub(crate) fn session_cookie(&self) -> SessionCookie {
        SessionCookie::new(URL_SAFE_NO_PAD.encode(self.master.derive_session(self.seed.as_bytes())))
    }

    fn derive(&self, label: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.seed.as_bytes());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_the_same_values_again_and_no_two_alike() {
        let master = MasterKeys::new(&[7; 32], []).unwrap();
        let seed = new_seed().unwrap();
        let all = |keys: &AttemptKeys<'_>| {
            [
                keys.state().reveal().to_owned(),
                keys.nonce(),
                keys.verifier().reveal().to_owned(),
                keys.code().reveal().to_owned(),
                keys.session_cookie().reveal().to_owned(),
            ]
        };
        let first = all(&AttemptKeys::new(&master, &seed));
        assert_eq!(first, all(&AttemptKeys::new(&master, &seed)));
        let mut values: Vec<String> = first.to_vec();
        values.extend(all(&AttemptKeys::new(&master, &new_seed().unwrap())));
        values.sort();
        values.dedup();
        assert_eq!(values.len(), 10);
    }

    #[test]
    fn without_the_master_key_a_seed_gives_neither_code_nor_cookie() {
        let (mine, other) = (MasterKeys::new(&[7; 32], []).unwrap(), MasterKeys::new(&[8; 32], []).unwrap());
        let (mine, other) = (AttemptKeys::new(&mine, "seed"), AttemptKeys::new(&other, "seed"));
        assert!(mine.state().matches(other.state().reveal()));
        assert!(!mine.code().matches(other.code().reveal()));
        assert!(!mine.session_cookie().matches(other.session_cookie().reveal()));
        assert!(mine.code().reveal().starts_with(code::PREFIX));
    }
}
