//! Sends browsers on: See Other, and the authorization response to the client (RFC 6749 §4.1.2).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::error::{said, told_of};
use super::{Site, kakao_errors, page};
use crate::domain::{ResponseMode, Secret};
use crate::flow::login::request::ClientResponseTarget;
use crate::flow::{Error, FailedLogin};

/// See Other: after a POST too, the browser follows with GET (RFC 9700 §4.12).
pub(super) fn redirect(location: &str) -> HttpResponse {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            HttpResponse::build(StatusCode::SEE_OTHER).insert_header((header::LOCATION, location)).finish()
        }
        // Redirect URIs are checked at registration and Kakao's URL is encoded, so this is a mistake of ours.
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Sends a refusal back to the client (RFC 6749 §4.1.2.1, RFC 9207).
pub(super) fn back_to_client(
    request: &HttpRequest,
    site: &Site,
    error: &Error,
    target: &ClientResponseTarget,
) -> HttpResponse {
    let said = said(error);
    answer(request, site, target, &[("error", said.oauth), ("error_description", &said.sentence)])
}

/// Sends a code to the client (RFC 6749 §4.1.2, RFC 9207).
pub(super) fn with_code(
    request: &HttpRequest,
    site: &Site,
    code: &Secret,
    target: &ClientResponseTarget,
) -> HttpResponse {
    answer(request, site, target, &[("code", code.reveal())])
}

/// Sends the client word of a login that failed. Of what went wrong at Kakao the URL holds the id alone, and where to read
/// about it.
pub(super) fn failed_login(
    request: &HttpRequest,
    site: &Site,
    failed: FailedLogin,
    target: &ClientResponseTarget,
) -> HttpResponse {
    let (oauth, sentence) = told_of(failed.why);
    let Some(fault) = failed.fault else {
        return answer(request, site, target, &[("error", oauth), ("error_description", sentence)]);
    };
    let description = format!("{sentence} ({})", fault.id);
    let uri = format!("{}{}#{}", site.deps.policy.issuer.as_str(), kakao_errors::PATH, fault.id);
    let parameters = [("error", oauth), ("error_description", &description), ("error_uri", &uri)];
    answer(request, site, target, &parameters)
}

/// Appends the parameters to the redirect URI, keeping its own query as it is (RFC 6749 §3.1.2), or has the browser post
/// them there (Form Post Response Mode §2).
fn answer(
    request: &HttpRequest,
    site: &Site,
    target: &ClientResponseTarget,
    parameters: &[(&str, &str)],
) -> HttpResponse {
    let mut pairs = parameters.to_vec();
    pairs.extend(target.state.as_deref().map(|state| ("state", state)));
    pairs.push(("iss", site.deps.policy.issuer.as_str()));
    match target.mode {
        ResponseMode::Query => {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let separator = if target.redirect_uri.contains('?') { '&' } else { '?' };
            redirect(&format!("{}{separator}{query}", target.redirect_uri))
        }
        ResponseMode::FormPost => page::form_post(request, &target.redirect_uri, &pairs),
    }
}
