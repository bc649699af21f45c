//! What a backend service that asks for a user's Kakao token may be refused.

use std::time::Duration;

use super::account::AccountRefusal;
use crate::kakao::KnownFault;

/// There is no Kakao token to hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KakaoTokenRefusal {
    /// What we hold of the user's Kakao tokens is dead: the user must log in again.
    ReauthenticationRequired,
    /// The user has not agreed to these consent items.
    ConsentRequired { items: Vec<String> },
    /// Kakao asked to wait, and everybody does.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Kakao did not give one.
    Kakao(&'static KnownFault),
    /// There is no such user, or not any more.
    Account(AccountRefusal),
}
