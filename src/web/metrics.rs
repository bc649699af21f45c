//! `GET /metrics` in Prometheus' text format, on the management address only: what was counted at its site, and what the
//! scrape reads.

use actix_web::HttpResponse;

use super::reply::Reply;
use super::state::State;
use crate::flow::gauges;
use crate::telemetry;

pub(super) async fn get(state: State) -> Result<HttpResponse, Reply> {
    let gauges = gauges::read(&state.deps, &state.pool).await;
    Ok(HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(telemetry::metrics::render(|| gauges.record())))
}
