//! What the operator decides about logins, in small structs: `settings` builds them, flows take them.

use std::time::Duration;

use super::{AccountPolicy, Issuer, Limits};

/// All of it. A new setting of a flow is a field of one of its parts.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `server.public_url`: the `iss` of everything.
    pub(crate) issuer: Issuer,
    /// `[refresh]`
    pub(crate) refresh: RefreshPolicy,
    /// `[session]`
    pub(crate) session: SessionPolicy,
    /// `[account]`
    pub(crate) account: AccountPolicy,
    /// `[kakao]`, beside the app itself.
    pub(crate) kakao: KakaoPolicy,
    /// `[limits]`
    pub(crate) limits: Limits,
    /// The longest that an access token of any client lives: for so long the revocation feed remembers.
    pub longest_access_token: Duration,
}

/// How refresh tokens rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// For how long after a rotation the previous token is answered with the current one; zero: never.
    pub(crate) reuse_window: Duration,
}

/// How long a browser session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// One that no client uses.
    pub(crate) idle: Duration,
    /// One that is used all the time.
    pub(crate) absolute: Duration,
}

/// What flows do with Kakao, beyond what the app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KakaoPolicy {
    /// Whether the app has terms of Kakao Sync, which a login then reads.
    pub(crate) service_terms: bool,
    /// Whether KakaoTalk's own browser is tried without a page first.
    pub(crate) in_app_login: bool,
    /// How many Kakao links are renewed a minute; 0: none.
    pub(crate) renew_per_minute: u32,
}
