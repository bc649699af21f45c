//! Kakao's webhooks: proven, stored, answered, worked off; in any order, as often as they come, with the same end.

mod delivery;
mod effects;
mod order;
mod proof;
mod unlinks;

use std::time::Duration;

use kakao_auth::domain::UserId;
use reqwest::Response;
use serde_json::{Value, json};

use crate::rig::{Rig, http};

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

/// The same for a call about which Kakao is asked again after a while.
async fn settle_asking(rig: &Rig) {
    for _ in 0..50 {
        rig.process_due_events().await;
        if rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND done_at IS NULL").await == 0
        {
            rig.end_rows().await;
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
