//! `/kakao/callback`, while there is no client to go back to.

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::flow::login::attempt::ATTEMPT_TTL;
use crate::flow::refusal::CallbackRefusal as Refusal;

const _: () = assert!(ATTEMPT_TTL.as_secs() == 600, "the sentence below says so");

pub(super) fn body(refusal: Refusal) -> ErrorBody {
    let (code, sentence) = match refusal {
        Refusal::AttemptUnknown => {
            ("attempt_unknown", "This browser has not begun this login, or has lost it.")
        }
        Refusal::AttemptExpired => ("attempt_expired", "The login took longer than ten minutes."),
        Refusal::Contradictory => ("callback_contradictory", "The answer contradicts itself."),
    };
    ErrorBody::new(ErrorStatus::BadRequest, OAuthError::InvalidRequest, code, sentence)
}
