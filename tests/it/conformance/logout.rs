//! The RP-Initiated Logout OP plan.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::suite::{BYE, Browser, Suite};
use crate::rig::{http, redirect};

async fn logout(suite: &Suite, browser: &Browser<'_>, query: &[(&str, &str)]) -> Response {
    browser.send(http().get(suite.reach("/oauth/logout")).query(query)).await
}

async fn assert_logged_out(browser: &Browser<'_>) {
    let error = browser.authorize(&[("prompt", "none")]).await.error();
    assert_eq!(error, "login_required");
}

/// No redirect: a page, of an error or asking for a confirmation.
fn assert_page(reply: &Response) {
    assert_eq!(redirect(reply), None);
    assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}

/// A page that asks before anything ends.
async fn assert_question(reply: Response) {
    assert_page(&reply);
    assert!(reply.text().await.unwrap().contains("name=\"confirm\""));
}

fn hint(tokens: &Value) -> &str {
    tokens["id_token"].as_str().unwrap()
}

#[tokio::test]
async fn oidcc_rp_initiated_logout() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let tokens = browser.tokens(&[]).await;
    let state = "s".repeat(128);
    let query = [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", BYE), ("state", &state)];
    let landed = browser.follow(logout(&suite, &browser, &query).await).await;
    assert_eq!(landed.0.query_pairs().count(), 1, "the state and nothing else");
    assert_eq!(landed.get("state"), Some(state));
    assert_logged_out(&browser).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_discovery_endpoint_verification() {
    let suite = Suite::start().await;
    let endpoint = suite.metadata().await["end_session_endpoint"].as_str().unwrap().to_owned();
    assert!(endpoint.starts_with("https://"));
    assert_eq!(suite.get(&endpoint).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let tokens = browser.tokens(&[]).await;
    let bad = "https://suite.example/post_logout_redirect/other";
    assert_page(
        &logout(&suite, &browser, &[("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", bad)])
            .await,
    );
    assert_logged_out(&browser).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let tokens = browser.tokens(&[]).await;
    let added = format!("{BYE}?foo=bar");
    let query = [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", added.as_str())];
    assert_page(&logout(&suite, &browser, &query).await);
    assert_logged_out(&browser).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_modified_id_token_hint() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let tokens = browser.tokens(&[]).await;
    let mut parts = hint(&tokens).split('.');
    let (_, payload) = (parts.next(), parts.next().unwrap());
    let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
    assert_question(
        logout(&suite, &browser, &[("id_token_hint", &unsigned), ("post_logout_redirect_uri", BYE)]).await,
    )
    .await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_bad_id_token_hint() {
    let suite = Suite::start().await;
    let stranger = Suite::start().await;
    let browser = Browser::new(&suite);
    browser.tokens(&[]).await;
    let foreign = Browser::new(&stranger).tokens(&[]).await;
    let query = [("id_token_hint", hint(&foreign)), ("post_logout_redirect_uri", BYE)];
    assert_question(logout(&suite, &browser, &query).await).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_id_token_hint() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    browser.tokens(&[]).await;
    assert_question(logout(&suite, &browser, &[("post_logout_redirect_uri", BYE), ("state", "x")]).await)
        .await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_params() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    browser.tokens(&[]).await;
    let asked = logout(&suite, &browser, &[]).await;
    assert_page(&asked);
    let page = asked.text().await.unwrap();
    let token = page.split("name=\"confirm\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let request = http().post(suite.reach("/oauth/logout")).form(&[("confirm", token)]);
    assert_page(&browser.send(request).await);
    assert_logged_out(&browser).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let tokens = browser.tokens(&[]).await;
    assert_page(&logout(&suite, &browser, &[("id_token_hint", hint(&tokens)), ("state", "x")]).await);
    assert_logged_out(&browser).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_state() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    let tokens = browser.tokens(&[]).await;
    let query = [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", BYE)];
    let landed = browser.follow(logout(&suite, &browser, &query).await).await;
    assert_eq!(landed.0.query(), None);
    assert_logged_out(&browser).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_only_state() {
    let suite = Suite::start().await;
    let browser = Browser::new(&suite);
    browser.tokens(&[]).await;
    assert_question(logout(&suite, &browser, &[("state", "x")]).await).await;
}
