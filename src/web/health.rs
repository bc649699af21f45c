//! `GET /health/live`, `GET /health/ready`.

use actix_web::HttpResponse;
use serde_json::json;

use super::reply::Reply;
use super::state::State;
use crate::flow::{Health, health};

/// The process answers.
pub(super) async fn live() -> Result<HttpResponse, Reply> {
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({ "status": "alive" })))
}

/// Logins can work: the database answers. The cache may be down: everything goes on without it.
pub(super) async fn ready(state: State) -> Result<HttpResponse, Reply> {
    let Health { database, cache } = health(&state.deps, &mut state.db()).await;
    let word = |up: bool| if up { "up" } else { "down" };
    let body = json!({
        "status": if database { "ready" } else { "not ready" },
        "database": word(database),
        "cache": word(cache),
    });
    let mut response = if database { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    if !database {
        response.insert_header(("Retry-After", "2"));
    }
    Ok(response.insert_header(("Cache-Control", "no-store")).json(body))
}
