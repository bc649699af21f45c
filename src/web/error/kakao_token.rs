//! `/v1/users/{id}/kakao-token`

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use super::{account, kakao};
use crate::flow::refusal::KakaoTokenRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::ReauthenticationRequired => ErrorBody::new(
            ErrorStatus::Conflict,
            OAuthError::LoginRequired,
            "reauthentication_required",
            "Kakao no longer takes the tokens that this service holds. Send the person to authorize_url.",
        ),
        Refusal::ConsentRequired { items } => ErrorBody::new(
            ErrorStatus::Conflict,
            OAuthError::ConsentRequired,
            "kakao_consent_required",
            format!("The person has not agreed to {}. Send them to authorize_url.", items.join(" ")),
        ),
        Refusal::Busy { retry_after } => kakao::busy(*retry_after),
        Refusal::Kakao(fault) => kakao::fault(fault),
        Refusal::Account(refusal) => account::body(*refusal),
    }
}
