//! The one table: refusal → status, OAuth code, machine code, sentence. Failures are logged here, once.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use tracing::{error, info, warn};

use crate::flow::error::{BROKEN, UNAVAILABLE};
use crate::flow::{Error, FaultKind, KnownFault, LoginRefusal, Refusal, chain};

/// What is said to a caller.
pub(super) struct Said {
    /// Only 4xx and 5xx stand in the table.
    pub(super) status: StatusCode,
    /// `error` of RFC 6749 §4.1.2.1 and §5.2.
    pub(super) oauth: &'static str,
    /// Stable, for programs and for the search in our documentation.
    pub(super) code: &'static str,
    /// One sentence, of the characters that RFC 6749 allows, that says what to do.
    pub(super) sentence: Cow<'static, str>,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    /// The fault at Kakao behind it.
    pub(super) fault: Option<&'static KnownFault>,
}

/// Says an error to the caller and to the log.
pub(super) fn said(error: &Error) -> Said {
    match error {
        Error::Refused(refusal) => {
            let said = refused(refusal);
            info!(code = said.code, "refused");
            said
        }
        Error::Unavailable(source) => {
            warn!(cause = chain(source.as_ref()), "unavailable");
            let mut said = Said::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                UNAVAILABLE,
                "The service cannot reach its database. Try again in a moment.",
            );
            said.retry_after = Some(2);
            said
        }
        Error::Broken(source) => {
            error!(cause = chain(source.as_ref()), "broken");
            Said::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                BROKEN,
                "Something is wrong with the service. Tell its operator the request id.",
            )
        }
    }
}

impl Said {
    pub(super) fn new(
        status: StatusCode,
        oauth: &'static str,
        code: &'static str,
        sentence: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, oauth, code, sentence: sentence.into(), retry_after: None, fault: None }
    }
}

