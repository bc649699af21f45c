//! The page before a login: where nothing but the person's word says who gets the code (RFC 8252 §8.6), and wherever a client
//! wants it.

use std::time::Duration;

use kakao_simulator::Endpoint;
use reqwest::{Response, StatusCode};

use crate::rig::{Browser, Rig, Setup, authorization_request, http, location, parameter};

const LOOPBACK: &str = "http://127.0.0.1:51234/cb";
const SCHEME: &str = "com.example.app:/cb";

/// Clients beside those of the rig: one with a page of its own, one with preview deployments.
async fn rig() -> Rig {
    let clients = r#"
[[clients]]
id = "paged"
name = "Paged <i>Shop</i>"
type = "public"
redirect_uris = ["https://app.example/cb"]
login_page = true

[[clients]]
id = "previews"
type = "public"
redirect_uris = ["https://app.example/cb", "https://shop-*.preview.app.example/cb", "http://localhost:3000/cb"]
"#;
    Rig::with(Setup { clients: clients.to_owned(), ..Setup::default() }).await
}

fn native(uri: &'static str, more: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
    authorization_request(&[&[("client_id", "native"), ("redirect_uri", uri)], more].concat())
}

/// The page's form: its fields, as a browser posts them.
fn form_of(page: &str) -> Vec<(String, String)> {
    let value = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    page.split("<input").skip(1).map(|input| (value(input, "name"), value(input, "value"))).collect()
}

async fn page(answer: Response) -> String {
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().get("location").is_none());
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.text().await.unwrap()
}

async fn press(browser: &Browser<'_>, form: &[(String, String)]) -> Response {
    browser.send(http().post(browser.service.url(0, "/oauth/authorize")).form(form)).await
}

/// From the page, by its button and Kakao, to the client.
async fn go_on(browser: &Browser<'_>, form: &[(String, String)]) -> String {
    let to_kakao = location(&press(browser, form).await);
    assert!(to_kakao.starts_with(browser.service.kakao.base_url()), "{to_kakao}");
    let callback = location(&browser.get(&to_kakao).await);
    location(&browser.open_callback(0, &callback).await)
}

#[tokio::test]
async fn a_program_on_the_device_gets_no_code_before_the_person_has_pressed_a_button() {
    let rig = rig().await;
    for uri in [LOOPBACK, SCHEME] {
        let browser = Browser::new(&rig);
        let shown = page(browser.authorize(&native(uri, &[])).await).await;
        assert_eq!(shown.matches("<button").count(), 1, "{shown}");
        assert!(shown.contains("native") && shown.contains("class=\"kakao\""), "{shown}");
        let landed = go_on(&browser, &form_of(&shown)).await;
        assert!(landed.starts_with(&format!("{uri}?code=")), "{landed}");
        assert_eq!(parameter(&landed, "state").as_deref(), Some("client-state"));

        // The browser's session vouches now: still no code by itself.
        rig.kakao.clear_calls();
        let grants = rig.count("SELECT count(*) FROM grants").await;
        let shown = page(browser.authorize(&native(uri, &[])).await).await;
        assert!(shown.contains("native") && !shown.contains("class=\"kakao\""), "{shown}");
        assert_eq!(rig.count("SELECT count(*) FROM grants").await, grants);
        let landed = location(&press(&browser, &form_of(&shown)).await);
        assert!(landed.starts_with(&format!("{uri}?code=")), "{landed}");
        assert!(rig.kakao.calls().is_empty());
    }
}

#[tokio::test]
async fn a_silent_request_of_a_program_on_the_device_is_told_that_a_page_is_needed() {
    let rig = rig().await;
    let browser = Browser::new(&rig);
    let silent = native(LOOPBACK, &[("prompt", "none")]);
    for has_session in [false, true] {
        if has_session {
            browser.tokens(&[]).await;
        }
        let landed = location(&browser.authorize(&silent).await);
        assert!(landed.starts_with(LOOPBACK), "{landed}");
        assert_eq!(parameter(&landed, "error").as_deref(), Some("interaction_required"), "{has_session}");
    }
    let preview = [("client_id", "previews"), ("redirect_uri", "https://shop-pr-7.preview.app.example/cb")];
    let preview = authorization_request(&[&preview[..], &[("prompt", "none")]].concat());
    let landed = location(&browser.authorize(&preview).await);
    assert_eq!(parameter(&landed, "error").as_deref(), Some("interaction_required"));
}

