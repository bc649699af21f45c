//! What the call about an unlink does: who may make it, what ends, and what a return keeps.

use std::time::Duration;

use kakao_auth::domain::kakao_event::USER_UNLINKED;
use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{is_live, settle_asking, unlink_with, user};
use crate::rig::{Browser, KAKAO_ID, Rig, Setup, Stores, http, json, parameter, user_of};

#[tokio::test]
async fn an_unlink_by_get_form_or_json_ends_logins_and_forgets_tokens_and_a_return_is_the_same_user() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let app = rig.kakao.app();
        let fields = json!({ "app_id": app.app_id.to_string(), "user_id": KAKAO_ID.to_string(), "referrer_type": "UNLINK_FROM_APPS" });
        let mut same = None;
        for way in ["get", "form", "json"] {
            let browser = Browser::new(&rig);
            let tokens = browser.tokens(&[]).await;
            let id = user_of(&tokens);
            assert_eq!(*same.get_or_insert(id), id, "a return is the same user");
            rig.later();
            rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
            let url = rig.url(0, "/kakao/webhooks/unlink");
            let request = match way {
                "get" => http().get(url).query(&fields),
                "form" => http().post(url).form(&fields),
                _ => http().post(url).json(&fields),
            };
            let reply =
                request.header("Authorization", format!("KakaoAK {}", app.admin_key)).send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::OK, "{way}");
            rig.process_events().await;
            assert!(!is_live(&rig, &tokens).await, "{way}");
            let refreshed = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
            assert_eq!(refreshed.status(), StatusCode::BAD_REQUEST);
            let silent = browser.at_once(&[("prompt", "none")]).await;
            assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"));
            assert!(user(&rig, id).await.unlinked_at.is_some());
            assert!(
                kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_none()
            );
            rig.later();
        }
        assert_eq!(
            rig.count("SELECT count(*) FROM audit_events WHERE kind = 'kakao_event.processed'").await,
            3
        );
        let id = user_of(&rig.tokens().await);
        assert_eq!((Some(id), user(&rig, id).await.unlinked_at), (same, None));
    }
}

#[tokio::test]
async fn the_simulator_s_person_unlinks_and_both_webhooks_come() {
    let rig = Rig::start().await;
    rig.kakao.set_webhooks(kakao_simulator::Webhooks {
        unlink_url: Some(rig.url(0, "/kakao/webhooks/unlink")),
        account_status_url: Some(rig.url(0, "/kakao/webhooks/account-status")),
        ..kakao_simulator::Webhooks::default()
    });
    let tokens = rig.tokens().await;
    rig.later();
    rig.kakao.set_clock_offset(2);
    let deliveries = rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    let statuses: Vec<Option<u16>> = deliveries.iter().map(|delivery| delivery.status).collect();
    assert_eq!(statuses, [Some(200), Some(202)], "{deliveries:?}");
    rig.process_events().await;
    assert!(!is_live(&rig, &tokens).await);
}

