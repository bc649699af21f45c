//! Faults at Kakao, at whichever door.

use std::time::Duration;

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::kakao::{FaultKind, KnownFault};

/// The login can lead nowhere any more.
pub(super) const START_AGAIN: &str = "The login could not be completed. Start it again.";

/// What a fault is to a client. The sentence ends with its id.
pub(super) fn fault(fault: &'static KnownFault) -> ErrorBody {
    let (status, oauth, sentence) = match fault.kind {
        FaultKind::Cancelled => {
            (ErrorStatus::Forbidden, OAuthError::AccessDenied, "The person cancelled the login.")
        }
        FaultKind::UnderAge => (
            ErrorStatus::Forbidden,
            OAuthError::AccessDenied,
            "Kakao does not let people under 14 use this app.",
        ),
        FaultKind::PersonRefused => {
            (ErrorStatus::Forbidden, OAuthError::AccessDenied, "Kakao did not let the person log in.")
        }
        FaultKind::StartAgain => (ErrorStatus::Forbidden, OAuthError::TemporarilyUnavailable, START_AGAIN),
        FaultKind::TryLater => return try_later(fault),
        FaultKind::KakaoBroken => {
            (ErrorStatus::BadGateway, OAuthError::ServerError, "Kakao gave an answer that cannot be used.")
        }
        FaultKind::SetupWrong => (
            ErrorStatus::BadGateway,
            OAuthError::ServerError,
            "The set-up of the login at Kakao is wrong. Tell the operator.",
        ),
    };
    of(fault, ErrorBody::new(status, oauth, fault.kind.code(), sentence))
}

/// A fault that passes, of whatever kind.
pub(super) fn try_later(fault: &'static KnownFault) -> ErrorBody {
    let (status, oauth) = (ErrorStatus::ServiceUnavailable, OAuthError::TemporarilyUnavailable);
    let sentence = "Kakao does not answer. Try again in a moment.";
    of(fault, ErrorBody::new(status, oauth, FaultKind::TryLater.code(), sentence)).retry_soon()
}

/// Kakao is left alone for a while.
pub(super) fn busy(retry_after: Duration) -> ErrorBody {
    let (status, oauth) = (ErrorStatus::ServiceUnavailable, OAuthError::TemporarilyUnavailable);
    let sentence = "Kakao asked to wait, and everybody does. Try again after Retry-After.";
    ErrorBody::new(status, oauth, "kakao_busy", sentence).retry_after(retry_after)
}

fn of(fault: &'static KnownFault, mut body: ErrorBody) -> ErrorBody {
    body.sentence = format!("{} ({})", body.sentence, fault.id).into();
    body.fault = Some(fault);
    body
}
