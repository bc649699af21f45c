//! The Basic OP plan, in its order.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::suite::{Browser, CALLBACK, CLIENT, CLIENT2, ISSUER, NONCE, Suite, request};
use crate::rig::{http, location, redirect};

#[tokio::test]
async fn oidcc_server() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[]).await;
    let claims = suite.id_token(&tokens).await;
    assert_eq!(claims["nonce"], NONCE);
    assert_eq!(suite.userinfo(&tokens).await["sub"], claims["sub"]);
    let header = jsonwebtoken::decode_header(tokens["id_token"].as_str().unwrap()).unwrap();
    assert!(header.kid.is_some());
}

#[tokio::test]
async fn oidcc_response_type_missing() {
    let suite = Suite::start().await;
    let landed = Browser::new(&suite).authorize(&[("response_type", "")]).await;
    assert!(["invalid_request", "unsupported_response_type"].contains(&landed.error().as_str()));
}

/// For dynamic registration alone. What it asserts: the ID token's signature is RS256 by a published key.
#[tokio::test]
async fn oidcc_idtoken_signature() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[]).await;
    suite.id_token(&tokens).await;
}

/// For dynamic registration alone, of a client that asks for `none`. No client can: it is not offered.
#[tokio::test]
async fn oidcc_idtoken_unsigned() {
    let suite = Suite::start().await;
    let offered = suite.metadata().await["id_token_signing_alg_values_supported"].clone();
    assert!(!offered.as_array().unwrap().contains(&json!("none")));
}

#[tokio::test]
async fn oidcc_userinfo_get() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[]).await;
    assert_eq!(suite.userinfo(&tokens).await["sub"], suite.id_token(&tokens).await["sub"]);
}

#[tokio::test]
async fn oidcc_userinfo_post_header() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[]).await;
    let request = http().post(suite.reach("/oauth/userinfo"));
    let reply = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.json::<Value>().await.unwrap()["sub"], suite.id_token(&tokens).await["sub"]);
}

/// A token in the body is not read, by choice (RFC 9700 §4.3.2 prefers the header); the suite warns and passes.
#[tokio::test]
async fn oidcc_userinfo_post_body() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[]).await;
    let form = [("access_token", tokens["access_token"].as_str().unwrap())];
    let reply = http().post(suite.reach("/oauth/userinfo")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(reply.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[("nonce", "")]).await;
    assert!(suite.id_token(&tokens).await.get("nonce").is_none());
}

async fn scope(scope: &str, expected: &[&str]) {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[("scope", scope)]).await;
    let said = suite.userinfo(&tokens).await;
    for name in expected {
        assert!(said.get(name).is_some(), "{name} is missing in {said}");
    }
    assert!(said.get("email_verified").is_none_or(Value::is_boolean), "{said}");
    assert!(said.get("updated_at").is_none_or(Value::is_number), "{said}");
}

#[tokio::test]
async fn oidcc_scope_profile() {
    scope("openid profile", &["name", "nickname", "picture", "updated_at"]).await;
}

#[tokio::test]
async fn oidcc_scope_email() {
    scope("openid email", &["email", "email_verified"]).await;
}

/// Skipped by the suite, because `scopes_supported` has no `address`: Kakao's is a list of shipping addresses.
#[tokio::test]
async fn oidcc_scope_address() {
    let suite = Suite::start().await;
    assert!(!suite.metadata().await["scopes_supported"].as_array().unwrap().contains(&json!("address")));
    scope("openid address", &["sub"]).await;
}

#[tokio::test]
async fn oidcc_scope_phone() {
    scope("openid phone", &["sub"]).await;
}

/// Skipped by the suite, because there is no `address`; the rest is asked for together.
#[tokio::test]
async fn oidcc_scope_all() {
    scope("openid profile email phone", &["name", "nickname", "picture", "email"]).await;
}

/// The order of parameters and scopes does not matter, and the state may be long and odd.
#[tokio::test]
async fn oidcc_alternate_happy_flow() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let mut reversed = request(&[("scope", "email profile openid")]);
    reversed.reverse();
    let reply = browser.send(http().get(suite.reach("/oauth/authorize")).query(&reversed)).await;
    suite.redeem(&browser.follow(reply).await.code()).await;
    let state = "x".repeat(120) + "+/= &%";
    let landed = Browser::new(&suite).authorize(&[("state", &state)]).await;
    assert_eq!(landed.get("state").as_deref(), Some(state.as_str()));
}

/// A request with one more parameter that must not be an error.
async fn succeeds_with(name: &str, value: &str) {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[(name, value)]).await;
    suite.userinfo(&tokens).await;
}

