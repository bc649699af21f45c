//! `/oauth/logout`

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use super::request;
use crate::flow::refusal::LogoutRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::Request(refusal) => request::body(refusal),
        Refusal::PostLogoutUriUnknown => ErrorBody::new(
            ErrorStatus::BadRequest,
            OAuthError::InvalidRequest,
            "post_logout_redirect_uri_unknown",
            "post_logout_redirect_uri is not registered for this client. It must equal a registered one byte for byte.",
        ),
    }
}
