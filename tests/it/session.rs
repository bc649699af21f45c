//! The browser's own session: what it is enough for, and when it is not (OpenID Connect Core §3.1.2).

use std::time::Duration;

use kakao_simulator::{Autopilot, Endpoint};
use reqwest::StatusCode;
use serde_json::Value;

use crate::rig::{Browser, Rig, Setup, authorization_request, claims, http, location, parameter};

/// The session's cookie where the issuer is not https.
const SESSION: &str = "kakao-auth-session";

const OTHER: [(&str, &str); 2] = [("client_id", "other"), ("redirect_uri", "https://other.example/cb")];

fn id_token(tokens: &Value) -> &str {
    tokens["id_token"].as_str().unwrap()
}

#[tokio::test]
async fn a_second_login_needs_no_kakao_and_is_the_same_person_and_login_time() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let first = browser.tokens(&[]).await;
    rig.kakao.clear_calls();
    for prompt in ["", "none"] {
        let second = browser.redeem(&browser.at_once(&[("prompt", prompt)]).await).await;
        for claim in ["sub", "auth_time"] {
            assert_eq!(claims(id_token(&first))[claim], claims(id_token(&second))[claim], "{claim}");
        }
        assert_ne!(claims(id_token(&first))["sid"], claims(id_token(&second))["sid"], "a login of its own");
    }
    let elsewhere = browser.at_once(&OTHER).await;
    assert!(elsewhere.starts_with("https://other.example/cb?code="), "{elsewhere}");
    assert!(rig.kakao.calls().is_empty());
}

#[tokio::test]
async fn without_a_session_a_silent_request_is_told_to_log_in() {
    let rig = Rig::start().await;
    for request in [vec![("prompt", "none")], vec![("prompt", "none"), ("max_age", "100")]] {
        let landed = Browser::new(&rig).at_once(&request).await;
        assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"));
        assert_eq!(parameter(&landed, "state").as_deref(), Some("client-state"));
        assert!(parameter(&landed, "iss").is_some() && parameter(&landed, "code").is_none());
    }
    assert!(rig.kakao.calls().is_empty());
}

#[tokio::test]
async fn none_stands_alone() {
    let rig = Rig::start().await;
    for prompt in ["none login", "login none", "none consent", "nonsense"] {
        let landed = Browser::new(&rig).at_once(&[("prompt", prompt)]).await;
        assert_eq!(parameter(&landed, "error").as_deref(), Some("invalid_request"), "{prompt}");
    }
}

#[tokio::test]
async fn a_page_that_is_asked_for_is_kakao_s_and_auth_time_moves() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let first = browser.tokens(&[]).await;
    rig.kakao.advance_clock(Duration::from_secs(5));
    rig.clock.advance(Duration::from_secs(5));
    for (prompt, at_kakao) in [
        ("login", Some("login")),
        ("select_account", Some("select_account")),
        ("create", Some("create")),
        ("consent", None),
        ("select_account login", Some("login")),
    ] {
        let to_kakao = location(&browser.authorize(&authorization_request(&[("prompt", prompt)])).await);
        assert!(to_kakao.starts_with(rig.kakao.base_url()), "{prompt}");
        assert_eq!(parameter(&to_kakao, "prompt").as_deref(), at_kakao, "{prompt}");
    }
    let second = browser.tokens(&[("prompt", "login")]).await;
    let time = |tokens: &Value| claims(id_token(tokens))["auth_time"].as_i64().unwrap();
    assert!(time(&second) > time(&first));
    assert_eq!(claims(id_token(&first))["sub"], claims(id_token(&second))["sub"]);
}

#[tokio::test]
async fn max_age_is_met_by_the_session_or_by_kakao() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let first = browser.tokens(&[("max_age", "0")]).await;
    let again = browser.redeem(&browser.at_once(&[("max_age", "10000")]).await).await;
    assert_eq!(claims(id_token(&first))["auth_time"], claims(id_token(&again))["auth_time"]);
    rig.clock.advance(Duration::from_mins(5));
    for age in ["0", "1", "100"] {
        let to_kakao = location(&browser.authorize(&authorization_request(&[("max_age", age)])).await);
        assert_eq!(parameter(&to_kakao, "prompt").as_deref(), Some("login"), "{age}");
        let silent = browser.at_once(&[("max_age", age), ("prompt", "none")]).await;
        assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"), "{age}");
    }
    for bad in ["-1", "x", "18446744073709551616", "1.5"] {
        let landed = browser.at_once(&[("max_age", bad)]).await;
        assert_eq!(parameter(&landed, "error").as_deref(), Some("invalid_request"), "{bad}");
    }
}

#[tokio::test]
async fn a_hint_names_who_is_expected() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let mine = browser.tokens(&[]).await;
    let landed = browser.at_once(&[("id_token_hint", id_token(&mine)), ("prompt", "none")]).await;
    assert!(parameter(&landed, "code").is_some());

    rig.kakao.autopilot(Autopilot::Person("no-email".into()));
    let theirs = Browser::new(&rig).tokens(&[]).await;
    let landed = browser.at_once(&[("id_token_hint", id_token(&theirs)), ("prompt", "none")]).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"));
    let request = authorization_request(&[("id_token_hint", id_token(&theirs))]);
    let to_kakao = location(&browser.authorize(&request).await);
    assert_eq!(parameter(&to_kakao, "prompt").as_deref(), Some("select_account"));
    let landed = browser.log_in(&request).await;
    assert!(parameter(&landed, "code").is_some(), "the one who was expected: {landed}");

    let request = authorization_request(&[("id_token_hint", id_token(&mine))]);
    let landed = browser.log_in(&request).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"), "somebody else: {landed}");
}