#[tokio::test]
async fn oidcc_display_page() {
    succeeds_with("display", "page").await;
}

#[tokio::test]
async fn oidcc_display_popup() {
    succeeds_with("display", "popup").await;
}

async fn logs_in_again(parameter: (&str, &str)) {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let first = suite.id_token(&browser.tokens(&[]).await).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = browser.ask(&[parameter]).await;
    let to = location(&asked);
    assert!(
        to.starts_with(suite.kakao.base_url()) && to.contains("prompt=login"),
        "a second login page: {to}"
    );
    let second = suite.id_token(&suite.redeem(&browser.follow(asked).await.code()).await).await;
    assert_eq!(first["sub"], second["sub"]);
    assert!(second["auth_time"].as_i64().unwrap() > first["auth_time"].as_i64().unwrap());
}

#[tokio::test]
async fn oidcc_prompt_login() {
    logs_in_again(("prompt", "login")).await;
}

#[tokio::test]
async fn oidcc_prompt_none_not_logged_in() {
    let suite = Suite::start().await;
    let reply = Browser::new(&suite).ask(&[("prompt", "none")]).await;
    assert!(location(&reply).starts_with(CALLBACK), "no page, no detour");
    let error = Browser::new(&suite).follow(reply).await.error();
    let allowed =
        ["interaction_required", "login_required", "account_selection_required", "consent_required"];
    assert!(allowed.contains(&error.as_str()), "{error}");
}

async fn stays_logged_in(parameter: (&str, &str)) {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let first = suite.id_token(&browser.tokens(&[("max_age", "15000")]).await).await;
    let reply = browser.ask(&[parameter]).await;
    assert!(location(&reply).starts_with(CALLBACK), "no page");
    let second = suite.id_token(&suite.redeem(&browser.follow(reply).await.code()).await).await;
    assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
    assert!(second["auth_time"].is_i64());
}

#[tokio::test]
async fn oidcc_prompt_none_logged_in() {
    stays_logged_in(("prompt", "none")).await;
}

#[tokio::test]
async fn oidcc_max_age_1() {
    logs_in_again(("max_age", "1")).await;
}

#[tokio::test]
async fn oidcc_max_age_10000() {
    stays_logged_in(("max_age", "10000")).await;
}

#[tokio::test]
async fn oidcc_ensure_request_with_unknown_parameter_succeeds() {
    succeeds_with("extra", "foobar").await;
}

#[tokio::test]
async fn oidcc_id_token_hint() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let first = browser.tokens(&[]).await;
    let hint = first["id_token"].as_str().unwrap();
    let second = browser.tokens(&[("prompt", "none"), ("id_token_hint", hint)]).await;
    assert_eq!(suite.id_token(&first).await["sub"], suite.id_token(&second).await["sub"]);
}

#[tokio::test]
async fn oidcc_login_hint() {
    succeeds_with("login_hint", "buffy@op.localhost").await;
}

#[tokio::test]
async fn oidcc_ui_locales() {
    succeeds_with("ui_locales", "se").await;
}

#[tokio::test]
async fn oidcc_claims_locales() {
    succeeds_with("claims_locales", "se").await;
}

#[tokio::test]
async fn oidcc_ensure_request_with_acr_values_succeeds() {
    succeeds_with("acr_values", "1 2").await;
}

/// At once, the suite asks for the error alone: an effect that runs twice is not to end a login.
async fn code_reuse(pause: Duration, ends: bool) {
    let suite = Suite::start().await;
    let code = Browser::new(&suite).authorize(&[]).await.code();
    let tokens = suite.redeem(&code).await;
    suite.userinfo(&tokens).await;
    tokio::time::sleep(pause).await;
    let again = suite.redeem_unchecked(&code).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert_eq!(again.json::<Value>().await.unwrap()["error"], "invalid_grant");
    let token = tokens["access_token"].as_str().unwrap();
    let reply = http().get(suite.reach("/oauth/userinfo")).bearer_auth(token).send().await.unwrap();
    let expected = if ends { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    assert_eq!(reply.status(), expected, "the first access token");
}

#[tokio::test]
async fn oidcc_codereuse() {
    code_reuse(Duration::ZERO, false).await;
}

/// The pause is the module's, not ours: a provider may forget a code after a while, and must not.
#[tokio::test]
async fn oidcc_codereuse_30seconds() {
    code_reuse(Duration::from_secs(30), true).await;
}

#[tokio::test]
async fn oidcc_ensure_registered_redirect_uri() {
    let suite = Suite::start().await;
    for uri in [
        "https://suite.example/callback/other",
        "https://suite.example/callback?x=y",
        "https://evil.example/",
    ] {
        let page = Browser::new(&suite).ask(&[("redirect_uri", uri)]).await;
        assert_eq!((page.status(), redirect(&page)), (StatusCode::BAD_REQUEST, None), "{uri}");
        assert!(page.text().await.unwrap().contains("redirect_uri_unknown"), "the page says why");
    }
}

#[tokio::test]
async fn oidcc_ensure_post_request_succeeds() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let reply = browser.send(http().post(suite.reach("/oauth/authorize")).form(&request(&[]))).await;
    suite.redeem(&browser.follow(reply).await.code()).await;
}

