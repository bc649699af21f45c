//! `GET /metrics` in Prometheus' text format, on the management address only: what was counted at its site, and what the
//! scrape reads.

use actix_web::HttpResponse;

use super::Shared;
use crate::flow::gauges;
use crate::telemetry;

pub(super) async fn get(site: Shared) -> HttpResponse {
    let gauges = gauges::read(&site.deps, &site.pool).await;
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(telemetry::metrics::render(|| gauges.record()))
}
