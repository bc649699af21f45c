//! Users: an id of ours, Kakao's member number, and what the person agreed to share.

use super::{Consent, KakaoId, Profile, Timestamp, UserId};

/// A user as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The `sub` of its tokens.
    pub id: UserId,
    /// Kakao's member number; `None` once the link is gone.
    pub kakao_id: Option<KakaoId>,
    /// What the person shares.
    pub profile: Profile,
    /// What the person agreed to.
    pub(crate) consent: Consent,
    /// When Kakao last refused this person for being under 14.
    pub(crate) under_age_at: Option<Timestamp>,
    /// Since when the person is no longer linked to the app at Kakao.
    pub unlinked_at: Option<Timestamp>,
    /// Since when the account is deleted: nothing but the id is left.
    pub deleted_at: Option<Timestamp>,
    /// When Kakao was last asked for the profile; an imported user's never was.
    pub profile_read_at: Option<Timestamp>,
    /// Roles given by the operator.
    pub roles: Vec<String>,
    /// Since when the operator keeps this user out.
    pub disabled_at: Option<Timestamp>,
    /// First login.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub updated_at: Timestamp,
    /// Last login.
    pub last_login_at: Timestamp,
}
