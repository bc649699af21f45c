//! Any request.

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::flow::refusal::RequestRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    let (code, sentence) = match refusal {
        Refusal::ParameterRepeated(name) => ("parameter_repeated", repeated(name)),
        Refusal::ParameterMissing(name) => ("parameter_missing", format!("{name} is missing.")),
        Refusal::ParameterInvalid(name, why) => ("parameter_invalid", format!("{name} is not valid: {why}.")),
        Refusal::Unreadable(why) => ("request_unreadable", format!("The request cannot be read: {why}.")),
        Refusal::ClientUnknown => (
            "client_unknown",
            "No client has this client_id. Check the id, or ask the operator to add it.".to_owned(),
        ),
    };
    ErrorBody::new(ErrorStatus::BadRequest, OAuthError::InvalidRequest, code, sentence)
}

pub(super) fn repeated(name: &str) -> String {
    format!("{name} occurs more than once.")
}
