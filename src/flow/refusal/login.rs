//! Why a claimed login attempt ended without a login.

use crate::domain::AttemptFailure;
use crate::kakao::{FaultKind, KnownFault};

/// A login attempt that was claimed and ends without a login. The client is told of it at its redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// Kakao did not log the person in: they cancelled, they are under 14, Kakao is out of order …; the row says which.
    Kakao(&'static KnownFault),
    /// The operator keeps this user out.
    UserDisabled,
    /// Another user logged in than the client's `id_token_hint` names.
    OtherUser,
    /// The client asked for a recent login, and Kakao does not say when it was.
    LoginTimeUnknown,
    /// The client asked for a recent login, and the person's at Kakao is too old.
    LoginTooOld,
    /// The same in KakaoTalk's own browser, where Kakao cannot be asked for a new login.
    LoginTooOldInApp,
    /// This attempt can lead nowhere any more; a new one can.
    StartAgain,
    /// Too many codes of the user wait at the client, which exchanges none.
    TooManyCodes,
}

impl LoginRefusal {
    /// Those behind which there is no fault at Kakao.
    pub(crate) const WITHOUT_FAULT: [Self; 7] = [
        Self::UserDisabled,
        Self::OtherUser,
        Self::LoginTimeUnknown,
        Self::LoginTooOld,
        Self::LoginTooOldInApp,
        Self::StartAgain,
        Self::TooManyCodes,
    ];

    /// The stable machine code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Kakao(fault) => fault.kind.code(),
            Self::UserDisabled => "user_disabled",
            Self::OtherUser => "other_user",
            Self::LoginTimeUnknown => "login_time_unknown",
            Self::LoginTooOld => "login_too_old",
            Self::LoginTooOldInApp => "login_too_old_in_app",
            Self::StartAgain => "start_again",
            Self::TooManyCodes => "too_many_codes",
        }
    }

    /// Whether the attempt leads nowhere, as with a code that Kakao does not know.
    pub(crate) fn is_start_again(self) -> bool {
        match self {
            Self::StartAgain => true,
            Self::Kakao(fault) => fault.kind == FaultKind::StartAgain,
            _ => false,
        }
    }

    /// The fault at Kakao behind it, if there is one.
    pub(crate) const fn fault(self) -> Option<&'static KnownFault> {
        match self {
            Self::Kakao(fault) => Some(fault),
            _ => None,
        }
    }

    /// The refusal of which this was stored. What another release stored may be unknown.
    pub(crate) fn find(failure: &AttemptFailure) -> Option<Self> {
        match &failure.fault {
            Some(id) => KnownFault::find(id).map(Self::Kakao),
            None => Self::WITHOUT_FAULT.into_iter().find(|refusal| refusal.code() == failure.code),
        }
    }
}
