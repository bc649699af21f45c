//! `/oauth/token`, `/oauth/revoke`

use super::body::ErrorBody;
use super::code::ErrorStatus;
use super::code::OAuthError::{InvalidGrant, InvalidRequest, UnsupportedGrantType, UnsupportedTokenType};
use super::{access, request};
use crate::flow::refusal::TokenRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    let (oauth, code, sentence) = match refusal {
        Refusal::Access(refusal) => return access::body(*refusal),
        Refusal::Request(refusal) => return request::body(refusal),
        Refusal::GrantTypeUnsupported => (
            UnsupportedGrantType,
            "grant_type_unsupported",
            "grant_type must be authorization_code, refresh_token, client_credentials or \
             urn:ietf:params:oauth:grant-type:token-exchange.",
        ),
        Refusal::CodeInvalid => (
            InvalidGrant,
            "code_invalid",
            "The code is unknown, expired, already used, or of another client. Start a new login.",
        ),
        Refusal::CodeSpentJustNow => (
            InvalidGrant,
            "code_spent_just_now",
            "The code was exchanged a moment ago. The tokens of that exchange are good; exchange a code once.",
        ),
        Refusal::CodeReplayed => (
            InvalidGrant,
            "code_replayed",
            "The code was used before, so the login was ended. Start a new one.",
        ),
        Refusal::RedirectUriDiffers => (
            InvalidGrant,
            "redirect_uri_differs",
            "redirect_uri differs from the one of the authorization request. Nothing was spent.",
        ),
        Refusal::VerifierWrong => (
            InvalidGrant,
            "code_verifier_wrong",
            "code_verifier is missing or does not fit the code_challenge. Nothing was spent.",
        ),
        Refusal::VerifierUnexpected => (
            InvalidRequest,
            "code_verifier_unexpected",
            "code_verifier was sent, but the authorization request had no code_challenge.",
        ),
        Refusal::RefreshTokenInvalid => (
            InvalidGrant,
            "refresh_token_invalid",
            "The refresh token is not valid any more. Start a new login.",
        ),
        Refusal::RefreshTokenReplayed => (
            InvalidGrant,
            "refresh_token_replayed",
            "The refresh token was used before, so the login was ended. Start a new one.",
        ),
        Refusal::TokenKindUnrevocable => (
            UnsupportedTokenType,
            "token_kind_unrevocable",
            "A token of client_credentials cannot be revoked; it expires by itself.",
        ),
    };
    ErrorBody::new(ErrorStatus::BadRequest, oauth, code, sentence)
}
