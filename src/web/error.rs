//! The one table: refusal → status, OAuth code, machine code, sentence. Failures are logged here, once.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tracing::{error, info, warn};

use super::read::Unread;
use super::{Shared, Site, kakao_errors, page, redirect};
use crate::domain::{ResponseMode, Secret};
use crate::flow::begin_login::Back;
use crate::flow::{Error, FailedLogin, LoginFailure, Refusal, chain};
use crate::telemetry::request_id;

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
                "store_unavailable",
                "The service cannot reach its database. Nothing was changed; try again in a moment.",
            );
            said.retry_after = Some(2);
            said
        }
        Error::Broken(source) => {
            error!(cause = chain(source.as_ref()), "broken");
            Said::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "internal",
                "Something is wrong with the service. Tell its operator the request id.",
            )
        }
    }
}

impl Said {
    fn new(
        status: StatusCode,
        oauth: &'static str,
        code: &'static str,
        sentence: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, oauth, code, sentence: sentence.into(), retry_after: None }
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
        Refusal::AtKakao(failed) => at_kakao(failed),
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

/// What a failure at Kakao is to a client that has no browser to send back.
fn at_kakao(failed: &FailedLogin) -> Said {
    let failure = failed.why;
    let (oauth, sentence) = told_of(failure);
    let sentence = match failed.fault {
        None => Cow::Borrowed(sentence),
        Some(fault) => Cow::Owned(format!("{sentence} ({})", fault.id)),
    };
    let status = match failure {
        LoginFailure::TryLater | LoginFailure::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        LoginFailure::KakaoBroken | LoginFailure::SetupWrong => StatusCode::BAD_GATEWAY,
        LoginFailure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    };
    let mut said = Said::new(status, oauth, failure.name(), sentence);
    said.retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(2);
    said
}

/// An error of an OAuth endpoint (RFC 6749 §5.2).
pub(super) fn oauth_json(request: &HttpRequest, error: &Error) -> HttpResponse {
    let said = said(error);
    let mut response = json_response(request, &said);
    if matches!(error, Error::Refused(Refusal::ClientUnproven { by_basic: true })) {
        let scheme = HeaderValue::from_static("Basic realm=\"kakao-auth\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// An error of an endpoint that takes a bearer token (RFC 6750 §3).
pub(super) fn bearer_json(request: &HttpRequest, error: &Error) -> HttpResponse {
    let said = said(error);
    let mut response = json_response(request, &said);
    challenge(&mut response, error, &said);
    response
}

fn challenge(response: &mut HttpResponse, error: &Error, said: &Said) {
    let challenge = match error {
        Error::Refused(Refusal::TokenMissing) => "Bearer".to_owned(),
        Error::Refused(Refusal::ScopeLacking(scope)) => {
            format!(
                "Bearer error=\"{}\", error_description=\"{}\", scope=\"{scope}\"",
                said.oauth, said.sentence
            )
        }
        Error::Refused(Refusal::TokenInvalid) => {
            format!("Bearer error=\"{}\", error_description=\"{}\"", said.oauth, said.sentence)
        }
        Error::Refused(_) | Error::Unavailable(_) | Error::Broken(_) => return,
    };
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
}

fn json_response(request: &HttpRequest, said: &Said) -> HttpResponse {
    let mut response = HttpResponse::build(said.status);
    if let Some(seconds) = said.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "error": said.oauth,
        "error_description": said.sentence,
        "code": said.code,
        "request_id": request_id(request),
    }))
}

/// An error of `/v1` (RFC 9457).
pub(super) fn problem(request: &HttpRequest, error: &Error) -> HttpResponse {
    let said = said(error);
    let mut response = HttpResponse::build(said.status);
    if let Some(seconds) = said.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    let mut body = json!({
        "type": "about:blank",
        "title": said.status.canonical_reason().unwrap_or_default(),
        "status": said.status.as_u16(),
        "detail": said.sentence,
        "code": said.code,
        "request_id": request_id(request),
    });
    extend(&mut body, error, issuer_of(request).as_deref().unwrap_or_default());
    let mut response = response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/problem+json")
        .body(body.to_string());
    challenge(&mut response, error, &said);
    response
}

fn issuer_of(request: &HttpRequest) -> Option<String> {
    request.app_data::<Shared>().map(|site| site.deps.issuer.to_string())
}

/// What helps a program beyond the sentence (RFC 9457 §3.2): where to send the person. The client adds the rest of its
/// own request, as for any login.
fn extend(body: &mut serde_json::Value, error: &Error, issuer: &str) {
    match error {
        Error::Refused(Refusal::KakaoConsentRequired { items }) => {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("kakao_scope", &items.join(" "))
                .finish();
            body["authorize_url"] = json!(format!("{issuer}/oauth/authorize?{query}"));
            body["required_scopes"] = json!(items);
        }
        // Not by the browser's session: Kakao must issue new tokens.
        Error::Refused(Refusal::ReauthenticationRequired) => {
            body["authorize_url"] = json!(format!("{issuer}/oauth/authorize?prompt=consent"));
        }
        _ => {}
    }
}

/// A body that was not read, at `/v1`.
pub(super) fn unread_problem(request: &HttpRequest, unread: &Unread) -> HttpResponse {
    match unread {
        Unread::Refused(refusal) => problem(request, &refusal.clone().into()),
        _ => self::unread(request, unread),
    }
}

/// A body that was not read.
pub(super) fn unread(request: &HttpRequest, unread: &Unread) -> HttpResponse {
    let (status, code, sentence) = match unread {
        Unread::Refused(refusal) => return oauth_json(request, &refusal.clone().into()),
        Unread::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than 16 KiB.")
        }
        Unread::Encoded => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "body_encoded", "Send the body without Content-Encoding.")
        }
        Unread::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body took longer than ten seconds.")
        }
    };
    let mut response = json_response(request, &Said::new(status, "invalid_request", code, sentence));
    // What is left of the body is not read.
    response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    response
}

