//! What a client may have.

use super::body::ErrorBody;
use super::code::ErrorStatus;
use super::code::OAuthError::{InvalidScope, InvalidTarget, UnauthorizedClient};
use crate::flow::refusal::AccessRefusal as Refusal;

pub(super) fn body(refusal: Refusal) -> ErrorBody {
    let (oauth, code, sentence) = match refusal {
        Refusal::GrantTypeNotAllowed => {
            (UnauthorizedClient, "grant_not_allowed", "This client may not use this grant type.")
        }
        Refusal::ScopeInvalid => (
            InvalidScope,
            "scope_invalid",
            "scope must name at least one scope that this client may have, of printable ASCII without quotes.",
        ),
        Refusal::ScopeWider => (InvalidScope, "scope_wider", "scope asks for more than was granted."),
        Refusal::ResourceUnknown => (
            InvalidTarget,
            "resource_unknown",
            "resource must be among the audience of this client, and of this login.",
        ),
    };
    ErrorBody::new(ErrorStatus::BadRequest, oauth, code, sentence)
}
