//! What becomes of an account when its person leaves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::KakaoId;

/// What an unlink at Kakao does to the account (`account.on_unlink`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnlink {
    /// It stays, without a link: whoever returns finds it again.
    Keep,
    /// It stays and nobody gets in until the operator says so.
    Disable,
    /// It is deleted.
    Erase,
}

/// Who somebody is who returns after the account was deleted (`account.returning`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    /// A new user. Kakao's number is forgotten too.
    New,
    /// The same user as before, without the old data. Kakao's number is kept for it.
    Old,
}

/// What unlinking and returning do to an account, and who may delete it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountPolicy {
    /// After an unlink at Kakao.
    pub(crate) on_unlink: OnUnlink,
    /// After a deletion here.
    pub(crate) returning: Returning,
    /// How long ago the person may have logged in who deletes the account.
    pub(crate) fresh_login: Duration,
}

/// A Kakao account to be unlinked at Kakao, because its user was deleted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KakaoUnlink {
    /// Kakao's number.
    pub(crate) kakao_id: KakaoId,
    /// The refresh token that the account left behind, encrypted.
    #[serde(with = "base64_bytes")]
    pub(crate) refresh_token: Option<Vec<u8>>,
}

/// Bytes in JSON.
mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text).map_err(de::Error::custom)).transpose()
    }
}