/// 405; the caller adds `Allow`.
pub(super) fn method_not_allowed(request: &HttpRequest) -> HttpResponse {
    let said = Said::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        "method_not_allowed",
        "This endpoint does not answer this method; see the Allow header.",
    );
    json_response(request, &said)
}

/// Sends a refusal back to the client (RFC 6749 §4.1.2.1, RFC 9207).
pub(super) fn back_to_client(request: &HttpRequest, site: &Site, error: &Error, back: &Back) -> HttpResponse {
    let said = said(error);
    answer(request, site, back, &[("error", said.oauth), ("error_description", &said.sentence)])
}

/// Sends a code to the client (RFC 6749 §4.1.2, RFC 9207).
pub(super) fn with_code(request: &HttpRequest, site: &Site, code: &Secret, back: &Back) -> HttpResponse {
    answer(request, site, back, &[("code", code.reveal())])
}

/// Sends the client word of a login that failed. Of what went wrong at Kakao the URL holds the id alone, and where to read
/// about it.
pub(super) fn failed_login(
    request: &HttpRequest,
    site: &Site,
    failed: FailedLogin,
    back: &Back,
) -> HttpResponse {
    let (oauth, sentence) = told_of(failed.why);
    let Some(fault) = failed.fault else {
        return answer(request, site, back, &[("error", oauth), ("error_description", sentence)]);
    };
    let description = format!("{sentence} ({})", fault.id);
    let uri = format!("{}{}#{}", site.deps.issuer, kakao_errors::PATH, fault.id);
    let parameters = [("error", oauth), ("error_description", &description), ("error_uri", &uri)];
    answer(request, site, back, &parameters)
}

/// The code and the sentence for a client whose login failed.
const fn told_of(failure: LoginFailure) -> (&'static str, &'static str) {
    match failure {
        LoginFailure::Cancelled => ("access_denied", "The person cancelled the login."),
        LoginFailure::UnderAge => ("access_denied", "Kakao does not let people under 14 use this app."),
        LoginFailure::PersonRefused => ("access_denied", "Kakao did not let the person log in."),
        LoginFailure::UserDisabled => ("access_denied", "This account has been disabled."),
        LoginFailure::OtherUser => ("login_required", "Somebody else logged in than id_token_hint names."),
        LoginFailure::StartAgain => {
            ("temporarily_unavailable", "The login could not be finished. Start it again.")
        }
        LoginFailure::TryLater => {
            ("temporarily_unavailable", "Kakao does not answer. Try again in a moment.")
        }
        LoginFailure::StoreUnavailable => {
            ("temporarily_unavailable", "The service cannot reach its database. Try again in a moment.")
        }
        LoginFailure::KakaoBroken => ("server_error", "Kakao gave an answer that cannot be used."),
        LoginFailure::SetupWrong => {
            ("server_error", "The set-up of the login at Kakao is wrong. Tell the operator.")
        }
        LoginFailure::Internal => {
            ("server_error", "Something is wrong with the login service. Tell its operator.")
        }
    }
}

/// Appends the parameters to the redirect URI, keeping its own query as it is (RFC 6749 §3.1.2), or has the browser post
/// them there (Form Post Response Mode §2).
fn answer(request: &HttpRequest, site: &Site, back: &Back, parameters: &[(&str, &str)]) -> HttpResponse {
    let mut pairs = parameters.to_vec();
    pairs.extend(back.state.as_deref().map(|state| ("state", state)));
    pairs.push(("iss", &site.deps.issuer));
    match back.mode {
        ResponseMode::Query => {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let separator = if back.redirect_uri.contains('?') { '&' } else { '?' };
            redirect(&format!("{}{separator}{query}", back.redirect_uri))
        }
        ResponseMode::FormPost => page::form_post(request, &back.redirect_uri, &pairs),
    }
}
