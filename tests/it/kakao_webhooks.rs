//! Kakao's webhooks: proven, stored, answered, worked off; in any order, as often as they come, with the same end.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use kakao_auth::domain::kakao_event::USER_UNLINKED;
use kakao_auth::domain::{
    AttemptId, ClientId, Consent, Fingerprint, GrantId, KakaoId, NewGrant, Profile, Scope, SessionId,
    Timestamp, UserId,
};
use kakao_auth::flow::read_profile::read_stale_profiles;
use kakao_auth::flow::work_webhooks::work_webhooks;
use kakao_auth::store::logins::{self, NewLogin, NewSession, Recorded};
use kakao_simulator::{Effect, Email, Endpoint, Event, Fault, SetForgery};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, Row};

use crate::outages::{Door, host_of, through};
use crate::rig::{Browser, Program, Rig, Setup, Stores, claims, http, json as body, parameter, user_of};

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
    while rig.count("SELECT count(*) FROM webhook_events WHERE done_at IS NULL").await > 0 {
        work_webhooks(rig.deps(0), rig.pool(0)).await.unwrap();
        assert!(began.elapsed() < Duration::from_mins(1), "events are left");
    }
}

/// The same for a call about which Kakao is asked again after a while.
async fn settle_asking(rig: &Rig) {
    for _ in 0..50 {
        work_webhooks(rig.deps(0), rig.pool(0)).await.unwrap();
        if rig.count("SELECT count(*) FROM webhook_events WHERE done_at IS NULL").await == 0 {
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
            later(&rig);
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
            settle(&rig).await;
            assert!(!is_live(&rig, &tokens).await, "{way}");
            let refreshed = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
            assert_eq!(refreshed.status(), StatusCode::BAD_REQUEST);
            let silent = browser.at_once(&[("prompt", "none")]).await;
            assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"));
            assert!(user(&rig, id).await.unlinked_at.is_some());
            assert!(
                kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_none()
            );
            later(&rig);
        }
        assert_eq!(rig.count("SELECT count(*) FROM audit_events WHERE kind = 'kakao_event'").await, 3);
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
    later(&rig);
    rig.kakao.set_clock_offset(2);
    let deliveries = rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    let statuses: Vec<Option<u16>> = deliveries.iter().map(|delivery| delivery.status).collect();
    assert_eq!(statuses, [Some(200), Some(202)], "{deliveries:?}");
    settle(&rig).await;
    assert!(!is_live(&rig, &tokens).await);
}

#[tokio::test]
async fn an_unlink_without_our_key_or_for_another_app_has_no_effect() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    later(&rig);
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
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events").await, 0);
    assert!(is_live(&rig, &tokens).await);
    // Without an admin key nothing proves a call.
    let none =
        Rig::with(Setup { settings: vec![("KAKAO__ADMIN_KEY", String::new())], ..Setup::default() }).await;
    assert_eq!(unlink_with(&none, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_people_reasons_and_kinds_are_accepted_and_recorded_and_destroy_nothing() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    later(&rig);
    assert_eq!(unlink_with(&rig, 77, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    for kind in ["https://schemas.openid.net/secevent/oauth/event-type/invented", "x", "urn:a:b"] {
        tell(&rig, &event(&rig, kind)).await;
    }
    settle(&rig).await;
    assert!(is_live(&rig, &tokens).await);
    assert_eq!(rig.count("SELECT count(*) FROM audit_events WHERE kind = 'kakao_event'").await, 4);
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events WHERE outcome = 'noted'").await, 3);
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events WHERE outcome = 'unknown_user'").await, 1);
    rig.kakao.unlink(KAKAO_ID, "REVOKE_ACCOUNT_SERVICE_TERMS").await;
    assert_eq!(unlink_with(&rig, KAKAO_ID, "REVOKE_ACCOUNT_SERVICE_TERMS").await.status(), StatusCode::OK);
    settle(&rig).await;
    assert!(!is_live(&rig, &tokens).await, "whatever the reason, the link is gone");
}

#[tokio::test]
async fn events_of_a_sign_up_leave_the_new_user_alone() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    later(&rig);
    for name in ["user-linked", "user-scope-consent", "token-issued"] {
        tell(&rig, &event(&rig, &format!("{OAUTH}/{name}"))).await;
    }
    tell(&rig, &event(&rig, &format!("{RISC}/account-enabled"))).await;
    assert!(is_live(&rig, &tokens).await);
    let id = user_of(&tokens);
    assert!(kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_some());
    assert_eq!(user(&rig, id).await.profile.nickname.as_deref(), Some("김하늘"));
}

#[tokio::test]
async fn credential_events_end_the_logins_from_before_and_not_those_from_after() {
    let rig = Rig::start().await;
    for kind in [
        format!("{RISC}/account-disabled"),
        format!("{RISC}/account-credential-change-required"),
        format!("{RISC}/credential-compromise"),
        format!("{RISC}/sessions-revoked"),
        format!("{CAEP}/assurance-level-change"),
        format!("{CAEP}/credential-change"),
    ] {
        let browser = Browser::new(&rig);
        let before = browser.tokens(&[]).await;
        later(&rig);
        let told = event(&rig, &kind);
        later(&rig);
        let after = Browser::new(&rig).tokens(&[]).await;
        tell(&rig, &told).await;
        assert!(!is_live(&rig, &before).await, "{kind}");
        let silent = browser.at_once(&[("prompt", "none")]).await;
        assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"), "{kind}");
        assert!(is_live(&rig, &after).await, "{kind}");
        let at_kakao = claims(after["id_token"].as_str().unwrap())["auth_time"].as_i64().unwrap();
        assert!(at_kakao < told.at.unwrap(), "Kakao's own session is older than the event");
        later(&rig);
    }
}

#[tokio::test]
async fn an_event_whose_time_is_to_come_ends_what_is_now_and_not_what_is_then() {
    let rig = Rig::start().await;
    for at in [rig.clock.now().secs() + 3600, rig.clock.now().secs() * 1000, i64::MAX] {
        let before = Browser::new(&rig).tokens(&[]).await;
        later(&rig);
        for kind in [format!("{RISC}/credential-compromise"), format!("{OAUTH}/user-unlinked")] {
            tell(&rig, &Event { at: Some(at), ..Event::new(KAKAO_ID, &kind) }).await;
        }
        assert!(!is_live(&rig, &before).await, "{at}");
        later(&rig);
        let after = Browser::new(&rig).tokens(&[]).await;
        assert!(is_live(&rig, &after).await, "{at}");
        later(&rig);
    }
}

#[tokio::test]
async fn a_login_that_is_later_than_an_event_is_never_undone_by_it() {
    let rig = Rig::start().await;
    rig.tokens().await;
    later(&rig);
    let old: Vec<Event> = [
        USER_UNLINKED.to_owned(),
        format!("{RISC}/account-purged"),
        format!("{OAUTH}/tokens-revoked"),
        format!("{OAUTH}/user-scope-withdraw"),
        format!("{RISC}/identifier-recycled"),
    ]
    .iter()
    .map(|kind| event(&rig, kind))
    .collect();
    later(&rig);
    let tokens = rig.tokens().await;
    later(&rig);
    for event in &old {
        tell(&rig, event).await;
    }
    let id = user_of(&tokens);
    assert!(is_live(&rig, &tokens).await);
    let user = user(&rig, id).await;
    assert!(user.unlinked_at.is_none() && user.profile.email_verified && user.profile.nickname.is_some());
    assert!(kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_call_of_the_unlink_webhook_that_comes_again_does_not_undo_a_return() {
    for policy in ["keep", "disable", "erase"] {
        let settings = vec![("ACCOUNT__ON_UNLINK", policy.to_owned())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let tokens = rig.tokens().await;
        later(&rig);
        if policy == "keep" {
            rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
            assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
            settle(&rig).await;
            assert!(!is_live(&rig, &tokens).await);
            later(&rig);
        }
        let back = rig.tokens().await;
        later(&rig);
        assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
        settle_asking(&rig).await;
        assert!(is_live(&rig, &back).await, "{policy}");
        let outcomes = "SELECT count(*) FROM webhook_events WHERE outcome = 'linked_again'";
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
async fn an_access_token_that_came_after_an_event_stays() {
    let rig = Rig::start().await;
    let old: Vec<Event> =
        ["tokens-revoked", "token-issued"].map(|kind| event(&rig, &format!("{OAUTH}/{kind}"))).into();
    later(&rig);
    let id = user_of(&rig.tokens().await);
    for event in &old {
        tell(&rig, event).await;
        assert!(kakao_auth::flow::kakao_tokens::cached(rig.deps(0), id).await.is_some(), "{event:?}");
    }
    later(&rig);
    tell(&rig, &event(&rig, &format!("{OAUTH}/token-issued"))).await;
    assert!(kakao_auth::flow::kakao_tokens::cached(rig.deps(0), id).await.is_none());
}

#[tokio::test]
async fn who_is_kept_out_stays_out_after_an_erasing_unlink() {
    let settings = vec![("ACCOUNT__ON_UNLINK", "erase".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let id = user_of(&rig.tokens().await);
    later(&rig);
    kakao_auth::store::users::disable(&mut rig.db(), id, rig.clock.now()).await.unwrap();
    later(&rig);
    tell(&rig, &event(&rig, USER_UNLINKED)).await;
    assert!(user(&rig, id).await.deleted_at.is_some());
    later(&rig);
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
        later(&rig);
        let effect = Effect::Api { status, code };
        rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: None, delay_ms: 0, effect });
        rig.kakao.clear_calls();
        assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
        if tries > 1 {
            work_webhooks(rig.deps(0), rig.pool(0)).await.unwrap();
            assert_eq!(rig.count(live).await, 1, "{code}");
        }
        settle_asking(&rig).await;
        let asked = rig.kakao.calls_to(Endpoint::Me);
        assert!((1..=tries).contains(&asked), "{code}: {asked}");
        assert_eq!(rig.count(live).await, 0, "{code}");
    }
}

#[tokio::test]
async fn keys_that_kakao_does_not_have_do_not_have_it_asked_again_and_again() {
    let rig = Rig::start().await;
    let effect = Effect::Reply { status: 500, body: String::new(), content_type: None, headers: vec![] };
    rig.kakao.fault(Fault { endpoint: Endpoint::Jwks, times: None, delay_ms: 0, effect });
    let unknown = Event { forgery: Some(SetForgery::UnknownKid), ..event(&rig, USER_UNLINKED) };
    for known in [false, true] {
        rig.kakao.clear_calls();
        for _ in 0..20 {
            let reply = post_set(&rig, rig.kakao.sign_event(&unknown)).await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "known: {known}");
        }
        assert_eq!(rig.kakao.calls_to(Endpoint::Jwks), 1, "known: {known}");
        if !known {
            rig.clock.advance(Duration::from_secs(2));
            rig.kakao.clear_faults();
            rig.tokens().await;
            // The keys that are known go on being used when Kakao does not give them anew.
            let effect =
                Effect::Reply { status: 500, body: String::new(), content_type: None, headers: vec![] };
            rig.kakao.fault(Fault { endpoint: Endpoint::Jwks, times: None, delay_ms: 0, effect });
            rig.clock.advance(Duration::from_hours(2));
            tell(&rig, &event(&rig, &format!("{OAUTH}/user-linked"))).await;
            rig.clock.advance(Duration::from_secs(31));
        }
    }
}

#[tokio::test]
async fn a_withdrawal_that_names_its_items_erases_those_alone() {
    let rig = Rig::start().await;
    let id = user_of(&rig.tokens().await);
    // What is left is not read again here: this is about what the event itself does.
    for (scopes, email) in [(json!(["profile_image"]), true), (json!("account_email friends"), false)] {
        later(&rig);
        let told = Event { scopes: Some(scopes), ..event(&rig, &format!("{OAUTH}/user-scope-withdraw")) };
        let effect = Effect::Api { status: 503, code: -9798 };
        rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: None, delay_ms: 0, effect });
        tell(&rig, &told).await;
        let profile = user(&rig, id).await.profile;
        assert_eq!((profile.picture.is_some(), profile.email.is_some()), (false, email));
        assert!(profile.nickname.is_some());
    }
}

#[tokio::test]
async fn dead_tokens_are_forgotten_and_logins_go_on() {
    let rig = Rig::start().await;
    for name in ["tokens-revoked", "token-revoked"] {
        let tokens = rig.tokens().await;
        later(&rig);
        tell(&rig, &event(&rig, &format!("{OAUTH}/{name}"))).await;
        let id = user_of(&tokens);
        assert!(
            kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_none(),
            "{name}"
        );
        assert!(kakao_auth::flow::kakao_tokens::cached(rig.deps(0), id).await.is_none(), "{name}");
        assert!(is_live(&rig, &tokens).await, "{name}");
        later(&rig);
    }
}

#[tokio::test]
async fn a_changed_profile_is_read_again_with_the_admin_key_or_the_person_s_token() {
    for (admin_key, may) in [(true, true), (true, false), (false, true)] {
        let settings = if admin_key { vec![] } else { vec![("KAKAO__ADMIN_KEY", String::new())] };
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        rig.kakao.allow_admin(Endpoint::Me, may);
        let id = user_of(&rig.tokens().await);
        later(&rig);
        let mut person = rig.kakao.person("all-consents").unwrap();
        person.nickname = Some("새 이름".into());
        person.email = Email::Agreed { address: "new@example.com".into(), valid: true, verified: false };
        rig.kakao.put_person(person);
        tell(&rig, &event(&rig, &format!("{RISC}/identifier-changed"))).await;
        let told = event(&rig, PROFILE_CHANGED);
        tell(&rig, &told).await;
        settle_profiles(&rig).await;
        let user = user(&rig, id).await;
        assert_eq!(user.profile.nickname.as_deref(), Some("새 이름"), "admin key: {admin_key} {may}");
        assert_eq!(
            (user.profile.email.as_deref(), user.profile.email_verified),
            (Some("new@example.com"), false)
        );
    }
}

async fn settle_profiles(rig: &Rig) {
    let began = Instant::now();
    while rig.count("SELECT count(*) FROM users WHERE profile_stale_at IS NOT NULL").await > 0 {
        rig.clock.advance(Duration::from_secs(31));
        read_stale_profiles(rig.deps(0), &mut rig.pool(0).handle()).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(20), "profiles are left");
    }
}

#[tokio::test]
async fn an_address_that_changed_hands_is_distrusted_before_kakao_is_asked() {
    let rig = Rig::start().await;
    let id = user_of(&rig.tokens().await);
    later(&rig);
    rig.kakao.fault(Fault {
        endpoint: Endpoint::Me,
        times: None,
        delay_ms: 0,
        effect: Effect::Api { status: 503, code: -9798 },
    });
    tell(&rig, &event(&rig, &format!("{RISC}/identifier-recycled"))).await;
    assert!(!user(&rig, id).await.profile.email_verified);
    rig.kakao.clear_faults();
    settle_profiles(&rig).await;
    assert!(user(&rig, id).await.profile.email_verified, "Kakao says again that it is theirs");
}

#[tokio::test]
async fn the_account_goes_the_way_that_the_settings_say() {
    for (policy, returning) in [("keep", "new"), ("disable", "new"), ("erase", "new"), ("erase", "old")] {
        let settings =
            vec![("ACCOUNT__ON_UNLINK", policy.to_owned()), ("ACCOUNT__RETURNING", returning.to_owned())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let tokens = rig.tokens().await;
        let id = user_of(&tokens);
        later(&rig);
        let mut told = event(&rig, USER_UNLINKED);
        told.reason = Some("ACCOUNT_DELETE".into());
        tell(&rig, &told).await;
        tell(&rig, &told).await;
        assert!(!is_live(&rig, &tokens).await, "{policy}");
        later(&rig);
        let after = user(&rig, id).await;
        assert_eq!(after.deleted_at.is_some(), policy == "erase");
        assert_eq!(after.disabled_at.is_some(), policy == "disable");
        assert_eq!(after.profile.nickname.is_some(), policy != "erase");
        assert_eq!(after.kakao_id.is_some(), policy != "erase" || returning == "old");
        assert_eq!(
            rig.count("SELECT count(*) FROM kakao_unlinks WHERE done_at IS NULL").await,
            0,
            "Kakao knows"
        );
        let landed = Browser::new(&rig).log_in(&crate::rig::authorization_request(&[])).await;
        if policy == "disable" {
            assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
        } else {
            let back = rig.redeem(0, &parameter(&landed, "code").unwrap()).await;
            let same = user_of(&body(back).await) == id;
            assert_eq!(same, policy == "keep" || returning == "old", "{policy} {returning}");
        }
    }
}

#[tokio::test]
async fn a_forged_token_is_refused_with_its_reason_and_nothing_is_stored() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    later(&rig);
    for (forgery, err) in [
        (SetForgery::AlgNone, "invalid_request"),
        (SetForgery::Hs256WithPublicKey, "invalid_request"),
        (SetForgery::StrangeKey, "invalid_key"),
        (SetForgery::UnknownKid, "invalid_key"),
        (SetForgery::NoKid, "invalid_request"),
        (SetForgery::WrongTyp, "invalid_request"),
        (SetForgery::Issuer, "invalid_issuer"),
        (SetForgery::Audience, "invalid_audience"),
        (SetForgery::NoJti, "invalid_request"),
        (SetForgery::NoSub, "invalid_request"),
        (SetForgery::OtherSubject, "invalid_request"),
        (SetForgery::NoEvents, "invalid_request"),
        (SetForgery::Garbage, "invalid_request"),
    ] {
        let forged = Event { forgery: Some(forgery), ..event(&rig, USER_UNLINKED) };
        let reply = post_set(&rig, rig.kakao.sign_event(&forged)).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{forgery:?}");
        let said = body(reply).await;
        assert_eq!(said["err"], err, "{forgery:?}: {said}");
        assert!(said["description"].as_str().unwrap().ends_with('.'), "{said}");
    }
    let whole = rig.kakao.sign_event(&event(&rig, USER_UNLINKED));
    let id_token =
        rig.kakao.sdk_login("all-consents", &rig.kakao.app().rest_api_key, None, None).id_token.unwrap();
    for token in
        [String::new(), "x".repeat(20_000), whole[..whole.len() - 2].to_owned(), id_token, "\u{0}".into()]
    {
        assert_eq!(post_set(&rig, token).await.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events").await, 0);
    assert!(is_live(&rig, &tokens).await);
}

#[tokio::test]
async fn an_event_of_one_id_counts_once_and_either_audience_is_accepted() {
    let rig = Rig::start().await;
    rig.tokens().await;
    later(&rig);
    let told = Event { jti: Some("the-same".into()), ..event(&rig, &format!("{OAUTH}/user-linked")) };
    let token = rig.kakao.sign_event(&told);
    for _ in 0..3 {
        assert_eq!(post_set(&rig, token.clone()).await.status(), StatusCode::ACCEPTED);
    }
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events").await, 1);
    rig.kakao.set_unconfirmed(kakao_simulator::Unconfirmed {
        set_audience: kakao_simulator::SetAudience::AppId,
        ..kakao_simulator::Unconfirmed::default()
    });
    tell(&rig, &event(&rig, &format!("{OAUTH}/user-linked"))).await;
}

#[tokio::test]
async fn without_kakao_s_keys_nothing_is_said_about_a_token() {
    let rig = Rig::start().await;
    let effect = Effect::Reply { status: 500, body: String::new(), content_type: None, headers: vec![] };
    rig.kakao.fault(Fault { endpoint: Endpoint::Jwks, times: Some(1), delay_ms: 0, effect });
    let token = rig.kakao.sign_event(&event(&rig, USER_UNLINKED));
    let reply = post_set(&rig, token.clone()).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    later(&rig);
    assert_eq!(post_set(&rig, token).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn without_a_database_kakao_is_answered_in_time_and_the_event_takes_effect_when_it_is_back() {
    let mut rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    let door = Door::to(host_of(&rig.database_url, 5432)).await;
    let settings = vec![("DATABASE__URL", through(&rig.database_url, &door))];
    rig.add_instance(&Setup { settings, ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    later(&rig);
    // The keys are known, as they are in a service that has run for a while.
    tell(&rig, &event(&rig, &format!("{OAUTH}/user-linked"))).await;
    rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    door.shut();
    let began = Instant::now();
    assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    let token = rig.kakao.sign_event(&event(&rig, &format!("{OAUTH}/tokens-revoked")));
    // What is not stored is not said to be (RFC 8935 §2.2); it is kept all the same.
    let reply = post_set(&rig, token).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    assert!(began.elapsed() < Duration::from_secs(6), "three seconds each: {:?}", began.elapsed());
    door.open();
    let began = Instant::now();
    while rig.count("SELECT count(*) FROM webhook_events WHERE done_at IS NOT NULL").await < 3 {
        assert!(began.elapsed() < Duration::from_secs(20), "the events came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!is_live(&rig, &tokens).await);
}

#[tokio::test]
async fn a_process_that_is_killed_between_storing_and_working_off_loses_nothing() {
    let mut rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let id = user_of(&tokens);
    rig.stop(0).await.unwrap();
    let mut program = Program::on(&rig);
    program.set("KAKAO__ADMIN_KEY", &rig.kakao.app().admin_key);
    let mut child = program.serve().await;
    // Whoever works off must wait for this row: the moment between storing and working off does not pass.
    let mut locker = sqlx::PgConnection::connect(&rig.database_url).await.unwrap();
    sqlx::query("BEGIN").execute(&mut locker).await.unwrap();
    sqlx::query("UPDATE users SET updated_at = updated_at").execute(&mut locker).await.unwrap();
    rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    let form = [("user_id", KAKAO_ID.to_string()), ("referrer_type", "UNLINK_FROM_APPS".to_owned())];
    let request = http().post(program.url("/kakao/webhooks/unlink")).form(&form);
    let reply = request
        .header("Authorization", format!("KakaoAK {}", rig.kakao.app().admin_key))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    child.kill().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut locker).await.unwrap();
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events WHERE done_at IS NULL").await, 1, "stored");
    assert!(user(&rig, id).await.unlinked_at.is_none(), "not worked off");
    // Its claim, if it had one, runs out.
    sqlx::query("UPDATE webhook_events SET next_at = received_at").execute(&mut locker).await.unwrap();
    let _again = program.serve().await;
    let began = Instant::now();
    while user(&rig, id).await.unlinked_at.is_none() {
        assert!(began.elapsed() < Duration::from_secs(15), "the event took effect after the restart");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rig.count("SELECT count(*) FROM grants WHERE ended_at IS NULL").await, 0);
}

// --- ten thousand

/// A user who has logged in at this moment, without the detour of a browser.
async fn put_user(rig: &Rig, kakao_id: i64, at: Timestamp) {
    let profile = Profile {
        nickname: Some("이름".into()),
        email: Some(format!("{kakao_id}@example.com")),
        email_verified: true,
        phone_number: Some("+82 10-0000-0000".into()),
        age_range: Some("20~29".into()),
        ..Profile::default()
    };
    let login = NewLogin {
        user: UserId::generate(),
        kakao_id: KakaoId(kakao_id),
        profile: &profile,
        kakao_refresh_token: Some(b"sealed"),
        kakao_refresh_expires_at: None,
        consent: &Consent::default(),
        session: Some(NewSession {
            id: SessionId::generate(),
            token: Fingerprint::of(&kakao_id.to_be_bytes()),
            idle_expires_at: at + Duration::from_hours(24),
            expires_at: at + Duration::from_hours(24),
        }),
        read_at: at,
        vouched_at: at,
        now: at,
    };
    let id = GrantId::generate();
    let grant = NewGrant {
        id,
        client: ClientId("web".into()),
        scope: Scope::parse("profile").unwrap(),
        attempt: Some(AttemptId::of_state(&id.to_string())),
        code: Fingerprint::of(id.0.as_bytes()),
        code_expires_at: at + Duration::from_hours(1),
        redirect_uri: String::new(),
        challenge: None,
        nonce: None,
        auth_time: at,
        expires_at: at + Duration::from_hours(24),
        resource: Vec::new(),
        user_agent: None,
    };
    let recorded = logins::record(&mut rig.db(), &login, &grant).await.unwrap();
    assert!(matches!(recorded, Recorded::User(_)), "{recorded:?}");
}

const PEOPLE: i64 = 100;
const EVENTS: i64 = 80;

/// The same pseudo-random numbers each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What happens to a person: moments around their login, and what Kakao tells at each.
fn story(dice: &mut Dice, login: i64) -> Vec<(i64, String, Option<String>)> {
    let mut kinds = vec![
        format!("{OAUTH}/user-linked"),
        format!("{OAUTH}/token-revoked"),
        format!("{OAUTH}/user-scope-withdraw"),
        format!("{RISC}/identifier-changed"),
        format!("{RISC}/credential-compromise"),
        format!("{RISC}/account-disabled"),
        "https://example.com/unknown".to_owned(),
    ];
    // Some are unlinked, some not; some only before their login, some by several events.
    if dice.roll(2) == 0 {
        kinds.push(USER_UNLINKED.to_owned());
    }
    let all_before = dice.roll(4) == 0;
    (0..EVENTS)
        .map(|i| {
            let kind = kinds[dice.roll(kinds.len())].clone();
            let at = if all_before { login - 1 - i } else { login - EVENTS / 2 + i };
            (at, kind, (dice.roll(2) == 0).then(|| format!("REASON_{i}")))
        })
        .collect()
}

async fn state(rig: &Rig, kakao_id: i64) -> String {
    const SQL: &str = "
        SELECT unlinked_at::text || ' ' || coalesce(unlink_reason, '') AS link, disabled_at::text AS disabled,
               kakao_refresh_token IS NOT NULL AS token, nickname, email, email_verified, phone_number, age_range,
               deleted_at IS NOT NULL AS deleted,
               (SELECT count(*) FROM grants g WHERE g.user_id = u.id AND g.ended_at IS NULL) AS grants,
               (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL) AS sessions
        FROM users u WHERE kakao_id = $1";
    let kakao_auth::store::Pool::Postgres(pool) = &rig.pool else { panic!("this test is for Postgres") };
    let row = sqlx::query(SQL).bind(kakao_id).fetch_one(pool).await.unwrap();
    let text = |name: &str| row.try_get::<Option<String>, _>(name).unwrap();
    let flag = |name: &str| row.try_get::<bool, _>(name).unwrap();
    format!(
        "{:?}",
        (
            text("link"),
            text("disabled"),
            flag("token"),
            text("nickname"),
            text("email").map(|email| email.split_once('@').map(|(_, host)| host.to_owned())),
            flag("email_verified"),
            (text("phone_number"), text("age_range")),
            flag("deleted"),
            row.try_get::<i64, _>("grants").unwrap(),
            row.try_get::<i64, _>("sessions").unwrap(),
        )
    )
}

async fn post_all(rig: &Rig, client: &Client, tokens: Vec<String>) {
    let posts = tokens.into_iter().enumerate().map(|(i, token)| {
        let request = client.post(rig.url(i, "/kakao/webhooks/account-status")).body(token);
        async move { request.send().await.unwrap().status() }
    });
    let statuses: Vec<StatusCode> = stream::iter(posts).buffer_unordered(16).collect().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::ACCEPTED));
}

#[tokio::test]
async fn ten_thousand_in_random_order_with_duplicates_end_as_they_do_in_order() {
    // Nobody at Kakao is asked: these people are not there.
    let settings = vec![("KAKAO__ADMIN_KEY", String::new())];
    let rig = Rig::with(Setup { instances: 2, settings, ..Setup::default() }).await;
    // It lets go of a connection before the service does.
    let client = Client::builder().timeout(Duration::from_secs(20)).pool_idle_timeout(Duration::from_secs(1));
    let client = client.build().unwrap();
    let now = rig.clock.now();
    rig.clock.advance(Duration::from_hours(1));
    let (mut in_order, mut shuffled) = (Vec::new(), Vec::new());
    let mut dice = Dice(20_261_123);
    for person in 0..PEOPLE {
        put_user(&rig, 1_000 + person, now).await;
        put_user(&rig, 2_000 + person, now).await;
        for (n, (at, kind, reason)) in story(&mut dice, now.secs()).into_iter().enumerate() {
            let event = |user| Event {
                at: Some(at),
                reason: reason.clone(),
                jti: Some(format!("{user}-{n}")),
                ..Event::new(user, &kind)
            };
            in_order.push((at, rig.kakao.sign_event(&event(1_000 + person))));
            shuffled.push(rig.kakao.sign_event(&event(2_000 + person)));
        }
    }
    in_order.sort_by_key(|(at, _)| *at);
    // A quarter of them twice: 10,000 posts.
    let twice: Vec<String> =
        (0..shuffled.len() / 4).map(|_| shuffled[dice.roll(shuffled.len())].clone()).collect();
    shuffled.extend(twice);
    assert_eq!(shuffled.len(), 10_000);
    for i in (1..shuffled.len()).rev() {
        shuffled.swap(i, dice.roll(i + 1));
    }
    for (_, token) in in_order {
        post_all(&rig, &client, vec![token]).await;
    }
    settle(&rig).await;
    post_all(&rig, &client, shuffled).await;
    settle(&rig).await;
    let mut states = std::collections::BTreeSet::new();
    for person in 0..PEOPLE {
        let (ordered, random) = (state(&rig, 1_000 + person).await, state(&rig, 2_000 + person).await);
        assert_eq!(ordered, random, "person {person}");
        states.insert(ordered);
    }
    assert!(states.len() > 10, "the stories differ: {states:?}");
    assert_eq!(rig.count("SELECT count(*) FROM webhook_events").await, 2 * PEOPLE * EVENTS, "each id once");
}
