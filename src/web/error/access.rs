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
        Refusal::AccountNeedsResource => (
            InvalidScope,
            "account_needs_resource",
            "The scope account is given only with resource set to the issuer, and to nothing else.",
        ),
        Refusal::ScopesOfTwoApis => (
            InvalidScope,
            "scopes_of_two_apis",
            "users:read, kakao:token and admin are given only in a token of their own. Ask for the rest in another request.",
        ),
        Refusal::ResourceUnknown => (
            InvalidTarget,
            "resource_unknown",
            "resource must be the issuer, or among the audience of this client, and of this login. It must be the issuer for a scope of \
             this service.",
        ),
    };
    ErrorBody::new(ErrorStatus::BadRequest, oauth, code, sentence)
}
