//! Introspection (RFC 7662): what a token says, to whom it concerns, and nothing to anybody else.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::rig::{BACKEND_SECRET, Rig, http, json};

#[tokio::test]
async fn a_live_access_token_says_what_it_is() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let said = rig.introspected(0, tokens["access_token"].as_str().unwrap()).await;
    for (name, value) in [
        ("active", json!(true)),
        ("token_type", json!("Bearer")),
        ("client_id", json!("web")),
        ("iss", json!(crate::rig::ISSUER)),
        ("aud", json!(["orders", crate::rig::ISSUER])),
        ("scope", json!("openid profile email")),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    for name in ["sub", "exp", "iat", "jti", "sid"] {
        assert!(!said[name].is_null(), "{name} is missing in {said}");
    }
}

#[tokio::test]
async fn what_is_not_live_is_inactive_and_nothing_else() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let huge = "a".repeat(10_000);
    for dead in ["x", "a.b.c", "kart_AAAA", &forged, tokens["id_token"].as_str().unwrap(), refresh, &huge] {
        assert_eq!(rig.introspected(0, dead).await, json!({"active": false}), "{dead}");
    }
    rig.clock.advance(Duration::from_mins(10));
    assert_eq!(rig.introspected(0, token).await, json!({"active": false}), "expired");
}

#[tokio::test]
async fn it_is_false_at_once_on_every_instance_after_a_revocation() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(rig.introspected(1, token).await["active"], true);
    let form = [("token", tokens["refresh_token"].as_str().unwrap()), ("client_id", "web")];
    let reply = http().post(rig.url(0, "/oauth/revoke")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(rig.introspected(1, token).await, json!({"active": false}));
}

#[tokio::test]
async fn a_token_of_no_concern_looks_like_none() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let form = [("token", tokens["access_token"].as_str().unwrap())];
    let reply = rig.form_as(0, "codeless", "/oauth/introspect", &form).await;
    assert_eq!(json(reply).await, json!({"active": false}));
}

#[tokio::test]
async fn only_a_proven_confidential_client_may_ask() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/introspect");
    for form in [
        vec![("token", "x")],
        vec![("token", "x"), ("client_id", "web")],
        vec![("token", "x"), ("client_id", "orders")],
        vec![("token", "x"), ("client_id", "orders"), ("client_secret", "wrong")],
    ] {
        let reply = http().post(&url).form(&form).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{form:?}");
    }
    let missing = rig.form_as(0, "orders", "/oauth/introspect", &[]).await;
    assert_eq!(missing.status(), StatusCode::BAD_REQUEST);
    assert_eq!(http().get(&url).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let by_body = [("token", "x"), ("client_id", "orders"), ("client_secret", BACKEND_SECRET)];
    let reply = http().post(&url).form(&by_body).send().await.unwrap();
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_learns_of_its_own_current_refresh_token() {
    let rig = Rig::start().await;
    let request = crate::rig::authorization_request(&[
        ("client_id", "backend"),
        ("redirect_uri", crate::rig::BACKEND),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ]);
    let landed = crate::rig::Browser::new(&rig).log_in(&request).await;
    let code = crate::rig::parameter(&landed, "code").unwrap();
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", crate::rig::BACKEND)];
    let tokens = json(rig.form_as(0, "backend", "/oauth/token", &form).await).await;
    let first = tokens["refresh_token"].as_str().unwrap();
    let look = async |token: &str| {
        json(rig.form_as(0, "backend", "/oauth/introspect", &[("token", token)]).await).await
    };
    assert_eq!(look(first).await["active"], true);
    let form = [("grant_type", "refresh_token"), ("refresh_token", first)];
    let second = json(rig.form_as(0, "backend", "/oauth/token", &form).await).await;
    assert_eq!(look(first).await, json!({"active": false}));
    assert_eq!(look(second["refresh_token"].as_str().unwrap()).await["token_type"], "refresh_token");
}
