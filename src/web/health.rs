//! `GET /health/live`, `GET /health/ready`.

use actix_web::HttpResponse;
use serde_json::json;

use super::reply::Reply;
use super::state::State;
use crate::flow::{Health, Readiness, readiness};

/// The process answers.
pub(super) async fn live() -> Result<HttpResponse, Reply> {
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({ "status": "alive" })))
}

/// Logins can work: the database can be written, the feed is there, and the process is not about to end. The cache may be down:
/// everything goes on without it.
pub(super) async fn ready(state: State) -> Result<HttpResponse, Reply> {
    let (ready, body) = match readiness(&state.deps, &state.pool).await {
        Readiness::Draining => (false, json!({ "status": "draining" })),
        Readiness::Serving { health: Health { database, cache }, feed } => {
            let word = |up: bool| if up { "up" } else { "down" };
            let ready = database && feed;
            let body = json!({
                "status": if ready { "ready" } else { "not ready" },
                "database": word(database),
                "cache": word(cache),
                "feed": word(feed),
            });
            (ready, body)
        }
    };
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    if !ready {
        response.insert_header(("Retry-After", "2"));
    }
    Ok(response.insert_header(("Cache-Control", "no-store")).json(body))
}
