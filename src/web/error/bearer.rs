//! Access tokens of ours.

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use crate::flow::refusal::BearerRefusal as Refusal;

pub(super) fn body(refusal: Refusal) -> ErrorBody {
    match refusal {
        Refusal::TokenMissing => ErrorBody::new(
            ErrorStatus::Unauthorized,
            OAuthError::InvalidToken,
            "token_missing",
            "Send an access token as Authorization: Bearer.",
        ),
        Refusal::TokenInvalid => ErrorBody::new(
            ErrorStatus::Unauthorized,
            OAuthError::InvalidToken,
            "token_invalid",
            "The access token is not valid, or its login has ended. Refresh it, or start a new login.",
        ),
        Refusal::TwoTokens => ErrorBody::new(
            ErrorStatus::BadRequest,
            OAuthError::InvalidRequest,
            "two_tokens",
            "Send one access token, in one Authorization header and nowhere else.",
        ),
        Refusal::NotForUs => ErrorBody::new(
            ErrorStatus::Unauthorized,
            OAuthError::InvalidToken,
            "token_not_for_us",
            "The access token is for other services: the issuer is not in its aud. Ask for one with the scope openid, or with \
             resource set to the issuer.",
        ),
        Refusal::LoginTooOld { max_age } => ErrorBody::new(
            ErrorStatus::Unauthorized,
            OAuthError::InsufficientUserAuthentication,
            "login_not_fresh",
            format!(
                "The person must have logged in within the last {} seconds. Send them to log in again, with max_age.",
                max_age.as_secs()
            ),
        ),
        Refusal::ScopeMissing(scope) => ErrorBody::new(
            ErrorStatus::Forbidden,
            OAuthError::InsufficientScope,
            "scope_lacking",
            format!("The access token lacks the scope {scope}."),
        ),
    }
}
