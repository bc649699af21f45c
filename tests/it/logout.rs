//! Logout (OpenID Connect RP-Initiated Logout 1.0): the browser's session and its logins end, and nobody is sent astray.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::rig::{Browser, Rig, http, json, location, parameter};

/// The session's cookie where the issuer is not https.
const SESSION: &str = "kakao-auth-session";

const BYE: &str = "https://app.example/bye";

async fn logout(browser: &Browser<'_>, rig: &Rig, query: &[(&str, &str)]) -> Response {
    let mut url = url::Url::parse(&rig.url(0, "/oauth/logout")).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    browser.get(url.as_str()).await
}

async fn is_logged_in(browser: &Browser<'_>) -> bool {
    parameter(&browser.at_once(&[("prompt", "none")]).await, "code").is_some()
}

fn hint(tokens: &Value) -> &str {
    tokens["id_token"].as_str().unwrap()
}

#[tokio::test]
async fn with_a_genuine_hint_the_browser_goes_back_with_the_exact_state_and_the_login_is_over() {
    let rig = Rig::start().await;
    let state = "s".repeat(120) + "+&=%";
    for (uri, expected) in [
        (BYE, "https://app.example/bye?state="),
        ("https://app.example/bye?a=b", "https://app.example/bye?a=b&state="),
    ] {
        let browser = Browser::new(&rig);
        let tokens = browser.tokens(&[]).await;
        let query =
            [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", uri), ("state", state.as_str())];
        let landed = location(&logout(&browser, &rig, &query).await);
        assert!(landed.starts_with(expected), "{landed}");
        assert_eq!(parameter(&landed, "state").as_deref(), Some(state.as_str()));
        assert_eq!(parameter(&landed, "code"), None);
        assert!(!browser.cookies.lock().unwrap().contains_key(SESSION), "the cookie is removed");
        assert!(!is_logged_in(&browser).await);
        let refresh = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
        assert_eq!(json(refresh).await["error"], "invalid_grant");
        let again = logout(&browser, &rig, &query).await;
        assert_eq!(again.status(), StatusCode::SEE_OTHER, "twice is as good as once");
    }
}

#[tokio::test]
async fn without_a_state_none_comes_back_and_a_post_works_too() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let form = [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", BYE), ("client_id", "web")];
    assert_eq!(location(&browser.post("/oauth/logout", &form).await), BYE);
}

#[tokio::test]
async fn every_login_of_the_browser_ends_and_a_replayed_cookie_is_dead() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let second = browser.redeem(&browser.at_once(&[]).await).await;
    let third = browser.tokens(&[("prompt", "login")]).await;
    let elsewhere = Browser::new(&rig).tokens(&[]).await;
    let cookie = browser.cookies.lock().unwrap()[SESSION].clone();
    logout(&browser, &rig, &[("id_token_hint", hint(&third))]).await;
    for (name, tokens, alive) in [
        ("first", tokens, false),
        ("second", second, false),
        ("third", third, false),
        ("elsewhere", elsewhere, true),
    ] {
        let active = rig.introspected(0, tokens["access_token"].as_str().unwrap()).await["active"].clone();
        assert_eq!(active, alive, "{name}");
    }
    browser.cookies.lock().unwrap().insert(SESSION.into(), cookie);
    assert!(!is_logged_in(&browser).await);
}

#[tokio::test]
async fn an_address_that_is_not_registered_is_never_followed() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    for uri in [
        "https://evil.example/",
        "https://app.example/bye?x=1",
        "https://app.example/bye/",
        "https://other.example/bye",
        "//evil",
    ] {
        let page =
            logout(&browser, &rig, &[("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", uri)])
                .await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{uri}");
        assert!(page.headers().get("location").is_none(), "{uri}");
    }
    assert!(is_logged_in(&browser).await, "and nothing is ended");
}

#[tokio::test]
async fn a_hint_that_is_not_ours_goes_nowhere() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let parts: Vec<&str> = hint(&tokens).split('.').collect();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    for bad in ["garbage", &none, &format!("{}.{}.AAAA", parts[0], parts[1])] {
        let page = logout(&browser, &rig, &[("id_token_hint", bad), ("post_logout_redirect_uri", BYE)]).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        assert!(page.headers().get("location").is_none());
    }
    let other = [("id_token_hint", hint(&tokens)), ("client_id", "other")];
    assert_eq!(logout(&browser, &rig, &other).await.status(), StatusCode::BAD_REQUEST);
    assert!(is_logged_in(&browser).await);
}

#[tokio::test]
async fn without_a_hint_the_person_is_asked_and_only_the_person_can_answer() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    for query in
        [vec![], vec![("state", "x")], vec![("post_logout_redirect_uri", BYE)], vec![("confirm", "guess")]]
    {
        let page = logout(&browser, &rig, &query).await;
        assert_eq!(page.status(), StatusCode::OK, "{query:?}");
        assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
        assert!(page.text().await.unwrap().contains("name=\"confirm\""), "{query:?}");
        assert!(is_logged_in(&browser).await, "{query:?}");
    }
    let page = logout(&browser, &rig, &[]).await.text().await.unwrap();
    let token = page.split("name=\"confirm\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let stranger = Browser::new(&rig);
    stranger.tokens(&[]).await;
    stranger.post("/oauth/logout", &[("confirm", &token)]).await;
    assert!(is_logged_in(&stranger).await, "another browser's confirmation confirms nothing");
    let done = browser.post("/oauth/logout", &[("confirm", &token)]).await;
    assert_eq!(done.status(), StatusCode::OK);
    assert!(!is_logged_in(&browser).await);
    let nobody = http().get(rig.url(0, "/oauth/logout")).send().await.unwrap();
    assert!(!nobody.text().await.unwrap().contains("confirm"), "nobody is logged in: nothing to ask");
}

#[tokio::test]
async fn kakao_s_own_session_ends_too_when_asked_for_and_the_browser_comes_back() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let query = [
        ("id_token_hint", hint(&tokens)),
        ("post_logout_redirect_uri", BYE),
        ("state", "s"),
        ("kakao", "true"),
    ];
    let at_kakao = location(&logout(&browser, &rig, &query).await);
    assert!(at_kakao.starts_with(&format!("{}/oauth/logout?", rig.kakao.base_url())), "{at_kakao}");
    assert!(!is_logged_in(&browser).await, "ended here, whatever Kakao does");
    let back = location(&browser.get(&at_kakao).await);
    let path = back.strip_prefix(crate::rig::ISSUER).unwrap();
    assert_eq!(location(&browser.get(&rig.url(0, path)).await), format!("{BYE}?state=s"));
    for state in ["", "?state=x", "?state=https://evil.example"] {
        let page = browser.get(&rig.url(0, &format!("/kakao/logout{state}"))).await;
        assert!(page.status() == StatusCode::OK && page.headers().get("location").is_none(), "{state}");
    }
}

#[tokio::test]
async fn a_parameter_twice_is_refused() {
    let rig = Rig::start().await;
    let page = http().get(rig.url(0, "/oauth/logout?state=a&state=b")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
}
