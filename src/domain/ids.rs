//! Identifiers, each its own type, so that one cannot be passed for another.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Fingerprint;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one; time-ordered (RFC 9562 version 7), so that inserts stay at the end of the index.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// A user of ours: the `sub` of every token. Never Kakao's number, which belongs to one Kakao app.
    UserId
}
uuid_id! {
    /// One login at one client and all the tokens that come of it: the `sid` of its access tokens.
    GrantId
}

uuid_id! {
    /// One person in one browser.
    BrowserSessionId
}

/// The `client_id` of a client (RFC 6749 §2.2), as written in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub String);

impl ClientId {
    /// The bare text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Kakao's member number (회원번호): `id` of `/v2/user/me`, `sub` of Kakao's ID token. Up to 19 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KakaoId(pub i64);

impl fmt::Display for KakaoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an attempt: a digest of the `state` that went to Kakao, so that the state finds its cookie but the cookie's name
/// does not tell the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId([u8; 12]);

impl AttemptId {
    /// The attempt to which this `state` belongs.
    pub fn of_state(state: &str) -> Self {
        let mut id = [0; 12];
        id.copy_from_slice(&Fingerprint::of(state.as_bytes()).as_bytes()[..12]);
        Self(id)
    }

    /// The bytes, as the store keeps them.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}
