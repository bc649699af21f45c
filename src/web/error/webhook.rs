//! `/kakao/webhooks/…`

use super::body::ErrorBody;
use super::code::{ErrorStatus, OAuthError};
use super::request;
use crate::flow::refusal::WebhookRefusal as Refusal;

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    let (status, oauth, code, sentence) = match refusal {
        Refusal::Request(refusal) => return request::body(refusal),
        Refusal::AdminKeyWrong => (
            ErrorStatus::Unauthorized,
            OAuthError::InvalidToken,
            "webhook_unproven",
            "Authorization must be KakaoAK and the app's primary admin key (kakao.admin_key).",
        ),
        Refusal::OtherApp => (
            ErrorStatus::Forbidden,
            OAuthError::InvalidRequest,
            "webhook_of_another_app",
            "app_id is not the app of this service (kakao.app_id).",
        ),
        Refusal::EventTokenInvalid { .. } => (
            ErrorStatus::BadRequest,
            OAuthError::InvalidRequest,
            "event_token_invalid",
            "The body is not a security event token of Kakao for this app.",
        ),
    };
    ErrorBody::new(status, oauth, code, sentence)
}