#[tokio::test]
async fn the_button_works_in_the_browser_that_was_asked_for_that_request_and_for_ten_minutes() {
    let rig = rig().await;
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    let shown = page(browser.authorize(&native(LOOPBACK, &[])).await).await;
    let form = form_of(&shown);
    let refused = async |browser: &Browser<'_>, form: &[(String, String)], told: &str| {
        let answer = press(browser, form).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{told}");
        assert!(answer.headers().get("location").is_none(), "{told}");
        assert!(answer.text().await.unwrap().contains("confirmation_invalid"), "{told}");
    };
    refused(&Browser::new(&rig), &form, "another browser").await;
    let other = Browser::new(&rig);
    other.tokens(&[]).await;
    let theirs = form_of(&page(other.authorize(&native(LOOPBACK, &[])).await).await);
    refused(&browser, &theirs, "an attacker's form in the person's browser").await;
    let mixed = [form[0].clone(), theirs[1].clone()];
    refused(&browser, &mixed, "an attacker's request under the person's attempt").await;
    let garbage = [form[0].clone(), (form[1].0.clone(), "AAAA".to_owned())];
    refused(&browser, &garbage, "garbage").await;
    // Twice, as a double click does.
    for _ in 0..2 {
        let landed = location(&press(&browser, &form).await);
        assert!(landed.starts_with(&format!("{LOOPBACK}?code=")), "{landed}");
    }
    rig.clock.advance(Duration::from_secs(601));
    refused(&browser, &form, "too late").await;
}

#[tokio::test]
async fn an_address_that_a_pattern_matched_is_asked_about_and_an_exact_one_is_not() {
    let rig = rig().await;
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    let at = |uri| authorization_request(&[("client_id", "previews"), ("redirect_uri", uri)]);
    for uri in ["https://app.example/cb", "http://localhost:3000/cb"] {
        let landed = location(&browser.authorize(&at(uri)).await);
        assert!(landed.starts_with(&format!("{uri}?code=")), "{landed}");
    }
    let preview = "https://shop-pr-7.preview.app.example/cb";
    let shown = page(browser.authorize(&at(preview)).await).await;
    let landed = location(&press(&browser, &form_of(&shown)).await);
    assert!(landed.starts_with(&format!("{preview}?code=")), "{landed}");
    for uri in [
        "https://shop-.preview.app.example/cb",
        "https://shop-*.preview.app.example/cb",
        "https://shop-a.b.preview.app.example/cb",
        "https://shop-a.preview.app.example/cb/",
    ] {
        let answer = browser.authorize(&at(uri)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{uri}");
        assert!(answer.headers().get("location").is_none(), "{uri}");
    }
}

#[tokio::test]
async fn a_client_with_a_login_page_has_one_before_every_login_and_no_silent_request_fails_for_it() {
    let rig = rig().await;
    let browser = Browser::new(&rig);
    let request = authorization_request(&[("client_id", "paged"), ("login_hint", "a@example.com")]);
    let shown = page(browser.authorize(&request).await).await;
    assert!(shown.contains("class=\"kakao\"") && !shown.contains("<i>Shop"), "{shown}");
    assert_eq!(rig.kakao.calls_to(Endpoint::Authorize), 0);
    let to_kakao = location(&press(&browser, &form_of(&shown)).await);
    assert_eq!(parameter(&to_kakao, "login_hint").as_deref(), Some("a@example.com"), "{to_kakao}");
    let landed = go_on(&browser, &form_of(&shown)).await;
    assert!(parameter(&landed, "code").is_some(), "{landed}");
    let shown = page(browser.authorize(&request).await).await;
    assert!(!shown.contains("class=\"kakao\""), "the session vouches: {shown}");
    let silent = authorization_request(&[("client_id", "paged"), ("prompt", "none")]);
    assert!(parameter(&location(&browser.authorize(&silent).await), "code").is_some());
    // What the client demands holds behind the button too.
    let fresh = authorization_request(&[("client_id", "paged"), ("prompt", "login")]);
    let shown = page(browser.authorize(&fresh).await).await;
    let to_kakao = location(&press(&browser, &form_of(&shown)).await);
    assert_eq!(parameter(&to_kakao, "prompt").as_deref(), Some("login"), "{to_kakao}");
}

/// Chromium applies `form-action` to every redirect behind the form.
#[tokio::test]
async fn the_policy_of_the_page_lets_the_form_reach_kakao_and_the_app() {
    let rig = rig().await;
    for (uri, scheme) in [(LOOPBACK, "http:"), (SCHEME, "com.example.app:")] {
        let answer = Browser::new(&rig).authorize(&native(uri, &[])).await;
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let allowed = policy.split(';').find_map(|part| part.trim().strip_prefix("form-action ")).unwrap();
        let allowed: Vec<&str> = allowed.split(' ').collect();
        for needed in ["'self'", "https:", "http:", scheme] {
            assert!(allowed.contains(&needed), "{needed} in {policy}");
        }
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn the_page_speaks_both_languages() {
    let rig = rig().await;
    for (language, word) in [("ko", "로그인"), ("en", "Log in")] {
        let request = http().get(rig.url(0, "/oauth/authorize")).query(&native(SCHEME, &[]));
        let answer = request.header("Accept-Language", language).send().await.unwrap();
        assert_eq!(answer.headers()["content-language"], language);
        assert!(answer.text().await.unwrap().contains(word));
    }
}
