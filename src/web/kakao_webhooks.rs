//! Kakao's two webhooks: `GET, POST /kakao/webhooks/unlink` and `POST /kakao/webhooks/account-status`. Kakao waits three
//! seconds.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tracing::{Instrument, info, warn};

use super::read::Unread;
use super::{Shared, read, reply};
use crate::flow::receive_webhook::{receive_events, receive_unlink};
use crate::flow::{Error, Params, Refusal, chain};

/// Within Kakao's three seconds.
const DEADLINE: Duration = Duration::from_millis(2_500);

pub(super) async fn unlink_get(request: HttpRequest, site: Shared) -> HttpResponse {
    match read::query(&request) {
        Ok(params) => unlink(&request, &site, params).await,
        Err(refusal) => reply::problem(&request, &refusal.into()),
    }
}

pub(super) async fn unlink_post(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    match read::form_or_json(&request, payload).await {
        Ok(params) => unlink(&request, &site, params).await,
        Err(unread) => reply::unread_problem(&request, &unread),
    }
}

async fn unlink(request: &HttpRequest, site: &Shared, params: Params) -> HttpResponse {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (site, authorization) = (Arc::clone(site), header.map(str::to_owned));
    let receive =
        async move { receive_unlink(&site.deps, &mut site.db(), authorization.as_deref(), &params).await };
    let received = tokio::time::timeout(DEADLINE, tokio::spawn(receive.in_current_span())).await;
    match received {
        Ok(Ok(Err(refusal))) => {
            let unproven = refusal == Refusal::WebhookUnproven;
            let mut response = reply::problem(request, &refusal.into());
            if unproven {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("KakaoAK"));
            }
            response
        }
        // Kakao is told that it was heard, whatever happens inside: it is not known to call again.
        _ => HttpResponse::Ok().finish(),
    }
}

pub(super) async fn account_status(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    let body = match read::body(&request, payload).await {
        Ok(body) => body,
        Err(unread) => return invalid("invalid_request", unread_sentence(&unread)),
    };
    let Ok(token) = String::from_utf8(body.to_vec()) else {
        return invalid("invalid_request", "The body must be a security event token.");
    };
    let site = Arc::clone(&site);
    let receive = async move { receive_events(&site.deps, &mut site.db(), token.trim()).await };
    match tokio::time::timeout(DEADLINE, tokio::spawn(receive.in_current_span())).await {
        Ok(Ok(Ok(()))) => HttpResponse::Accepted().finish(),
        Ok(Ok(Err(Error::Refused(Refusal::EventTokenInvalid { err, description })))) => {
            info!(err, description, "a security event token was refused");
            invalid(err, &sentence(description))
        }
        Ok(Ok(Err(Error::Unavailable(source)))) => later(&chain(source.as_ref())),
        Ok(Ok(Err(error))) => reply::problem(&request, &error),
        Ok(Err(panic)) => reply::problem(&request, &Error::broken(panic)),
        Err(_) => later("the check took too long"),
    }
}

/// RFC 8935 §2.3
fn invalid(err: &str, description: &str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "err": err, "description": description }))
}

/// Nothing can be said about the token before Kakao's keys are there, nor accepted before it is stored (RFC 8935 §2.2).
fn later(cause: &str) -> HttpResponse {
    warn!(cause, "a security event token cannot be taken now");
    HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
        .insert_header((header::RETRY_AFTER, 5))
        .json(json!({ "err": "temporarily_unavailable", "description": "The token cannot be taken now. Send it again." }))
}

fn sentence(description: &str) -> String {
    let mut sentence = format!("The security event token is not accepted: {description}");
    sentence.push('.');
    sentence
}

fn unread_sentence(unread: &Unread) -> &'static str {
    match unread {
        Unread::TooLarge => "The body is larger than 16 KiB.",
        Unread::Encoded => "Send the body without Content-Encoding.",
        Unread::TooSlow => "The body took longer than ten seconds.",
        Unread::Refused(_) => "The body ended early.",
    }
}
