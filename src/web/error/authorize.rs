//! `/oauth/authorize`

use super::body::ErrorBody;
use super::code::ErrorStatus;
use super::code::OAuthError::{
    ConsentRequired, InteractionRequired, InvalidRequest, LoginRequired, RegistrationNotSupported,
    RequestNotSupported, RequestUriNotSupported, UnsupportedResponseType,
};
use super::{access, login, request};
use crate::flow::refusal::{AuthorizeRefusal as Refusal, LoginRefusal};

const CHALLENGE_MISSING: &str = "code_challenge is missing: this client must use PKCE. Send code_challenge with \
                                 code_challenge_method=S256; most libraries have an option for it.";

const CHALLENGE_OR_NONCE_MISSING: &str = "code_challenge is missing: turn on PKCE with S256 in the client, or have it send \
                                          nonce with the scope openid. If it can do neither, the operator may set \
                                          require_pkce = false for it.";

pub(super) fn body(refusal: &Refusal) -> ErrorBody {
    let (oauth, code, sentence) = match refusal {
        Refusal::Access(refusal) => return access::body(*refusal),
        Refusal::Request(refusal) => return request::body(refusal),
        Refusal::DuplicateClientOrRedirect(name) => {
            let (oauth, sentence) = (InvalidRequest, request::repeated(name));
            return ErrorBody::new(ErrorStatus::BadRequest, oauth, "parameter_repeated", sentence);
        }
        Refusal::ClientIdMissing => (InvalidRequest, "client_id_missing", "client_id is missing."),
        Refusal::RedirectUriMissing => (InvalidRequest, "redirect_uri_missing", "redirect_uri is missing."),
        Refusal::RedirectUriUnknown => (
            InvalidRequest,
            "redirect_uri_unknown",
            "redirect_uri is not registered for this client. It must equal a registered one byte for byte.",
        ),
        Refusal::ResponseTypeUnsupported => {
            (UnsupportedResponseType, "response_type_unsupported", "response_type must be code.")
        }
        Refusal::ChallengeMissing => (InvalidRequest, "code_challenge_missing", CHALLENGE_MISSING),
        Refusal::ChallengeOrNonceMissing => {
            (InvalidRequest, "code_challenge_or_nonce_missing", CHALLENGE_OR_NONCE_MISSING)
        }
        Refusal::ChallengeMethodUnsupported => {
            (InvalidRequest, "code_challenge_method_unsupported", "code_challenge_method must be S256.")
        }
        Refusal::LoginRequired => (LoginRequired, "login_required", "The person must log in."),
        Refusal::TooManyCodes => return login::body(LoginRefusal::TooManyCodes),
        Refusal::ConsentRequired => (
            ConsentRequired,
            "consent_needs_page",
            "Kakao must ask the person for the consent that kakao_scope names; prompt=none allows no page.",
        ),
        Refusal::InteractionRequired => (
            InteractionRequired,
            "interaction_required",
            "A page must ask the person whether this app may log them in; prompt=none allows no page.",
        ),
        Refusal::ConfirmationInvalid => (
            InvalidRequest,
            "confirmation_invalid",
            "This browser was not asked, or more than ten minutes ago. Begin at the app or site again.",
        ),
        Refusal::RequestObject => {
            (RequestNotSupported, "request_not_supported", "The request parameter is not supported.")
        }
        Refusal::RequestUri => (
            RequestUriNotSupported,
            "request_uri_not_supported",
            "The request_uri parameter is not supported.",
        ),
        Refusal::Registration => (
            RegistrationNotSupported,
            "registration_not_supported",
            "The registration parameter is not supported.",
        ),
    };
    ErrorBody::new(ErrorStatus::BadRequest, oauth, code, sentence)
}
