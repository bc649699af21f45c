//! The master key and the keys derived from it: encryption (AEAD) and message authentication.
//!
//! Every use has a key of its own (HKDF-SHA256, RFC 5869), so that a value encrypted for one purpose opens for no other.
//! Older master keys open and verify, the current one encrypts and signs: that is how the master key is rotated.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;

use super::{Error, random};

/// What a derived key is for. The texts are part of the format: changing one makes old values unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The cookie of a login attempt.
    LoginCookie,
    /// A Kakao refresh token in the store.
    KakaoRefreshToken,
    /// A Kakao access token in the cache.
    KakaoAccessToken,
    /// The private part of a signing key in the store.
    SigningKey,
    /// Where a logout goes on after Kakao's.
    LogoutState,
    /// The request of a login whose cookie may be lost.
    ResumeToken,
    /// The request of a login before which the person is asked.
    LoginRequest,
    /// An event of Kakao's that the database could not take yet.
    WebhookEvent,
}

impl Purpose {
    const ALL: [Self; 8] = [
        Self::LoginCookie,
        Self::KakaoRefreshToken,
        Self::KakaoAccessToken,
        Self::SigningKey,
        Self::LogoutState,
        Self::ResumeToken,
        Self::LoginRequest,
        Self::WebhookEvent,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::LoginCookie => "kakao-auth login cookie",
            Self::KakaoRefreshToken => "kakao-auth kakao refresh token",
            Self::KakaoAccessToken => "kakao-auth kakao access token",
            Self::SigningKey => "kakao-auth signing key",
            Self::LogoutState => "kakao-auth logout state",
            Self::ResumeToken => "kakao-auth resume token",
            Self::LoginRequest => "kakao-auth login request",
            Self::WebhookEvent => "kakao-auth webhook event",
        }
    }
}

const KEY_ID_LEN: usize = 4;

/// The current master key and the older ones, as their derived keys. Cheap to share behind an `Arc`.
pub struct MasterKeys {
    current: Derived,
    previous: Vec<Derived>,
}

struct Derived {
    encryption: [(LessSafeKey, [u8; KEY_ID_LEN]); Purpose::ALL.len()],
    refresh_token: hmac::Key,
    code: hmac::Key,
    session: hmac::Key,
    nonce: hmac::Key,
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

impl Derived {
    fn of(master: &[u8; 32]) -> Result<Self, Error> {
        let root = Salt::new(HKDF_SHA256, b"kakao-auth").extract(master);
        let expand = |label: &str| -> Result<[u8; 32], Error> {
            let mut out = [0; 32];
            let info = [label.as_bytes()];
            root.expand(&info, Bytes32)
                .and_then(|okm| okm.fill(&mut out))
                .map_err(|_| Error::Crypto("key derivation"))?;
            Ok(out)
        };
        let encryption = |purpose: Purpose| -> Result<(LessSafeKey, [u8; KEY_ID_LEN]), Error> {
            let key = UnboundKey::new(&AES_256_GCM_SIV, &expand(purpose.label())?)
                .map_err(|_| Error::Crypto("making an AEAD key"))?;
            let mut id = [0; KEY_ID_LEN];
            id.copy_from_slice(&expand(&format!("{} id", purpose.label()))?[..KEY_ID_LEN]);
            Ok((LessSafeKey::new(key), id))
        };
        let [cookie, refresh, access, signing, logout, resume, request, event] = Purpose::ALL;
        Ok(Self {
            encryption: [
                encryption(cookie)?,
                encryption(refresh)?,
                encryption(access)?,
                encryption(signing)?,
                encryption(logout)?,
                encryption(resume)?,
                encryption(request)?,
                encryption(event)?,
            ],
            refresh_token: hmac::Key::new(hmac::HMAC_SHA256, &expand("kakao-auth refresh token")?),
            code: hmac::Key::new(hmac::HMAC_SHA256, &expand("kakao-auth authorization code")?),
            session: hmac::Key::new(hmac::HMAC_SHA256, &expand("kakao-auth browser session")?),
            nonce: hmac::Key::new(hmac::HMAC_SHA256, &expand("kakao-auth nonce")?),
        })
    }

    fn encryption(&self, purpose: Purpose) -> &(LessSafeKey, [u8; KEY_ID_LEN]) {
        &self.encryption[purpose as usize]
    }
}

impl MasterKeys {
    /// Derives all keys from the current master key and the older ones.
    ///
    /// # Errors
    /// When the crypto library refuses, which it does not for keys of 32 bytes.
    pub fn new<'a>(
        current: &[u8; 32],
        previous: impl IntoIterator<Item = &'a [u8; 32]>,
    ) -> Result<Self, Error> {
        Ok(Self {
            current: Derived::of(current)?,
            previous: previous.into_iter().map(Derived::of).collect::<Result<_, _>>()?,
        })
    }

