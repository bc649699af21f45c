//! `GET /health/live`, `GET /health/ready`.

use actix_web::HttpResponse;
use serde_json::json;

use super::Shared;
use crate::flow::{Health, health};

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({ "status": "alive" }))
}

/// Logins can work: the database answers. The cache may be down: everything goes on without it.
pub(super) async fn ready(site: Shared) -> HttpResponse {
    let Health { database, cache } = health(&site.deps, &mut site.db()).await;
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
    response.insert_header(("Cache-Control", "no-store")).json(body)
}
