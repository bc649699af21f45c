//! What the exchange of a token of Kakao's SDK may refuse.

use std::time::Duration;

use super::access::AccessRefusal;
use super::account::AccountRefusal;
use super::limit::LimitRefusal;
use crate::kakao::KnownFault;

/// A token of Kakao's that an app hands in logs nobody in (RFC 8693 §2.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectTokenRefusal {
    /// It cannot be used; the sentence says what was expected.
    Invalid(String),
    /// The same ID token of the same client, a moment ago.
    Repeated,
    /// The ID token has logged somebody in.
    Used,
    /// The same token was handed in too often.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Kakao did not say whose it is.
    Kakao(&'static KnownFault),
    /// Kakao has a fault that passes: the token stays good.
    KakaoTryLater {
        /// What passes.
        fault: &'static KnownFault,
        /// When to try again, where that is known.
        retry_after: Option<Duration>,
    },
    /// Too many came from this caller that log nobody in.
    Limited(LimitRefusal),
    /// The user may not log in.
    Account(AccountRefusal),
    /// It asks for what the client may not have.
    Access(AccessRefusal),
}
