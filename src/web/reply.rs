//! Builds error replies from what the table of [`error`](super::error) says: OAuth JSON and problem+json, with the
//! challenge that goes with them.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Shared;
use super::error::{Said, said};
use super::read::Unread;
use crate::domain::paths;
use crate::flow::{Error, Refusal};
use crate::telemetry::request_id;

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
    request.app_data::<Shared>().map(|site| site.deps.policy.issuer.as_str().to_owned())
}

/// What helps a program beyond the sentence (RFC 9457 §3.2): where to send the person. The client adds the rest of its
/// own request, as for any login.
fn extend(body: &mut serde_json::Value, error: &Error, issuer: &str) {
    match error {
        Error::Refused(Refusal::KakaoConsentRequired { items }) => {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("kakao_scope", &items.join(" "))
                .finish();
            body["authorize_url"] = json!(format!("{issuer}{}?{query}", paths::AUTHORIZE));
            body["required_scopes"] = json!(items);
        }
        // Not by the browser's session: Kakao must issue new tokens.
        Error::Refused(Refusal::ReauthenticationRequired) => {
            body["authorize_url"] = json!(format!("{issuer}{}?prompt=consent", paths::AUTHORIZE));
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
