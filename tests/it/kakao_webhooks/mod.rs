//! Kakao's webhooks: proven, stored, answered, worked off; in any order, as often as they come, with the same end.

mod delivery;
mod effects;
mod order;
mod proof;
mod unlinks;

use std::time::{Duration, Instant};

use kakao_auth::domain::UserId;
use kakao_auth::flow::process_webhook_events::process_webhook_events;
use kakao_simulator::Event;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Rig, http};

const KAKAO_ID: i64 = 4_412_345_678;
const OAUTH: &str = "https://schemas.openid.net/secevent/oauth/event-type";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type";
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";
const PROFILE_CHANGED: &str = "https://schemas.kakao.com/platevent/kakao/event-type/user-profile-changed";

async fn unlink_with(rig: &Rig, user: i64, reason: &str) -> Response {
    let app = rig.kakao.app();
    let (app_id, user) = (app.app_id.to_string(), user.to_string());
    let form = [("app_id", app_id.as_str()), ("user_id", user.as_str()), ("referrer_type", reason)];
    let request = http().post(rig.url(0, "/kakao/webhooks/unlink")).form(&form);
    request.header("Authorization", format!("KakaoAK {}", app.admin_key)).send().await.unwrap()
}

async fn post_set(rig: &Rig, token: String) -> Response {
    let request = http().post(rig.url(0, "/kakao/webhooks/account-status"));
    request.header("Content-Type", "application/secevent+jwt").body(token).send().await.unwrap()
}

/// An event of this kind that happened now, by the service's clock.
fn event(rig: &Rig, kind: &str) -> Event {
    Event { at: Some(rig.clock.now().secs()), ..Event::new(KAKAO_ID, kind) }
}

async fn tell(rig: &Rig, event: &Event) {
    let reply = post_set(rig, rig.kakao.sign_event(event)).await;
    assert_eq!(reply.status(), StatusCode::ACCEPTED, "{event:?}");
    settle(rig).await;
}

/// Until everything is worked off.
async fn settle(rig: &Rig) {
    let began = Instant::now();
    while rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND done_at IS NULL").await > 0 {
        process_webhook_events(rig.deps(0), rig.pool(0)).await.unwrap();
        assert!(began.elapsed() < Duration::from_mins(1), "events are left");
    }
}

/// The same for a call about which Kakao is asked again after a while.
async fn settle_asking(rig: &Rig) {
    for _ in 0..50 {
        process_webhook_events(rig.deps(0), rig.pool(0)).await.unwrap();
        if rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND done_at IS NULL").await == 0
        {
            return;
        }
        // A job of the service may be at it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.clock.advance(Duration::from_secs(5));
    }
    panic!("events are left");
}

async fn is_live(rig: &Rig, tokens: &Value) -> bool {
    rig.introspected(0, tokens["access_token"].as_str().unwrap()).await["active"] == json!(true)
}

async fn user(rig: &Rig, id: UserId) -> kakao_auth::domain::User {
    kakao_auth::store::users::find(&mut rig.db(), id).await.unwrap().unwrap()
}

fn later(rig: &Rig) {
    rig.clock.advance(Duration::from_secs(2));
}