#[expect(clippy::too_many_lines, reason = "it is the table: one row a refusal")]
fn refused(refusal: &Refusal) -> Said {
    let bad = |oauth, code, sentence: &'static str| Said::new(StatusCode::BAD_REQUEST, oauth, code, sentence);
    let request =
        |code, sentence: String| Said::new(StatusCode::BAD_REQUEST, "invalid_request", code, sentence);
    match refusal {
        Refusal::ClientMissing => bad("invalid_request", "client_id_missing", "client_id is missing."),
        Refusal::ClientUnknown => bad(
            "invalid_request",
            "client_unknown",
            "No client has this client_id. Check the id, or ask the operator to add it.",
        ),
        Refusal::RedirectUriMissing => {
            bad("invalid_request", "redirect_uri_missing", "redirect_uri is missing.")
        }
        Refusal::RedirectUriUnknown => bad(
            "invalid_request",
            "redirect_uri_unknown",
            "redirect_uri is not registered for this client. It must equal a registered one byte for byte.",
        ),
        Refusal::TargetRepeated(name) | Refusal::ParameterRepeated(name) => {
            request("parameter_repeated", format!("{name} stands more than once."))
        }
        Refusal::ParameterMissing(name) => request("parameter_missing", format!("{name} is missing.")),
        Refusal::ParameterInvalid(name, why) => {
            request("parameter_invalid", format!("{name} is not valid: {why}."))
        }
        Refusal::RequestUnreadable(why) => {
            request("request_unreadable", format!("The request cannot be read: {why}."))
        }
        Refusal::ResponseTypeUnsupported => {
            bad("unsupported_response_type", "response_type_unsupported", "response_type must be code.")
        }
        Refusal::GrantNotAllowed => {
            bad("unauthorized_client", "grant_not_allowed", "This client may not use this grant type.")
        }
        Refusal::GrantTypeUnsupported => bad(
            "unsupported_grant_type",
            "grant_type_unsupported",
            "grant_type must be authorization_code, refresh_token, client_credentials or \
             urn:ietf:params:oauth:grant-type:token-exchange.",
        ),
        Refusal::ChallengeMissing => bad(
            "invalid_request",
            "code_challenge_missing",
            "code_challenge is missing: PKCE with S256 is required.",
        ),
        Refusal::ChallengeMethodUnsupported => {
            bad("invalid_request", "code_challenge_method_unsupported", "code_challenge_method must be S256.")
        }
        Refusal::ScopeInvalid => bad(
            "invalid_scope",
            "scope_invalid",
            "scope must name at least one scope that this client may have, of printable ASCII without quotes.",
        ),
        Refusal::ScopeWider => bad("invalid_scope", "scope_wider", "scope asks for more than was granted."),
        Refusal::LoginRequired => bad("login_required", "login_required", "The person must log in."),
        Refusal::ConsentNeedsPage => bad(
            "consent_required",
            "consent_needs_page",
            "Kakao must ask the person for the consent that kakao_scope names; prompt=none allows no page.",
        ),
        Refusal::RequestObject => {
            bad("request_not_supported", "request_not_supported", "The request parameter is not supported.")
        }
        Refusal::RequestUri => bad(
            "request_uri_not_supported",
            "request_uri_not_supported",
            "The request_uri parameter is not supported.",
        ),
        Refusal::Registration => bad(
            "registration_not_supported",
            "registration_not_supported",
            "The registration parameter is not supported.",
        ),
        Refusal::ClientUnproven { .. } => Said::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "client_unproven",
            "The client is unknown or its secret is wrong or missing.",
        ),
        Refusal::TwoCredentials => bad(
            "invalid_request",
            "two_credentials",
            "Authenticate the client by Basic or in the body, not both.",
        ),
        Refusal::TooManyFailures { retry_after } => {
            let mut said = Said::new(
                StatusCode::TOO_MANY_REQUESTS,
                "invalid_client",
                "too_many_failures",
                "Too many wrong secrets for this client from this address. Wait before trying again.",
            );
            said.retry_after = Some(retry_after.as_secs() + 1);
            said
        }
        Refusal::CodeInvalid => bad(
            "invalid_grant",
            "code_invalid",
            "The code is unknown, expired, already used, or of another client. Start a new login.",
        ),
        Refusal::CodeReplayed => bad(
            "invalid_grant",
            "code_replayed",
            "The code was used before, so the login was ended. Start a new one.",
        ),
        Refusal::RedirectUriDiffers => bad(
            "invalid_grant",
            "redirect_uri_differs",
            "redirect_uri differs from the one of the authorization request. Start a new login.",
        ),
        Refusal::VerifierWrong => bad(
            "invalid_grant",
            "code_verifier_wrong",
            "code_verifier is missing or does not fit the code_challenge. Start a new login.",
        ),
        Refusal::VerifierUnexpected => bad(
            "invalid_request",
            "code_verifier_unexpected",
            "code_verifier was sent, but the authorization request had no code_challenge.",
        ),
        Refusal::RefreshTokenInvalid => bad(
            "invalid_grant",
            "refresh_token_invalid",
            "The refresh token is not valid any more. Start a new login.",
        ),
        Refusal::RefreshTokenReplayed => bad(
            "invalid_grant",
            "refresh_token_replayed",
            "The refresh token was used before, so the login was ended. Start a new one.",
        ),
        Refusal::TokenMissing => Said::new(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "token_missing",
            "Send an access token as Authorization: Bearer.",
        ),
        Refusal::TokenInvalid => Said::new(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "token_invalid",
            "The access token is not valid, or its login has ended. Refresh it, or start a new login.",
        ),
        Refusal::ScopeLacking(scope) => Said::new(
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            "scope_lacking",
            format!("The access token lacks the scope {scope}."),
        ),
        Refusal::TokenKindUnrevocable => bad(
            "unsupported_token_type",
            "token_kind_unrevocable",
            "A token of client_credentials cannot be revoked; it expires by itself.",
        ),
        Refusal::ResourceUnknown => bad(
            "invalid_target",
            "resource_unknown",
            "resource must be among the audience of this client, and of this login.",
        ),
        Refusal::NotFound => Said::new(
            StatusCode::NOT_FOUND,
            "invalid_request",
            "not_found",
            "There is nothing of this id, or it is not yours.",
        ),
        Refusal::HintInvalid => bad(
            "invalid_request",
            "id_token_hint_invalid",
            "id_token_hint is not an ID token of this service, or of another client than client_id names.",
        ),
        Refusal::PostLogoutUriUnknown => bad(
            "invalid_request",
            "post_logout_redirect_uri_unknown",
            "post_logout_redirect_uri is not registered for this client. It must equal a registered one byte for byte.",
        ),
        Refusal::SubjectTokenInvalid(sentence) => {
            Said::new(StatusCode::BAD_REQUEST, "invalid_grant", "subject_token_invalid", sentence.clone())
        }
        Refusal::UserDisabled => Said::new(
            StatusCode::FORBIDDEN,
            "invalid_grant",
            "user_disabled",
            "This account has been disabled.",
        ),
        Refusal::UserDeleted => {
            Said::new(StatusCode::GONE, "invalid_grant", "user_deleted", "This account has been deleted.")
        }
        Refusal::ReauthenticationRequired => Said::new(
            StatusCode::CONFLICT,
            "login_required",
            "reauthentication_required",
            "Kakao no longer takes the tokens that this service holds. Send the person to authorize_url.",
        ),
        Refusal::KakaoConsentRequired { items } => Said::new(
            StatusCode::CONFLICT,
            "consent_required",
            "kakao_consent_required",
            format!("The person has not agreed to {}. Send them to authorize_url.", items.join(" ")),
        ),
        Refusal::KakaoBusy { retry_after } => {
            let mut said = Said::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "kakao_busy",
                "Kakao asked to wait, and everybody does. Try again after Retry-After.",
            );
            said.retry_after = Some(retry_after.as_secs() + 1);
            said
        }
        Refusal::AtKakao(fault) => at_kakao(fault.kind, fault),
        Refusal::KakaoTryLater(fault) => at_kakao(FaultKind::TryLater, fault),
        Refusal::Login(refusal) => login(*refusal),
        Refusal::EventTokenInvalid { .. } => bad(
            "invalid_request",
            "event_token_invalid",
            "The body is not a security event token of Kakao for this app.",
        ),
        Refusal::WebhookUnproven => Said::new(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "webhook_unproven",
            "Authorization must be KakaoAK and the app's primary admin key (kakao.admin_key).",
        ),
        Refusal::WebhookOfAnotherApp => Said::new(
            StatusCode::FORBIDDEN,
            "invalid_request",
            "webhook_of_another_app",
            "app_id is not the app of this service (kakao.app_id).",
        ),
        Refusal::AttemptUnknown => bad(
            "invalid_request",
            "attempt_unknown",
            "This browser has not begun this login, or has lost it.",
        ),
        Refusal::AttemptExpired => {
            bad("invalid_request", "attempt_expired", "The login took longer than ten minutes.")
        }
        Refusal::CallbackContradictory => {
            bad("invalid_request", "callback_contradictory", "The answer contradicts itself.")
        }
    }
}

