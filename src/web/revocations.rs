//! `GET /v1/revocations`: the signed revocation feed (`docs/revocation-feed.md`).

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use super::documents::known_tags;
use super::read;
use super::reply::Reply;
use super::state::State;
use crate::flow::refusal::RequestRefusal;
use crate::flow::revocations::{self, Asked};

/// The longest that a reader may wait for a change.
const LONGEST_WAIT: u64 = 30;

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let params = read::query(&request)?;
    let wait = params.one("wait")?;
    let known: Vec<&str> = known_tags(&request).collect();
    let asked = Asked { after: params.one("after")?, wait: read_wait(wait)?, known: &known };
    let answer = revocations::current(&state.deps, asked).await?;
    let mut response = if answer.body.is_some() { HttpResponse::Ok() } else { HttpResponse::NotModified() };
    // A proxy that answers for us would answer at once, and so again and again.
    let cache_control = if wait.is_some() { "no-store" } else { "public, max-age=1" };
    response
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::ETAG, answer.etag))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Ok(match answer.body {
        Some(body) => response.content_type("application/jwt").body(Bytes::from_owner(body)),
        None => response.finish(),
    })
}

/// More than the longest wait is the longest.
fn read_wait(wait: Option<&str>) -> Result<Duration, RequestRefusal> {
    let wait = wait.unwrap_or("0");
    if !wait.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RequestRefusal::ParameterInvalid("wait", "it must be a whole number of seconds"));
    }
    Ok(Duration::from_secs(wait.parse().map_or(LONGEST_WAIT, |seconds: u64| seconds.min(LONGEST_WAIT))))
}
