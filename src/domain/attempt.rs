//! A login attempt: from the redirect to Kakao until Kakao's callback.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::grant::{CodeBinding, GrantRequest};
use super::{ClientId, Locale, Timestamp, UserId};

/// All that must be remembered while the person is at Kakao. It lives sealed in a cookie of the browser that started it,
/// never on the server: an abandoned attempt costs nothing.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginAttempt {
    /// What the client asked to be granted, and may have.
    #[serde(flatten)]
    pub(crate) request: GrantRequest,
    /// What its code will be bound to.
    #[serde(flatten)]
    pub(crate) binding: CodeBinding,
    /// Its `state`, returned unchanged.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// 32 random bytes, base64url, known to this cookie alone. Our `state`, nonce and verifier for Kakao, the client's code and
    /// the session's cookie are derived from it.
    #[serde(rename = "e")]
    pub(crate) seed: String,
    /// Whom the client expects (`id_token_hint`).
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<UserId>,
    /// How long before the attempt's begin the person may have logged in at Kakao, seconds, if the client sets a limit
    /// (`prompt=login`, `max_age`).
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_login: Option<u64>,
    /// How the answer travels.
    #[serde(rename = "m", default)]
    pub(crate) mode: ResponseMode,
    /// Kakao was asked not to show a page (`prompt=none`): if it must, it is asked again.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) prompt_none: bool,
    /// `login_hint`, for the page that Kakao may have to show after all.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(crate) login_hint: Option<String>,
    /// When it began.
    #[serde(rename = "b")]
    pub(crate) began_at: Timestamp,
    /// The language of its pages.
    #[serde(rename = "l")]
    pub(crate) locale: Locale,
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").field("client", &self.request.client).finish_non_exhaustive()
    }
}

/// Where a login began, for a browser that has lost the attempt's cookie. It travels, sealed, in the `state` that goes to Kakao.
/// Whoever shows that `state` is a stranger, so it holds nothing of the client's `state`, `nonce` or challenge.
#[derive(Clone, Serialize, Deserialize)]
pub struct ResumeToken {
    /// The client that asked.
    #[serde(rename = "c")]
    pub(crate) client: ClientId,
    /// Where its answer was to go.
    #[serde(rename = "r")]
    pub(crate) redirect_uri: String,
    /// How its answer was to travel.
    #[serde(rename = "m", default)]
    pub(crate) mode: ResponseMode,
    /// When the login began.
    #[serde(rename = "b")]
    pub(crate) began_at: Timestamp,
}

/// How an authorization response travels (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    #[serde(rename = "q")]
    Query,
    /// In a form that the browser posts.
    #[serde(rename = "f")]
    FormPost,
}

/// How far a claimed attempt has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Nobody has claimed it.
    Unclaimed,
    /// Its winner is at it, or has died.
    Running {
        /// When it was claimed.
        claimed_at: Timestamp,
    },
    /// Its grant exists: the code can be derived again from the cookie.
    LoggedIn,
    /// It ended without a login.
    Failed(AttemptFailure),
}

/// Why a claimed attempt ended without a login, as stable codes: another release may have written them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptFailure {
    /// The machine code of what the client is told.
    pub code: String,
    /// The id of the fault at Kakao behind it, if there was one.
    pub fault: Option<String>,
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Some(fault) => write!(f, "{:?} ({fault:?})", self.code),
            None => write!(f, "{:?}", self.code),
        }
    }
}
