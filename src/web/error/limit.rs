//! What any endpoint may refuse for now.

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::flow::refusal::LimitRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    ErrorBody::new(
        ErrorStatus::TooManyRequests,
        OAuthError::TemporarilyUnavailable,
        "too_many_requests",
        "Too many requests came from this address that failed or prove nothing. Try again after Retry-After.",
    )
    .limited(refusal)
}
