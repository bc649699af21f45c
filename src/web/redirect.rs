//! Sends browsers on: to Kakao, or with an authorization response back to the client (RFC 6749 §4.1.2).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::error::describe;
use super::page;
use super::state::issuer;
use crate::domain::{AuthorizationCode, ResponseMode, paths};
use crate::flow::Error;
use crate::flow::login::request::ClientResponseTarget;

/// See Other: after a POST too, the browser follows with GET (RFC 9700 §4.12).
pub(super) fn see_other(location: &str) -> HttpResponse {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            HttpResponse::build(StatusCode::SEE_OTHER).insert_header((header::LOCATION, location)).finish()
        }
        // Redirect URIs are checked at registration and Kakao's URL is encoded, so this is a mistake of ours.
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Sends an error back to the client (RFC 6749 §4.1.2.1, RFC 9207). Of what went wrong at Kakao the URL holds the id alone,
/// and where to read about it.
pub(super) fn error(request: &HttpRequest, error: &Error, target: &ClientResponseTarget) -> HttpResponse {
    with_error(request, error, |parameters| answer(request, target, parameters))
}

/// The address at which a client that reads its answers in the query is told of an error, for a link.
pub(super) fn error_location(request: &HttpRequest, error: &Error, target: &ClientResponseTarget) -> String {
    with_error(request, error, |parameters| location(target, &complete(request, target, parameters)))
}

fn with_error<T>(request: &HttpRequest, error: &Error, tell: impl FnOnce(&[(&str, &str)]) -> T) -> T {
    let body = describe(request, error);
    let page = issuer(request).map(|issuer| issuer.join(paths::KAKAO_ERRORS));
    let uri = body.fault.zip(page).map(|(fault, page)| format!("{page}#{}", fault.id));
    let mut parameters = vec![("error", body.oauth.name()), ("error_description", &*body.sentence)];
    parameters.extend(uri.as_deref().map(|uri| ("error_uri", uri)));
    tell(&parameters)
}

/// Sends a code to the client (RFC 6749 §4.1.2, RFC 9207).
pub(super) fn code(
    request: &HttpRequest,
    code: &AuthorizationCode,
    target: &ClientResponseTarget,
) -> HttpResponse {
    answer(request, target, &[("code", code.reveal())])
}

/// Sends the parameters to the client, or has the browser post them there (Form Post Response Mode §2).
fn answer(request: &HttpRequest, target: &ClientResponseTarget, parameters: &[(&str, &str)]) -> HttpResponse {
    let pairs = complete(request, target, parameters);
    match target.mode {
        ResponseMode::Query => see_other(&location(target, &pairs)),
        ResponseMode::FormPost => page::form_post(request, &target.redirect_uri, &pairs),
    }
}

/// With what every authorization response has.
fn complete<'a>(
    request: &'a HttpRequest,
    target: &'a ClientResponseTarget,
    parameters: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut pairs = parameters.to_vec();
    pairs.extend(target.state.as_deref().map(|state| ("state", state)));
    pairs.extend(issuer(request).map(|issuer| ("iss", issuer.as_str())));
    pairs
}

/// Appends the parameters to the redirect URI, keeping its own query as it is (RFC 6749 §3.1.2).
///
/// The empty fragment at the end keeps browsers from carrying one over from the page before (RFC 9700 §4.1.3).
fn location(target: &ClientResponseTarget, pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let separator = if target.redirect_uri.contains('?') { '&' } else { '?' };
    format!("{}{separator}{query}#", target.redirect_uri)
}