/// What a fault at Kakao is to a client. The sentence ends with the id of the fault.
fn at_kakao(kind: FaultKind, fault: &'static KnownFault) -> Said {
    let (status, oauth, sentence) = match kind {
        FaultKind::Cancelled => (StatusCode::FORBIDDEN, "access_denied", "The person cancelled the login."),
        FaultKind::UnderAge => {
            (StatusCode::FORBIDDEN, "access_denied", "Kakao does not let people under 14 use this app.")
        }
        FaultKind::PersonRefused => {
            (StatusCode::FORBIDDEN, "access_denied", "Kakao did not let the person log in.")
        }
        FaultKind::StartAgain => (StatusCode::FORBIDDEN, "temporarily_unavailable", START_AGAIN),
        FaultKind::TryLater => (
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "Kakao does not answer. Try again in a moment.",
        ),
        FaultKind::KakaoBroken => {
            (StatusCode::BAD_GATEWAY, "server_error", "Kakao gave an answer that cannot be used.")
        }
        FaultKind::SetupWrong => (
            StatusCode::BAD_GATEWAY,
            "server_error",
            "The set-up of the login at Kakao is wrong. Tell the operator.",
        ),
    };
    let mut said = Said::new(status, oauth, kind.code(), format!("{sentence} ({})", fault.id));
    said.retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(2);
    said.fault = Some(fault);
    said
}

const START_AGAIN: &str = "The login could not be completed. Start it again.";

/// What the client of a login that failed is told at its redirect URI.
fn login(refusal: LoginRefusal) -> Said {
    let said =
        |oauth, sentence: &'static str| Said::new(StatusCode::FORBIDDEN, oauth, refusal.code(), sentence);
    match refusal {
        LoginRefusal::Kakao(fault) => at_kakao(fault.kind, fault),
        LoginRefusal::UserDisabled => said("access_denied", "This account has been disabled."),
        LoginRefusal::OtherUser => {
            said("login_required", "The user who logged in is not the one that id_token_hint names.")
        }
        LoginRefusal::StartAgain => said("temporarily_unavailable", START_AGAIN),
    }
}