#[tokio::test]
async fn a_hint_that_is_not_ours_counts_as_none_and_an_old_one_is_genuine() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let parts: Vec<&str> = id_token(&tokens).split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let turned = format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>());
    for bad in ["x", "a.b.c", &unsigned, &turned, tokens["access_token"].as_str().unwrap()] {
        let landed = browser.at_once(&[("id_token_hint", bad)]).await;
        assert!(parameter(&landed, "code").is_some(), "as if there were none: {landed}");
        let silent = browser.at_once(&[("id_token_hint", bad), ("prompt", "none")]).await;
        assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"), "{bad}");
    }
    rig.clock.advance(Duration::from_hours(1));
    let landed = browser.at_once(&[("id_token_hint", id_token(&tokens))]).await;
    assert!(parameter(&landed, "code").is_some(), "expired, and still genuine");
}

#[tokio::test]
async fn a_session_ends_when_unused_and_at_its_absolute_end() {
    let settings = vec![("SESSION__IDLE_TTL", "1h".to_owned()), ("SESSION__ABSOLUTE_TTL", "3h".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    for _ in 0..3 {
        rig.clock.advance(Duration::from_mins(59));
        assert!(parameter(&browser.at_once(&[]).await, "code").is_some(), "used within the hour");
    }
    rig.clock.advance(Duration::from_mins(3));
    let landed = browser.at_once(&[("prompt", "none")]).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"), "three hours are over");
    browser.tokens(&[]).await;
    rig.clock.advance(Duration::from_hours(1));
    let landed = browser.at_once(&[("prompt", "none")]).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"), "an hour unused");
}

#[tokio::test]
async fn the_cookie_is_fresh_at_each_login_and_a_planted_or_earlier_one_is_dead() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let cookie = || browser.cookies.lock().unwrap().get(SESSION).cloned();
    browser.cookies.lock().unwrap().insert(SESSION.into(), "planted".into());
    browser.tokens(&[]).await;
    let first = cookie().unwrap();
    assert!(first != "planted" && first.len() == 43, "{first}");
    browser.tokens(&[("prompt", "login")]).await;
    let second = cookie().unwrap();
    assert_ne!(first, second);
    for dead in ["planted", &first, "", "한글"] {
        browser.cookies.lock().unwrap().insert(SESSION.into(), dead.into());
        let landed = browser.at_once(&[("prompt", "none")]).await;
        assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"), "{dead}");
    }
    assert_eq!(rig.count("SELECT count(*) FROM browser_sessions WHERE ended_at IS NULL").await, 1);
}

#[tokio::test]
async fn its_attributes_are_as_strict_as_the_way_back_from_kakao_allows() {
    let settings = vec![("SERVER__PUBLIC_URL", "https://auth.localhost".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    rig.kakao.register_redirect_uri("https://auth.localhost/kakao/callback");
    let browser = Browser::new(&rig);
    let to_kakao = location(&browser.authorize(&authorization_request(&[])).await);
    let callback = location(&browser.get(&to_kakao).await);
    let path = callback.strip_prefix("https://auth.localhost").unwrap().to_owned();
    let cookies: Vec<String> =
        browser.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let reply = http().get(rig.url(0, &path)).header("Cookie", cookies.join("; ")).send().await.unwrap();
    let set: Vec<&str> = reply.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
    let session = set.iter().find(|text| text.starts_with("__Host-session=")).unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=604800"] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(!session.contains("Domain"), "{session}");
}

#[tokio::test]
async fn a_disabled_user_s_session_is_dead_at_once() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let user =
        kakao_auth::domain::UserId(claims(id_token(&tokens))["sub"].as_str().unwrap().parse().unwrap());
    kakao_auth::store::users::disable(&mut rig.db(), user, rig.clock.now()).await.unwrap();
    let landed = browser.at_once(&[("prompt", "none")]).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"));
    kakao_auth::store::users::enable(&mut rig.db(), user, rig.clock.now()).await.unwrap();
    let landed = browser.at_once(&[("prompt", "none")]).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"), "its old sessions stay ended");
}

#[tokio::test]
async fn a_form_posts_the_answer_where_that_is_asked_for() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let request =
        authorization_request(&[("response_mode", "form_post"), ("state", "\"><script>x</script>")]);
    let callback = browser.until_callback(&request).await;
    for page in [browser.open_callback(0, &callback).await, browser.authorize(&request).await] {
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()["cache-control"], "no-store");
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("form-action https:") && policy.contains("script-src 'sha256-"), "{policy}");
        let body = page.text().await.unwrap();
        assert!(
            body.contains("action=\"https://app.example/cb\"") && body.contains("name=\"code\" value=\"kac_")
        );
        assert!(body.contains("name=\"iss\"") && !body.contains("<script>x"), "{body}");
    }
    let refused = browser.authorize(&authorization_request(&[("response_mode", "fragment")])).await;
    assert_eq!(parameter(&location(&refused), "error").as_deref(), Some("invalid_request"));
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 1);
}
