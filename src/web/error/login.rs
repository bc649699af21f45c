//! `/kakao/callback`, once it is known which client asked: it travels to the client's redirect URI.

use super::body::ErrorBody;
use super::code::ErrorStatus;
use super::code::OAuthError::{AccessDenied, LoginRequired, TemporarilyUnavailable};
use super::kakao;
use crate::flow::refusal::LoginRefusal as Refusal;

pub(super) fn body(refusal: Refusal) -> ErrorBody {
    let (oauth, sentence) = match refusal {
        Refusal::Kakao(fault) => return kakao::fault(fault),
        Refusal::UserDisabled => (AccessDenied, "This account has been disabled."),
        Refusal::OtherUser => {
            (LoginRequired, "The user who logged in is not the one that id_token_hint names.")
        }
        Refusal::LoginTimeUnknown => (
            LoginRequired,
            "Kakao does not say when the person logged in, so prompt=login and max_age cannot be answered. The operator must \
             switch on OpenID Connect in Kakao's console: Kakao Login > OpenID Connect; kakao.scopes, if set, must hold openid.",
        ),
        Refusal::LoginTooOld => (
            LoginRequired,
            "The person did not log in at Kakao again, as prompt=login or max_age asks. Start the login again.",
        ),
        Refusal::LoginTooOldInApp => (
            LoginRequired,
            "The browser of KakaoTalk cannot ask for a new login at Kakao, as prompt=login or max_age needs. Have the person \
             open the page in another browser.",
        ),
        Refusal::StartAgain => (TemporarilyUnavailable, kakao::START_AGAIN),
        Refusal::TooManyCodes => (
            TemporarilyUnavailable,
            "Too many codes of this user wait to be exchanged by this client. Exchange them, or try again in a minute.",
        ),
    };
    ErrorBody::new(ErrorStatus::Forbidden, oauth, refusal.code(), sentence)
}
