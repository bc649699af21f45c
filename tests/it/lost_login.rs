//! KakaoTalk's own browser, and logins whose cookie is lost: no page where none is needed, and one tap back to the beginning.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakao_simulator::{Autopilot, Effect, Endpoint, Fault};
use reqwest::{Response, StatusCode};

use crate::rig::{Browser, Rig, Setup, authorization_request, http, location, parameter};

const KAKAOTALK: &str = "Mozilla/5.0 (Linux; Android 16; SM-S931N) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 \
                         Chrome/142.0 Mobile Safari/537.36;KAKAOTALK 2601000";

async fn authorize_in(
    rig: &Rig,
    browser: &Browser<'_>,
    user_agent: &str,
    changes: &[(&str, &str)],
) -> Response {
    let request = http().get(rig.url(0, "/oauth/authorize")).query(&authorization_request(changes));
    browser.send(request.header("User-Agent", user_agent)).await
}

#[tokio::test]
async fn kakaotalk_s_browser_is_tried_without_a_page_and_then_with_one() {
    let rig = Rig::start().await;
    rig.kakao.autopilot(Autopilot::Off);
    for error in ["login_required", "consent_required", "interaction_required"] {
        let effect = Effect::RedirectError { error: error.into(), description: None };
        rig.kakao.fault(Fault { endpoint: Endpoint::Authorize, times: Some(1), delay_ms: 0, effect });
        let browser = Browser::new(&rig);
        let silent = location(&authorize_in(&rig, &browser, KAKAOTALK, &[]).await);
        assert_eq!(parameter(&silent, "prompt").as_deref(), Some("none"), "{error}");
        let callback = location(&browser.get(&silent).await);
        let with_page = location(&browser.open_callback(0, &callback).await);
        assert!(with_page.starts_with(rig.kakao.base_url()), "{with_page}");
        assert_eq!(parameter(&with_page, "prompt"), None);
        assert_ne!(parameter(&with_page, "state"), parameter(&silent, "state"));
        // The person picks, and lands at the client with the client's own state.
        let request = http().post(&with_page).form(&[("person", "all-consents")]);
        let callback = location(&browser.send(request).await);
        let landed = location(&browser.open_callback(0, &callback).await);
        assert_eq!(parameter(&landed, "state").as_deref(), Some("client-state"));
        let reply = rig.redeem(0, &parameter(&landed, "code").unwrap()).await;
        assert_eq!(reply.status(), StatusCode::OK, "{error}");
    }
}

#[tokio::test]
async fn whoever_kakao_knows_is_logged_in_without_a_page() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let silent = location(&authorize_in(&rig, &browser, KAKAOTALK, &[]).await);
    assert_eq!(parameter(&silent, "prompt").as_deref(), Some("none"));
    let callback = location(&browser.get(&silent).await);
    let landed = location(&browser.open_callback(0, &callback).await);
    assert!(parameter(&landed, "code").is_some(), "{landed}");
}

#[tokio::test]
async fn a_cancel_or_a_client_s_own_wish_is_not_overruled() {
    let rig = Rig::start().await;
    for (changes, prompt) in [
        (vec![("prompt", "login")], Some("login")),
        (vec![("prompt", "consent")], None),
        (vec![("kakao_scope", "friends")], None),
    ] {
        let browser = Browser::new(&rig);
        let to = location(&authorize_in(&rig, &browser, KAKAOTALK, &changes).await);
        assert_eq!(parameter(&to, "prompt").as_deref(), prompt, "{changes:?}");
    }
    let to = location(&authorize_in(&rig, &Browser::new(&rig), "Mozilla/5.0 Safari/605.1.15", &[]).await);
    assert_eq!(parameter(&to, "prompt"), None, "other browsers have no such login");
    rig.kakao.autopilot(Autopilot::Cancel);
    let browser = Browser::new(&rig);
    let silent = location(&authorize_in(&rig, &browser, KAKAOTALK, &[]).await);
    let callback = location(&browser.get(&silent).await);
    let landed = location(&browser.open_callback(0, &callback).await);
    assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
    let off =
        Rig::with(Setup { settings: vec![("KAKAO__IN_APP_LOGIN", "false".into())], ..Setup::default() })
            .await;
    let to = location(&authorize_in(&off, &Browser::new(&off), KAKAOTALK, &[]).await);
    assert_eq!(parameter(&to, "prompt"), None);
}

/// The one link of the page.
fn link_of(page: &str) -> String {
    let href = page
        .split("href=\"")
        .nth(1)
        .unwrap_or_else(|| panic!("no link in {page}"))
        .split('"')
        .next()
        .unwrap();
    href.replace("&amp;", "&").replace("&#38;", "&")
}

