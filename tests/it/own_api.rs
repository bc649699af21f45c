//! Our own API takes only tokens that are for it: a backend service that receives a token can do nothing here with it.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{
    Browser, ISSUER, Rig, Setup, Stores, VERIFIER, WEB, access_token, authorization_request, claims, json,
    parameter, refresh_token, user_of,
};

const MINE: [(Method, &str, &str); 5] = [
    (Method::GET, "/v1/me", "openid"),
    (Method::GET, "/v1/me/sessions", "account"),
    (Method::DELETE, "/v1/me/sessions/x", "account"),
    (Method::DELETE, "/v1/me/sessions?keep=current", "account"),
    (Method::DELETE, "/v1/me", "account"),
];

fn refused(reply: &Response, status: StatusCode, challenge: &str) {
    assert_eq!(reply.status(), status);
    let said = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(said.contains(challenge), "{said}");
}

/// Logs in at the web client and exchanges the code with these further parameters.
async fn redeem(rig: &Rig, request: &[(&str, &str)], more: &[(&str, &str)]) -> Value {
    let landed = Browser::new(rig).log_in(&authorization_request(request)).await;
    let code = parameter(&landed, "code").unwrap_or_else(|| panic!("{landed}"));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", &code),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
    ];
    json(rig.token(0, &[&form, more].concat()).await).await
}

async fn refresh(rig: &Rig, tokens: &Value, more: &[(&str, &str)]) -> Value {
    let form =
        [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", refresh_token(tokens))];
    json(rig.token(0, &[&form, more].concat()).await).await
}

#[tokio::test]
async fn a_token_that_a_backend_service_received_opens_nothing_of_the_user_s_account() {
    let rig = Rig::start().await;
    let theirs = redeem(&rig, &[("scope", "profile account")], &[]).await;
    assert_eq!(claims(access_token(&theirs))["aud"], "orders");
    for (method, path, _) in MINE {
        let reply = rig.call(method, path, access_token(&theirs), None).await;
        refused(&reply, StatusCode::UNAUTHORIZED, "error=\"invalid_token\"");
    }
    let userinfo = rig.call(Method::GET, "/oauth/userinfo", access_token(&theirs), None).await;
    refused(&userinfo, StatusCode::UNAUTHORIZED, "error=\"invalid_token\"");

    // With openid it is for userinfo as well, and still not for the account, whatever the login was granted.
    let wider = redeem(&rig, &[], &[]).await;
    assert_eq!(claims(access_token(&wider))["aud"], json!(["orders", ISSUER]));
    assert_eq!(claims(access_token(&wider))["scope"], "openid profile email");
    assert_eq!(wider["scope"], "openid profile email");
    for path in ["/oauth/userinfo", "/v1/me"] {
        let reply = rig.call(Method::GET, path, access_token(&wider), None).await;
        assert_eq!(reply.status(), StatusCode::OK, "{path}");
    }
    for (method, path, scope) in MINE.into_iter().skip(1) {
        let reply = rig.call(method, path, access_token(&wider), None).await;
        refused(&reply, StatusCode::FORBIDDEN, &format!("scope=\"{scope}\""));
    }
    assert_eq!(refresh(&rig, &wider, &[]).await["scope"], "openid profile email", "nothing was ended");
}

#[tokio::test]
async fn the_account_is_reached_by_a_token_that_is_asked_for_with_the_issuer_as_its_only_resource() {
    let rig = Rig::start().await;
    let by_code = redeem(&rig, &[], &[("resource", ISSUER)]).await;
    // A login that was asked for one backend service reaches us all the same, and no other one.
    let login = redeem(&rig, &[("resource", "orders")], &[]).await;
    let by_refresh = refresh(&rig, &login, &[("resource", ISSUER)]).await;
    for tokens in [&by_code, &by_refresh] {
        let said = claims(access_token(tokens));
        assert_eq!((&said["aud"], &said["scope"]), (&json!(ISSUER), &json!("openid profile email account")));
        let list = rig.call(Method::GET, "/v1/me/sessions", access_token(tokens), None).await;
        assert_eq!(list.status(), StatusCode::OK);
    }
    let both = refresh(&rig, &by_code, &[("resource", ISSUER), ("resource", "orders")]).await;
    let said = claims(access_token(&both));
    assert_eq!((&said["aud"], &said["scope"]), (&json!([ISSUER, "orders"]), &json!("openid profile email")));
    // Named without its resource it is refused, and the refresh token stays good.
    let wrong = refresh(&rig, &both, &[("scope", "openid account")]).await;
    assert_eq!(
        (&wrong["error"], &wrong["code"]),
        (&json!("invalid_scope"), &json!("account_needs_resource"))
    );
    let narrow = refresh(&rig, &both, &[("scope", "account"), ("resource", ISSUER)]).await;
    assert_eq!(claims(access_token(&narrow))["scope"], "account");
    refused(
        &rig.call(Method::GET, "/v1/me", access_token(&narrow), None).await,
        StatusCode::FORBIDDEN,
        "scope=\"openid\"",
    );

    // Who did not ask for the scope at the login does not get it later, and a client without it never does.
    let without = redeem(&rig, &[("scope", "openid")], &[("resource", ISSUER)]).await;
    assert_eq!(claims(access_token(&without))["scope"], "openid");
    let landed = Browser::new(&rig)
        .log_in(&authorization_request(&[
            ("client_id", "other"),
            ("redirect_uri", "https://other.example/cb"),
        ]))
        .await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "other"),
        ("code", &parameter(&landed, "code").unwrap()),
        ("redirect_uri", "https://other.example/cb"),
        ("code_verifier", VERIFIER),
        ("resource", ISSUER),
    ];
    let other = json(rig.token(0, &form).await).await;
    assert_eq!(claims(access_token(&other))["scope"], "openid profile email");
}