#[tokio::test]
async fn an_unlink_without_our_key_or_for_another_app_has_no_effect() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    rig.later();
    let app = rig.kakao.app();
    let good = format!("KakaoAK {}", app.admin_key);
    let id = KAKAO_ID.to_string();
    for (authorization, app_id, user, status) in [
        (None, "123456", id.as_str(), 401),
        (Some(String::new()), "123456", &id, 401),
        (Some("KakaoAK ".into()), "123456", &id, 401),
        (Some(format!("KakaoAK {}x", app.admin_key)), "123456", &id, 401),
        (Some(format!("KakaoAK {}", &app.admin_key[..31])), "123456", &id, 401),
        (Some(format!("KakaoAK {}", app.rest_api_key)), "123456", &id, 401),
        (Some(format!("Bearer {}", app.admin_key)), "123456", &id, 401),
        (Some(app.admin_key.clone()), "123456", &id, 401),
        (Some(good.clone()), "654321", &id, 403),
        (Some(good.clone()), "x", &id, 403),
        (Some(good.clone()), "123456", "", 400),
        (Some(good.clone()), "123456", "-1", 400),
        (Some(good.clone()), "123456", "99999999999999999999", 400),
        (Some(good), "123456", "한글", 400),
    ] {
        for method in [Method::GET, Method::POST] {
            let fields = [("app_id", app_id), ("user_id", user), ("referrer_type", "UNLINK_FROM_APPS")];
            let mut request = http().request(method.clone(), rig.url(0, "/kakao/webhooks/unlink"));
            request = if method == Method::GET { request.query(&fields) } else { request.form(&fields) };
            if let Some(value) = &authorization {
                request = request.header("Authorization", value);
            }
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status().as_u16(), status, "{method} {authorization:?} {app_id} {user}");
            assert_eq!(reply.headers().contains_key("www-authenticate"), status == 401);
        }
    }
    let huge = http()
        .post(rig.url(0, "/kakao/webhooks/unlink"))
        .header("Authorization", format!("KakaoAK {}", app.admin_key));
    let huge = huge.form(&[("user_id", "1".repeat(20_000))]).send().await.unwrap();
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await, 0);
    assert!(is_live(&rig, &tokens).await);
    // Without an admin key nothing proves a call.
    let none =
        Rig::with(Setup { settings: vec![("KAKAO__ADMIN_KEY", String::new())], ..Setup::default() }).await;
    assert_eq!(unlink_with(&none, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_call_of_the_unlink_webhook_that_comes_again_does_not_undo_a_return() {
    for policy in ["keep", "disable", "erase"] {
        let settings = vec![("ACCOUNT__ON_UNLINK", policy.to_owned())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let tokens = rig.tokens().await;
        rig.later();
        if policy == "keep" {
            rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
            assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
            rig.process_events().await;
            assert!(!is_live(&rig, &tokens).await);
            rig.later();
        }
        let back = rig.tokens().await;
        rig.later();
        assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
        settle_asking(&rig).await;
        assert!(is_live(&rig, &back).await, "{policy}");
        let outcomes = "SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND outcome = 'linked_again'";
        assert_eq!(rig.count(outcomes).await, 1, "{policy}");
    }
}

#[tokio::test]
async fn who_linked_again_before_the_webhook_came_keeps_that_login_and_loses_those_from_before() {
    let rig = Rig::start().await;
    let before = Browser::new(&rig).tokens(&[]).await;
    rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    // Kakao says since when the person is linked: between the two logins, on clocks that do not stand still alike.
    rig.clock.advance(Duration::from_mins(4));
    rig.kakao.set_clock_offset(120);
    let after = Browser::new(&rig).tokens(&[]).await;
    assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    settle_asking(&rig).await;
    assert!(!is_live(&rig, &before).await);
    assert!(is_live(&rig, &after).await);
}

#[tokio::test]
async fn who_is_kept_out_stays_out_after_an_erasing_unlink() {
    let settings = vec![("ACCOUNT__ON_UNLINK", "erase".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let id = user_of(&rig.tokens().await);
    rig.later();
    kakao_auth::store::users::disable(&mut rig.db(), id, rig.clock.now()).await.unwrap();
    rig.later();
    rig.tell(&rig.event(USER_UNLINKED)).await;
    assert!(user(&rig, id).await.deleted_at.is_some());
    rig.later();
    let landed = Browser::new(&rig).log_in(&crate::rig::authorization_request(&[])).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"), "{landed}");
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn an_unlink_about_which_kakao_cannot_be_asked_is_believed_in_the_end() {
    for (status, code, tries) in [(503, -9798, 7), (403, -5, 1)] {
        let rig = Rig::start().await;
        rig.tokens().await;
        let live = "SELECT count(*) FROM grants WHERE ended_at IS NULL";
        rig.later();
        let effect = Effect::Api { status, code };
        rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: None, delay_ms: 0, effect });
        rig.kakao.clear_calls();
        assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
        if tries > 1 {
            rig.process_due_events().await;
            assert_eq!(rig.count(live).await, 1, "{code}");
        }
        settle_asking(&rig).await;
        let asked = rig.kakao.calls_to(Endpoint::Me);
        assert!((1..=tries).contains(&asked), "{code}: {asked}");
        assert_eq!(rig.count(live).await, 0, "{code}");
    }
}

#[tokio::test]
async fn the_account_goes_the_way_that_the_settings_say() {
    for (policy, returning) in [("keep", "new"), ("disable", "new"), ("erase", "new"), ("erase", "old")] {
        let settings =
            vec![("ACCOUNT__ON_UNLINK", policy.to_owned()), ("ACCOUNT__RETURNING", returning.to_owned())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let tokens = rig.tokens().await;
        let id = user_of(&tokens);
        rig.later();
        let mut told = rig.event(USER_UNLINKED);
        told.reason = Some("ACCOUNT_DELETE".into());
        rig.tell(&told).await;
        rig.tell(&told).await;
        assert!(!is_live(&rig, &tokens).await, "{policy}");
        rig.later();
        let after = user(&rig, id).await;
        assert_eq!(after.deleted_at.is_some(), policy == "erase");
        assert_eq!(after.disabled_at.is_some(), policy == "disable");
        assert_eq!(after.profile.nickname.is_some(), policy != "erase");
        assert_eq!(after.kakao_id.is_some(), policy != "erase" || returning == "old");
        assert_eq!(
            rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_unlink' AND done_at IS NULL").await,
            0,
            "Kakao knows"
        );
        let landed = Browser::new(&rig).log_in(&crate::rig::authorization_request(&[])).await;
        if policy == "disable" {
            assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
        } else {
            let back = rig.redeem(0, &parameter(&landed, "code").unwrap()).await;
            let same = user_of(&json(back).await) == id;
            assert_eq!(same, policy == "keep" || returning == "old", "{policy} {returning}");
        }
    }
}