#[tokio::test]
async fn a_callback_without_its_cookie_offers_one_tap_back_to_the_client_and_shows_nothing_of_its_request() {
    let rig = Rig::start().await;
    let begun_in = Browser::new(&rig);
    let request = authorization_request(&[("state", "s+&=% #한"), ("nonce", "a-nonce-of-the-client")]);
    let challenge = request.iter().find(|(name, _)| name == "code_challenge").unwrap().1.clone();
    let callback = begun_in.until_callback(&request).await;
    let at_kakao = parameter(&callback, "state").unwrap();
    let resume = at_kakao.split_once('.').expect("where the login began travels along").1;
    let resume = String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(resume).unwrap()).into_owned();
    for secret in ["app.example", "s+&=% #한", "a-nonce-of-the-client", &challenge] {
        assert!(!resume.contains(secret) && !at_kakao.contains(secret), "Kakao's state tells {secret}");
    }
    for (expired, code) in [(false, "attempt_unknown"), (true, "attempt_expired")] {
        let other = if expired { &begun_in } else { &Browser::new(&rig) };
        if expired {
            rig.clock.advance(Duration::from_secs(601));
        }
        let answer = other.open_callback(0, &callback).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let page = answer.text().await.unwrap();
        assert!(page.contains(code), "{page}");
        assert!(
            page.contains("&lt;b&gt;Shop") || page.contains("&#60;b&#62;Shop"),
            "the client is named, inertly: {page}"
        );
        assert!(!page.contains("<b>Shop"), "{page}");
        let link = link_of(&page);
        assert!(link.starts_with("https://app.example/cb?error=temporarily_unavailable&"), "{link}");
        assert!(link.ends_with('#') && parameter(&link, "iss").is_some(), "{link}");
        for secret in ["s+&=% #한", "s%2B%26", "a-nonce-of-the-client", &challenge] {
            assert!(!page.contains(secret), "{secret} in {page}");
        }
        assert_eq!((parameter(&link, "state"), parameter(&link, "code")), (None, None));
    }
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 0, "the code of the lost login is never used");
}

#[tokio::test]
async fn a_client_that_has_its_answers_posted_gets_no_link_and_none_that_gave_up_its_address() {
    let rig = Rig::start().await;
    let posted = authorization_request(&[("response_mode", "form_post")]);
    let callback = Browser::new(&rig).until_callback(&posted).await;
    let page = Browser::new(&rig).open_callback(0, &callback).await.text().await.unwrap();
    assert!(page.contains("attempt_unknown") && !page.contains("href="), "{page}");
}

#[tokio::test]
async fn a_client_with_a_login_page_of_its_own_is_where_the_tap_leads() {
    let clients = r#"
[[clients]]
id = "shop"
type = "public"
redirect_uris = ["https://app.example/cb"]
initiate_login_uri = "https://app.example/login?x=1"
"#;
    let rig = Rig::with(Setup { clients: clients.to_owned(), ..Setup::default() }).await;
    let callback = Browser::new(&rig).until_callback(&authorization_request(&[("client_id", "shop")])).await;
    let page = Browser::new(&rig).open_callback(0, &callback).await.text().await.unwrap();
    assert_eq!(link_of(&page), "https://app.example/login?x=1&iss=http%3A%2F%2Fauth.localhost");
}

#[tokio::test]
async fn a_state_that_is_forged_cut_or_too_old_offers_nothing() {
    let rig = Rig::start().await;
    let callback = Browser::new(&rig).until_callback(&authorization_request(&[])).await;
    let state = parameter(&callback, "state").unwrap();
    let (secret, sealed) = state.split_once('.').unwrap();
    let (other, _) = sealed.split_at(sealed.len() - 4);
    for state in [
        secret.to_owned(),
        format!("{secret}."),
        format!("{secret}.{other}"),
        format!("{secret}.{other}AAAA"),
        format!("{secret}.%00"),
        format!("x.{}", "A".repeat(9000)),
    ] {
        let url = format!("http://auth.localhost/kakao/callback?code=x&state={state}");
        let answer = Browser::new(&rig).open_callback(0, &url).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(!answer.text().await.unwrap().contains("href="), "{state}");
    }
    // The restart alone, under another secret, leads to the beginning and no further.
    let url = format!("http://auth.localhost/kakao/callback?code=x&state=other.{sealed}");
    assert!(Browser::new(&rig).open_callback(0, &url).await.text().await.unwrap().contains("href="));
    rig.clock.advance(Duration::from_hours(25));
    let late = Browser::new(&rig).open_callback(0, &callback).await.text().await.unwrap();
    assert!(!late.contains("href="));
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 0);
}

#[tokio::test]
async fn what_goes_to_kakao_tells_nothing_of_the_client_s_request() {
    let rig = Rig::start().await;
    let to = location(&Browser::new(&rig).authorize(&authorization_request(&[])).await);
    let state = parameter(&to, "state").unwrap();
    assert!(state.len() < 1000, "{} characters", state.len());
    assert!(!to.contains("client-state") && !to.contains("client-nonce") && !to.contains("app.example"));
    // What goes along does not grow with the client's request.
    let long = "s".repeat(2000);
    let to = location(&Browser::new(&rig).authorize(&authorization_request(&[("state", &long)])).await);
    assert_eq!(parameter(&to, "state").unwrap().len(), state.len());
}

#[tokio::test]
async fn a_login_hint_reaches_the_page_after_a_silent_try() {
    let rig = Rig::start().await;
    let effect = Effect::RedirectError { error: "login_required".into(), description: None };
    rig.kakao.fault(Fault { endpoint: Endpoint::Authorize, times: Some(1), delay_ms: 0, effect });
    let browser = Browser::new(&rig);
    let hint = [("login_hint", "a@example.com")];
    let silent = location(&authorize_in(&rig, &browser, KAKAOTALK, &hint).await);
    let callback = location(&browser.get(&silent).await);
    let with_page = location(&browser.open_callback(0, &callback).await);
    assert_eq!(parameter(&with_page, "login_hint").as_deref(), Some("a@example.com"), "{with_page}");
}
