//! `/oauth/token`, for a token of Kakao's SDK.

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use super::{access, account, kakao, limit};
use crate::flow::refusal::SubjectTokenRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::Invalid(sentence) => ErrorBody::new(
            ErrorStatus::BadRequest,
            OAuthError::InvalidGrant,
            "subject_token_invalid",
            sentence.clone(),
        ),
        Refusal::Repeated => ErrorBody::new(
            ErrorStatus::BadRequest,
            OAuthError::InvalidGrant,
            "id_token_repeated",
            "This Kakao ID token was used before, by this client a moment ago. Take the tokens of that answer: they are good.",
        ),
        Refusal::Used => ErrorBody::new(
            ErrorStatus::BadRequest,
            OAuthError::InvalidGrant,
            "id_token_used",
            "This Kakao ID token was used before. Have Kakao's SDK log the person in again.",
        ),
        Refusal::Busy { retry_after } => kakao::busy(*retry_after),
        Refusal::Kakao(fault) => kakao::fault(fault),
        Refusal::KakaoTryLater { fault, retry_after } => {
            let body = kakao::try_later(fault);
            match retry_after {
                Some(wait) => body.retry_after(*wait),
                None => body,
            }
        }
        Refusal::Limited(refusal) => limit::body(refusal),
        Refusal::Account(refusal) => account::body(*refusal),
        Refusal::Access(refusal) => access::body(*refusal),
    }
}
