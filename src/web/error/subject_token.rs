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