    /// Encrypts a value so that only this purpose and `context` open it: key id ‖ nonce ‖ ciphertext ‖ tag.
    ///
    /// AES-256-GCM-SIV (RFC 8452): with random nonces it stays safe far beyond the 2³² messages of plain GCM.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn encrypt(&self, purpose: Purpose, context: &[u8], value: &[u8]) -> Result<Vec<u8>, Error> {
        let (key, id) = self.current.encryption(purpose);
        let nonce = random::<NONCE_LEN>()?;
        let mut out = Vec::with_capacity(KEY_ID_LEN + NONCE_LEN + value.len() + AES_256_GCM_SIV.tag_len());
        out.extend_from_slice(id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(value);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut out[KEY_ID_LEN + NONCE_LEN..],
            )
            .map_err(|_| Error::Crypto("encryption"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Names the key that encrypts now: the first bytes of what it encrypted.
    pub(crate) fn key_id(&self, purpose: Purpose) -> &[u8] {
        &self.current.encryption(purpose).1
    }

    /// Opens what [`MasterKeys::encrypt`] encrypted for the same purpose and context, with the current or an older master key.
    /// `None` when it was tampered with, cut, or encrypted for something else.
    pub fn decrypt(&self, purpose: Purpose, context: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = encrypted.split_at_checked(KEY_ID_LEN)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN)?;
        let (key, _) = self.all().map(|derived| derived.encryption(purpose)).find(|(_, mine)| mine == id)?;
        let mut buffer = ciphertext.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = key.open_in_place(nonce, Aad::from(context), &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }

    /// The tag of a refresh token's body.
    pub(super) fn refresh_tag(&self, body: &[u8]) -> hmac::Tag {
        hmac::sign(&self.current.refresh_token, body)
    }

    /// Whether this is the tag of a refresh token's body, under the current or an older master key.
    pub(super) fn refresh_tag_fits(&self, body: &[u8], tag: &[u8]) -> bool {
        self.all().any(|derived| hmac::verify(&derived.refresh_token, body, tag).is_ok())
    }

    /// 32 bytes that only this service can derive from `seed`: the same for whoever holds the attempt's cookie.
    pub(super) fn derive_code(&self, seed: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.current.code, seed).as_ref());
        out
    }

    /// The same for the cookie of the session that the attempt begins.
    pub(super) fn derive_session(&self, seed: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.current.session, seed).as_ref());
        out
    }

    /// The tag of a nonce that we issue.
    pub(crate) fn nonce_tag(&self, body: &[u8]) -> hmac::Tag {
        hmac::sign(&self.current.nonce, body)
    }

    /// Whether this is the beginning of a nonce's tag, under the current or an older master key.
    pub(crate) fn nonce_tag_fits(&self, body: &[u8], tag: &[u8]) -> bool {
        self.all().any(|derived| {
            let whole = hmac::sign(&derived.nonce, body);
            whole.as_ref().get(..tag.len()).is_some_and(|mine| verify_slices_are_equal(mine, tag).is_ok())
        })
    }

    fn all(&self) -> impl Iterator<Item = &Derived> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: u8, previous: &[u8]) -> MasterKeys {
        let previous: Vec<[u8; 32]> = previous.iter().map(|b| [*b; 32]).collect();
        MasterKeys::new(&[current; 32], &previous).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_context_only() {
        let keys = keys(1, &[]);
        let encrypted = keys.encrypt(Purpose::LoginCookie, b"login-abc", b"value").unwrap();
        assert_eq!(
            keys.decrypt(Purpose::LoginCookie, b"login-abc", &encrypted).as_deref(),
            Some(&b"value"[..])
        );
        assert_eq!(keys.decrypt(Purpose::LoginCookie, b"login-abd", &encrypted), None);
        assert_eq!(keys.decrypt(Purpose::KakaoAccessToken, b"login-abc", &encrypted), None);
    }

    #[test]
    fn a_changed_or_cut_value_does_not_open() {
        let keys = keys(1, &[]);
        let encrypted = keys.encrypt(Purpose::SigningKey, b"", b"value").unwrap();
        for i in 0..encrypted.len() {
            let mut changed = encrypted.clone();
            changed[i] ^= 1;
            assert_eq!(keys.decrypt(Purpose::SigningKey, b"", &changed), None, "byte {i}");
            assert_eq!(keys.decrypt(Purpose::SigningKey, b"", &encrypted[..i]), None, "length {i}");
        }
    }

    #[test]
    fn an_older_master_key_still_opens_and_a_forgotten_one_does_not() {
        let encrypted = keys(1, &[]).encrypt(Purpose::KakaoRefreshToken, b"7", b"token").unwrap();
        assert!(keys(2, &[1]).decrypt(Purpose::KakaoRefreshToken, b"7", &encrypted).is_some());
        assert!(keys(2, &[]).decrypt(Purpose::KakaoRefreshToken, b"7", &encrypted).is_none());
    }

    #[test]
    fn ten_thousand_codes_and_cookies_are_unique_and_share_no_beginning() {
        let keys = keys(1, &[]);
        let mut values = std::collections::HashSet::new();
        let mut beginnings = std::collections::HashSet::new();
        for seed in 0..10_000_u32 {
            let seed = seed.to_be_bytes();
            for value in [keys.derive_code(&seed), keys.derive_session(&seed)] {
                assert!(values.insert(value));
                beginnings.insert(value[0]);
            }
        }
        assert_eq!(beginnings.len(), 256, "all beginnings occur");
    }

    #[test]
    fn the_same_value_never_encrypts_to_the_same_bytes() {
        let keys = keys(1, &[]);
        assert_ne!(
            keys.encrypt(Purpose::SigningKey, b"", b"v").unwrap(),
            keys.encrypt(Purpose::SigningKey, b"", b"v").unwrap()
        );
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// Nothing opens but what was encrypted.
    #[test]
    fn encrypted_values() {
        let keys = MasterKeys::new(&[1; 32], &[[2; 32]]).unwrap();
        let genuine = keys.encrypt(Purpose::LoginCookie, b"context", b"value").unwrap();
        bolero::check!().with_type::<(u16, u8, Vec<u8>)>().for_each(|(at, byte, bytes)| {
            let mut changed = genuine.clone();
            let at = usize::from(*at) % changed.len();
            changed[at] = *byte;
            for value in [&changed, bytes] {
                let decrypted = keys.decrypt(Purpose::LoginCookie, b"context", value);
                assert!(*value == genuine || decrypted.is_none());
            }
        });
    }
}
