//! Client authentication.

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::flow::refusal::ClientRefusal as Refusal;

pub(super) fn body(refusal: Refusal) -> ErrorBody {
    match refusal {
        Refusal::AuthenticationFailed { .. } => ErrorBody::new(
            ErrorStatus::Unauthorized,
            OAuthError::InvalidClient,
            "client_unproven",
            "The client is unknown, or its secret is wrong or missing.",
        ),
        Refusal::TwoCredentials => ErrorBody::new(
            ErrorStatus::BadRequest,
            OAuthError::InvalidRequest,
            "two_credentials",
            "Authenticate the client by Basic or in the body, not both.",
        ),
        Refusal::TooManyFailures(refusal) => ErrorBody::new(
            ErrorStatus::TooManyRequests,
            OAuthError::InvalidClient,
            "too_many_failures",
            "Too many wrong secrets for this client from this address. A right one still passes.",
        )
        .limited(&refusal),
    }
}