#[tokio::test]
async fn oidcc_server_client_secret_post() {
    let suite = Suite::start().await;
    let code = Browser::new(&suite).authorize(&[]).await.code();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("client_id", CLIENT.0),
        ("client_secret", CLIENT.1),
    ];
    suite.checked(suite.token_by_post(&form).await).await;
    let offered = suite.metadata().await["token_endpoint_auth_methods_supported"].clone();
    assert!(offered.as_array().unwrap().contains(&json!("client_secret_post")));
}

/// For dynamic registration alone. What it asserts for a provider without `request_uri`: it says so, and fetches nothing.
#[tokio::test]
async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported() {
    let suite = Suite::start().await;
    let uri = format!("{}/request-object", suite.kakao.base_url());
    let landed = Browser::new(&suite).authorize(&[("request_uri", &uri)]).await;
    assert_eq!(landed.error(), "request_uri_not_supported");
    assert!(suite.kakao.calls().is_empty());
}

fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({"alg": "none"})), part(claims))
}

#[tokio::test]
async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported() {
    let suite = Suite::start().await;
    let object = unsigned(&json!({"client_id": CLIENT.0, "redirect_uri": CALLBACK, "response_type": "code",
        "scope": "openid", "state": "another-state", "nonce": NONCE, "iss": CLIENT.0, "aud": ISSUER}));
    let landed = Browser::new(&suite).authorize(&[("request", &object)]).await;
    assert_eq!(landed.error(), "request_not_supported", "silently ignoring it fails the module");
}

#[tokio::test]
async fn oidcc_claims_essential() {
    succeeds_with("claims", r#"{"userinfo":{"name":{"essential":true}}}"#).await;
}

#[tokio::test]
async fn oidcc_ensure_request_object_with_redirect_uri() {
    let suite = Suite::start().await;
    let object = unsigned(&json!({"client_id": CLIENT.0, "redirect_uri": CALLBACK, "response_type": "code"}));
    let changes = [("redirect_uri", "https://evil.example/cb"), ("request", object.as_str())];
    let page = Browser::new(&suite).ask(&changes).await;
    assert_eq!((page.status(), redirect(&page)), (StatusCode::BAD_REQUEST, None));
}

#[tokio::test]
async fn oidcc_refresh_token() {
    let suite = Suite::start().await;
    let tokens = Browser::new(&suite).tokens(&[]).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let stolen = suite.token_by_basic(CLIENT2, &form).await;
    assert_eq!(stolen.status(), StatusCode::BAD_REQUEST, "exactly 400");
    assert_eq!(stolen.json::<Value>().await.unwrap()["error"], "invalid_grant");
    let fresh: Value = suite.token_by_basic(CLIENT, &form).await.json().await.unwrap();
    assert_ne!(fresh["access_token"], tokens["access_token"]);
    suite.userinfo(&fresh).await;
    // With an ID token, where one is asked for: the same person and login time, issued later (OpenID Connect Core §12.2).
    let refresh = fresh["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("scope", "openid")];
    let fresh: Value = suite.token_by_basic(CLIENT, &form).await.json().await.unwrap();
    let (first, second) = (suite.id_token(&tokens).await, suite.id_token(&fresh).await);
    for claim in ["iss", "sub", "aud", "auth_time"] {
        assert_eq!(first[claim], second[claim], "{claim}");
    }
    assert!(second["iat"].as_i64() >= first["iat"].as_i64());
}

/// RFC 7636 Appendix B.
#[tokio::test]
async fn oidcc_ensure_request_with_valid_pkce_succeeds() {
    let suite = Suite::start().await;
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let changes = [("code_challenge", challenge), ("code_challenge_method", "S256")];
    let code = Browser::new(&suite).authorize(&changes).await.code();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    suite.checked(suite.token_by_basic(CLIENT, &form).await).await;
}
