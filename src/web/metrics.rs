//! `GET /metrics` in Prometheus' text format, on the management address only. What is shown is read when it is asked for, so
//! nothing on a request's way pays for it but a counter of the signing key.

use actix_web::HttpResponse;
use metrics::{counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{Shared, in_time};
use crate::domain::rotation::Stage;
use crate::flow::unlink;

pub(super) async fn get(site: Shared) -> HttpResponse {
    let recorder = PrometheusBuilder::new().build_recorder();
    // While the database is down the rest is shown without this.
    let waiting = in_time(unlink::waiting(&mut site.db())).await.ok();
    with_local_recorder(&recorder, || record(&site, waiting));
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(recorder.handle().render())
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn record(site: &Shared, waiting: Option<(i64, i64, i64)>) {
    const AGE: &str = "kakao_auth_signing_key_age_seconds";
    const EXPIRES: &str = "kakao_auth_signing_key_published_for_seconds";
    const SIGNATURES: &str = "kakao_auth_signatures_total";
    const CONNECTIONS: &str = "kakao_auth_database_connections";
    const FAULTS: &str = "kakao_auth_kakao_faults_total";
    describe_gauge!(AGE, "since the key was published");
    describe_gauge!(EXPIRES, "how much longer a superseded key is published");
    describe_counter!(SIGNATURES, "tokens that this process signed with the key");
    describe_gauge!(CONNECTIONS, "connections of this process to the database");
    if let Some((unlinks, dead, events)) = waiting {
        const UNLINKS: &str = "kakao_auth_kakao_unlinks";
        const EVENTS: &str = "kakao_auth_webhook_events_waiting";
        describe_gauge!(
            UNLINKS,
            "deleted accounts that Kakao does not know of yet; dead: they wait for the operator"
        );
        describe_gauge!(EVENTS, "events of Kakao's webhooks that are not worked off yet");
        gauge!(UNLINKS, "state" => "waiting").set(unlinks as f64);
        gauge!(UNLINKS, "state" => "dead").set(dead as f64);
        gauge!(EVENTS).set(events as f64);
    }
    let now = site.deps.clock.now();
    for (key, signatures) in site.deps.keys.ring().watch() {
        let stage = match key.stage(now) {
            Stage::Next => "next",
            Stage::Current => "current",
            Stage::Previous => "previous",
            Stage::Gone => continue,
        };
        let labels =
            [("alg", key.alg.name().to_owned()), ("kid", key.kid.clone()), ("stage", stage.to_owned())];
        gauge!(AGE, &labels).set(now.since(key.published_at).as_secs() as f64);
        if let Some(end) = key.expires_at {
            gauge!(EXPIRES, &labels).set(end.since(now).as_secs() as f64);
        }
        counter!(SIGNATURES, &labels[..2]).absolute(signatures);
    }
    describe_counter!(FAULTS, "faults at Kakao that this process met, by id and by who must act");
    for (fault, count) in site.deps.kakao.faults_met() {
        counter!(FAULTS, "id" => fault.id, "actor" => fault.actor.name()).absolute(count);
    }
    let (open, idle) = site.pool.connections();
    gauge!(CONNECTIONS, "state" => "open").set(f64::from(open));
    gauge!(CONNECTIONS, "state" => "idle").set(idle as f64);
}