#[tokio::test]
async fn a_client_s_token_for_another_service_opens_nothing_of_ours_and_ours_must_be_named() {
    let hash = kakao_auth::domain::Fingerprint::of(crate::rig::BACKEND_SECRET.as_bytes()).to_hex();
    let clients = format!(
        "[[clients]]\nid = \"job\"\ntype = \"confidential\"\nsecret_sha256 = [\"{hash}\"]\n\
         grants = [\"client_credentials\"]\naudience = [\"orders\"]\n\
         scopes = [\"orders:read\", \"users:read\", \"kakao:token\", \"admin\"]\n"
    );
    let rig = Rig::with(Setup { clients, ..Setup::default() }).await;
    let user = user_of(&rig.tokens().await);
    let ask = async |client: &str, more: &[(&str, &str)]| {
        let form = [&[("grant_type", "client_credentials")], more].concat();
        json(rig.form_as(0, client, "/oauth/token", &form).await).await
    };
    let ours = [format!("/v1/users/{user}"), "/v1/admin/kakao-unlinks".to_owned()];
    let default = ask("job", &[]).await;
    let said = claims(access_token(&default));
    assert_eq!((&said["aud"], &said["scope"]), (&json!("orders"), &json!("orders:read")));
    for path in &ours {
        let reply = rig.call(Method::GET, path, access_token(&default), None).await;
        refused(&reply, StatusCode::UNAUTHORIZED, "error=\"invalid_token\"");
    }
    for resource in ["", ISSUER] {
        let named = ask("job", &[("scope", "users:read admin"), ("resource", resource)]).await;
        let said = claims(access_token(&named));
        assert_eq!((&said["aud"], &said["scope"]), (&json!(ISSUER), &json!("users:read admin")));
        for path in &ours {
            let reply = rig.call(Method::GET, path, access_token(&named), None).await;
            assert_eq!(reply.status(), StatusCode::OK, "{path}");
        }
    }
    for (client, more, error) in [
        ("job", vec![("scope", "admin orders:read")], "invalid_scope"),
        ("job", vec![("scope", "admin"), ("resource", "orders")], "invalid_target"),
        ("job", vec![("scope", "admin"), ("resource", ISSUER), ("resource", "orders")], "invalid_target"),
        ("job", vec![("scope", "account"), ("resource", ISSUER)], "invalid_scope"),
        ("ops", vec![], "invalid_scope"),
        ("orders", vec![("scope", "admin")], "invalid_scope"),
    ] {
        assert_eq!(ask(client, &more).await["error"], error, "{client} {more:?}");
    }
}

#[tokio::test]
async fn an_account_is_deleted_only_by_who_logged_in_lately() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let browser = Browser::new(&rig);
        let tokens = browser.tokens(&[]).await;
        rig.clock.advance(Duration::from_secs(605));
        let by_session = browser.redeem(&browser.at_once(&[]).await).await;
        for old in [&tokens, &by_session] {
            let reply = rig.call(Method::DELETE, "/v1/me", &rig.account_token(old).await, None).await;
            assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{stores:?}");
            let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
            for part in ["error=\"insufficient_user_authentication\"", "max_age=\"600\""] {
                assert!(challenge.contains(part), "{challenge}");
            }
            let said = json(reply).await;
            assert_eq!((&said["code"], &said["max_age"]), (&json!("login_not_fresh"), &json!(600)));
        }
        rig.kakao.set_clock_offset(605);
        let fresh = browser.tokens(&[("max_age", "600")]).await;
        assert_eq!(user_of(&fresh), user_of(&tokens), "nothing was deleted");
        let reply = rig.call(Method::DELETE, "/v1/me", &rig.account_token(&fresh).await, None).await;
        assert_eq!(reply.status(), StatusCode::NO_CONTENT, "{stores:?}");
    }
}

#[tokio::test]
async fn the_operator_says_how_lately() {
    let settings = vec![("ACCOUNT__FRESH_LOGIN", "1h".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    rig.clock.advance(Duration::from_mins(30));
    let reply = rig.call(Method::DELETE, "/v1/me", &rig.account_token(&tokens).await, None).await;
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
}
