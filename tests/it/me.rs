//! `/v1/me`: a person's own account and logins; log out here, elsewhere, everywhere.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Browser, Rig, Setup, Stores, access_token, http, json, parameter, refresh_token};

async fn call(rig: &Rig, method: Method, path: &str, token: &str) -> Response {
    http().request(method, rig.url(0, path)).bearer_auth(token).send().await.unwrap()
}

async fn sessions(rig: &Rig, tokens: &Value) -> Vec<Value> {
    let reply = call(rig, Method::GET, "/v1/me/sessions", &rig.account_token(tokens).await).await;
    assert_eq!(reply.status(), StatusCode::OK);
    json(reply).await["sessions"].as_array().unwrap().clone()
}

async fn is_live(rig: &Rig, tokens: &Value) -> bool {
    let active = rig.introspected(0, access_token(tokens)).await["active"] == json!(true);
    let refreshes = rig.refresh(0, refresh_token(tokens)).await.status() == StatusCode::OK;
    assert_eq!(active, refreshes);
    active
}

#[tokio::test]
async fn a_person_sees_what_the_scopes_tell_and_the_roles() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let me = json(call(&rig, Method::GET, "/v1/me", access_token(&tokens)).await).await;
    assert_eq!(me["nickname"], "김하늘");
    assert_eq!(me["roles"], json!([]));
    assert!(me["id"].is_string() && me["created_at"].is_i64() && me.get("phone_number").is_none(), "{me}");
}

#[tokio::test]
async fn logins_are_listed_with_device_and_last_use_and_the_current_one_is_marked() {
    let rig = Rig::start().await;
    let first = Browser::new(&rig).tokens(&[]).await;
    rig.clock.advance(Duration::from_mins(1));
    let second = Browser::new(&rig).tokens(&[]).await;
    Browser::new(&rig).log_in(&crate::rig::authorization_request(&[])).await;
    let list = sessions(&rig, &second).await;
    assert_eq!(list.len(), 2, "a code that nobody redeemed is no login");
    assert_eq!((&list[0]["current"], &list[1]["current"]), (&json!(true), &json!(false)));
    assert_eq!((&list[0]["client_id"], &list[0]["client_name"]), (&json!("web"), &json!("<b>Shop</b>")));
    assert!(list[0]["last_used_at"].as_i64() > list[1]["last_used_at"].as_i64());
    assert_eq!(list[1]["id"], crate::rig::claims(access_token(&first))["sid"]);
}

#[tokio::test]
async fn one_login_is_ended_with_its_browser_s_session() {
    let rig = Rig::start().await;
    let (lost, here) = (Browser::new(&rig), Browser::new(&rig));
    let (phone, laptop) = (lost.tokens(&[]).await, here.tokens(&[]).await);
    let devices = sessions(&rig, &laptop).await;
    let id =
        devices.iter().find(|one| one["current"] == json!(false)).unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/me/sessions/{id}");
    let token = rig.account_token(&laptop).await;
    assert_eq!(call(&rig, Method::DELETE, &path, &token).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(call(&rig, Method::DELETE, &path, &token).await.status(), StatusCode::NOT_FOUND, "once");
    assert!(!is_live(&rig, &phone).await && is_live(&rig, &laptop).await);
    let silent = [("prompt", "none")];
    assert_eq!(parameter(&lost.at_once(&silent).await, "error").as_deref(), Some("login_required"));
    assert!(parameter(&here.at_once(&silent).await, "code").is_some());
}

#[tokio::test]
async fn elsewhere_ends_all_but_this_browser_and_everywhere_ends_all() {
    let rig = Rig::start().await;
    let here = Browser::new(&rig);
    let (mine, tab) = (here.tokens(&[]).await, here.redeem(&here.at_once(&[]).await).await);
    let elsewhere = [Browser::new(&rig).tokens(&[]).await, Browser::new(&rig).tokens(&[]).await];
    rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
    let theirs = Browser::new(&rig).tokens(&[]).await;
    rig.kakao.autopilot(kakao_simulator::Autopilot::Person("all-consents".into()));
    let token = rig.account_token(&mine).await;
    let keep = call(&rig, Method::DELETE, "/v1/me/sessions?keep=current", &token).await;
    assert_eq!(keep.status(), StatusCode::NO_CONTENT);
    for other in &elsewhere {
        assert!(!is_live(&rig, other).await);
    }
    assert!(is_live(&rig, &tab).await, "the same browser");
    assert!(is_live(&rig, &theirs).await, "another user");
    let all = call(&rig, Method::DELETE, "/v1/me/sessions", &token).await;
    assert_eq!(all.status(), StatusCode::NO_CONTENT);
    assert!(!is_live(&rig, &mine).await && !is_live(&rig, &tab).await);
    assert!(is_live(&rig, &theirs).await, "another user");
    assert_eq!(
        parameter(&here.at_once(&[("prompt", "none")]).await, "error").as_deref(),
        Some("login_required")
    );
    rig.later();
    let fresh = Browser::new(&rig).tokens(&[]).await;
    assert!(is_live(&rig, &fresh).await, "a login after it counts");
}

/// Each instance of the tests has one connection: a flow that wanted a second one while it holds the first would wait for
/// itself, and everybody else for it.
#[tokio::test]
async fn forty_who_log_out_elsewhere_at_once_do_not_block_one_another_nor_an_innocent_reader() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let mine = rig.tokens().await;
        let elsewhere = rig.tokens().await;
        rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
        let theirs = rig.tokens().await;
        let (path, token) = ("/v1/me/sessions?keep=current", rig.account_token(&mine).await);
        let ends = join_all((0..40).map(|_| call(&rig, Method::DELETE, path, &token)));
        let (ends, reader) = tokio::join!(ends, call(&rig, Method::GET, "/v1/me", access_token(&theirs)));
        let done = ends.iter().filter(|reply| reply.status() == StatusCode::NO_CONTENT).count();
        assert_eq!((done, reader.status()), (40, StatusCode::OK), "{stores:?}");
        assert!(!is_live(&rig, &elsewhere).await, "{stores:?}");
        assert!(is_live(&rig, &mine).await && is_live(&rig, &theirs).await, "{stores:?}");
    }
}

#[tokio::test]
async fn nobody_ends_what_is_somebody_else_s_and_bad_input_says_what_to_do() {
    let rig = Rig::start().await;
    let mine = Browser::new(&rig).tokens(&[]).await;
    rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
    let theirs = Browser::new(&rig).tokens(&[]).await;
    let sid = crate::rig::claims(access_token(&theirs))["sid"].as_str().unwrap().to_owned();
    let token = rig.account_token(&mine).await;
    for id in [sid.as_str(), "x", "00000000-0000-0000-0000-000000000000", "%00"] {
        let reply = call(&rig, Method::DELETE, &format!("/v1/me/sessions/{id}"), &token).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{id}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
    }
    assert!(is_live(&rig, &theirs).await);
    let bad = call(&rig, Method::DELETE, "/v1/me/sessions?keep=all", &token).await;
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST, "a misspelt keep ends nothing");
    assert!(is_live(&rig, &mine).await);
    for path in ["/v1/me", "/v1/me/sessions"] {
        let none = http().get(rig.url(0, path)).send().await.unwrap();
        assert_eq!(
            (none.status(), &none.headers()["www-authenticate"]),
            (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
        );
        let bad = call(&rig, Method::GET, path, "x").await;
        assert!(bad.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    }
}
