//! `GET /v1/revocations`: the signed revocation feed (`docs/revocation-feed.md`).

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use super::documents::is_known;
use super::read;
use super::reply::Reply;
use super::state::State;
use crate::flow::refusal::RequestRefusal;
use crate::flow::{Feed, revocations};

/// The longest that a reader may wait for a change.
const LONGEST_WAIT: u64 = 30;

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let wait = read_wait(&request)?;
    let known = |feed: &Feed| is_known(&request, &feed.etag);
    let feed = revocations::current(&state.deps, wait, known).await?;
    let unchanged = is_known(&request, &feed.etag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, "public, max-age=1"))
        .insert_header((header::ETAG, feed.etag.as_str()))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if unchanged {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/jwt").body(feed.body.clone()))
}

fn read_wait(request: &HttpRequest) -> Result<Duration, RequestRefusal> {
    let params = read::query(request)?;
    let wait = params.one("wait")?.unwrap_or("0");
    let seconds = wait.parse::<u64>().ok().filter(|seconds| *seconds <= LONGEST_WAIT);
    seconds
        .map(Duration::from_secs)
        .ok_or(RequestRefusal::ParameterInvalid("wait", "it must be a whole number of seconds, at most 30"))
}
