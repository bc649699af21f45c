//! Secrets: one type per kind, so that they cannot be confused. None can be printed, none compares by accident, and what
//! compares does so in constant time.

use std::fmt::{self, Write};
use std::marker::PhantomData;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A text that must not reach a log, of the kind `K`. It has no `PartialEq`, and prints as the name of its kind in brackets;
/// the raw text leaves only through [`Secret::reveal`] and [`reveal`], which are easy to search for.
pub struct Secret<K> {
    text: String,
    kind: PhantomData<K>,
}

/// What a secret is: the name that is printed in its place.
pub(crate) trait Kind {
    /// `authorization code`
    const NAME: &'static str;
}

/// One kind a line, with the alias by which the code names its secrets.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)*) => {
        /// The kinds of secrets; nothing has a value of them.
        #[expect(unreachable_pub, reason = "some of the aliases below are public; the kinds are never named themselves")]
        pub(crate) mod kind {
            $($(#[$doc])* pub enum $kind {})*
        }

        $(
            impl Kind for kind::$kind {
                const NAME: &'static str = $name;
            }

            $(#[$doc])*
            pub(crate) type $kind = Secret<kind::$kind>;
        )*
    };
}

kinds! {
    /// Our one-time code (RFC 6749 §1.3.1).
    AuthorizationCode = "authorization code";
    /// Our access token (RFC 9068).
    AccessToken = "access token";
    /// Our refresh token (RFC 6749 §1.5).
    RefreshToken = "refresh token";
    /// Our ID token.
    SignedIdToken = "ID token";
    /// Our logout token (OpenID Connect Back-Channel Logout §2.4).
    LogoutToken = "logout token";
    /// A token of ours of which the caller has not said which kind it is (RFC 7009 §2.1, RFC 7662 §2.1).
    AnyToken = "token";
    /// The value of a browser session's cookie.
    SessionCookie = "session cookie";
    /// The text of a PKCE verifier (RFC 7636 §4.1), a client's or ours for Kakao.
    Verifier = "code verifier";
    /// A client's secret.
    ClientSecret = "client secret";
    /// A client's signed assertion (RFC 7523).
    ClientAssertion = "client assertion";
    /// Our `state` at Kakao.
    KakaoState = "Kakao state";
    /// The `nonce` in an ID token of Kakao's.
    KakaoNonce = "Kakao nonce";
    /// Kakao's one-time code.
    KakaoCode = "Kakao code";
    /// Kakao's access token.
    KakaoAccessToken = "Kakao access token";
    /// Kakao's refresh token.
    KakaoRefreshToken = "Kakao refresh token";
    /// Kakao's ID token.
    KakaoIdToken = "Kakao ID token";
    /// The client secret of our app at Kakao.
    KakaoClientSecret = "Kakao client secret";
    /// The admin key of our app at Kakao.
    AdminKey = "admin key";
    /// The address of a store, which may hold a password.
    StoreUrl = "store URL";
    /// What the confirmation page of a logout must send back.
    LogoutConfirmation = "logout confirmation";
}

impl<K> Secret<K> {
    /// Takes the text over.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: PhantomData }
    }

    /// The raw text. Whoever calls this answers for where it goes.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The SHA-256 of the text: what the store keeps instead of it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.text.as_bytes())
    }

    /// Whether both are the same text, in time that depends on the length alone.
    pub(crate) fn matches(&self, other: &str) -> bool {
        verify_slices_are_equal(self.text.as_bytes(), other.as_bytes()).is_ok()
    }
}

/// Writes the raw text into an answer, for `#[serde(serialize_with)]` on the field of the one type that is the answer.
pub(crate) fn reveal<K, S: Serializer>(secret: &Secret<K>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.reveal().serialize(serializer)
}

/// The same for one that may be absent.
#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
pub(crate) fn reveal_some<K, S: Serializer>(
    secret: &Option<Secret<K>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::reveal).serialize(serializer)
}

// By hand: the derived ones would ask the same of `K`.
impl<K> Clone for Secret<K> {
    fn clone(&self) -> Self {
        Self::new(self.text.clone())
    }
}

impl<K> Zeroize for Secret<K> {
    fn zeroize(&mut self) {
        self.text.zeroize();
    }
}

impl<K> Drop for Secret<K> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<K> ZeroizeOnDrop for Secret<K> {}

impl<K: Kind> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", K::NAME)
    }
}

/// A SHA-256 digest that stands for a secret in the store and in the settings.
#[derive(Clone, Copy)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(out)
    }

    /// From 32 stored bytes; `None` if there are not exactly 32.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// 64 hexadecimal digits, as the settings write it.
    pub fn to_hex(self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Fingerprint {}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[fingerprint]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = AuthorizationCode::new("kac_very-secret");
        assert_eq!(format!("{secret:?} {:?}", secret.fingerprint()), "[authorization code] [fingerprint]");
    }

    #[test]
    fn secrets_match_only_their_own_text() {
        let secret = ClientSecret::new("one");
        assert!(secret.matches("one"));
        assert!(!secret.matches("two"));
        assert!(!secret.matches("one "));
    }
}
