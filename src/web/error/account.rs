//! `/v1/me`, `/v1/users`, `/v1/admin`

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::flow::refusal::AccountRefusal as Refusal;

pub(super) fn body(refusal: Refusal) -> ErrorBody {
    let (status, oauth, code, sentence) = match refusal {
        Refusal::NotFound => (
            ErrorStatus::NotFound,
            OAuthError::InvalidRequest,
            "not_found",
            "There is nothing of this id, or it is not yours.",
        ),
        Refusal::UserDisabled => (
            ErrorStatus::Forbidden,
            OAuthError::InvalidGrant,
            "user_disabled",
            "This account has been disabled.",
        ),
        Refusal::UserDeleted => {
            (ErrorStatus::Gone, OAuthError::InvalidGrant, "user_deleted", "This account has been deleted.")
        }
    };
    ErrorBody::new(status, oauth, code, sentence)
}
