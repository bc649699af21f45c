//! Logout (OpenID Connect RP-Initiated Logout 1.0): the browser's session and its logins end, and nobody is sent astray.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::rig::{Browser, Rig, Setup, Stores, http, json, location, parameter, refresh_token};

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

/// The page that an answer must be: nobody is sent anywhere by it.
async fn page(reply: Response) -> String {
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.headers().get("location"), None);
    reply.text().await.unwrap()
}

/// The value of an attribute that begins so, unescaped.
fn attribute(page: &str, beginning: &str) -> String {
    let value = page.split(beginning).nth(1).unwrap_or_else(|| panic!("no {beginning} in {page}"));
    unescaped(value.split('"').next().unwrap())
}

fn unescaped(text: &str) -> String {
    text.replace("&#60;", "<").replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&")
}

/// Where the form of a page goes, and what it sends unless another button is pressed.
fn form_of(page: &str) -> (String, Vec<(String, String)>) {
    let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(|field| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        (name.to_owned(), unescaped(rest.split('"').next().unwrap()))
    });
    (attribute(page, "<form method=\"post\" action=\""), fields.collect())
}

async fn answer(
    browser: &Browser<'_>,
    (action, fields): &(String, Vec<(String, String)>),
    more: &[(&str, &str)],
) -> Response {
    let own = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let form: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
    browser.post(action, &form).await
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
async fn an_address_that_is_not_registered_is_never_followed_and_the_person_is_logged_out_all_the_same() {
    let rig = Rig::start().await;
    for uri in [
        "https://evil.example/",
        "https://app.example/bye?x=1",
        "https://app.example/bye/",
        "https://other.example/bye",
        "//evil",
    ] {
        let browser = Browser::new(&rig);
        let tokens = browser.tokens(&[]).await;
        let query =
            [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", uri), ("ui_locales", "en")];
        let text = page(logout(&browser, &rig, &query).await).await;
        assert!(text.contains("You are logged out") && text.contains("not registered"), "{uri}: {text}");
        assert!(!text.contains(uri), "and not shown: {text}");
        assert!(!is_logged_in(&browser).await, "{uri}");
        let refresh = rig.refresh(0, refresh_token(&tokens)).await;
        assert_eq!(json(refresh).await["error"], "invalid_grant", "{uri}");
    }
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    let query =
        [("client_id", "web"), ("post_logout_redirect_uri", "https://evil.example/"), ("ui_locales", "en")];
    let form = form_of(&page(logout(&browser, &rig, &query).await).await);
    let text = page(answer(&browser, &form, &[]).await).await;
    assert!(text.contains("not registered") && !text.contains("http-equiv"), "{text}");
    assert!(!is_logged_in(&browser).await, "also after the question");
}

#[tokio::test]
async fn a_hint_that_is_not_ours_or_another_client_s_counts_as_none() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let parts: Vec<&str> = hint(&tokens).split('.').collect();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let forged = format!("{}.{}.AAAA", parts[0], parts[1]);
    for (bad, client) in
        [("garbage", "web"), (&none, "web"), (&forged, "web"), (hint(&tokens), "other"), (&forged, "")]
    {
        let query = [("id_token_hint", bad), ("client_id", client), ("post_logout_redirect_uri", BYE)];
        let text = page(logout(&browser, &rig, &query).await).await;
        assert!(text.contains("name=\"confirm\""), "{bad}: {text}");
    }
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
        let reply = logout(&browser, &rig, &query).await;
        assert!(reply.headers()["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
        assert!(page(reply).await.contains("name=\"confirm\""), "{query:?}");
        assert!(is_logged_in(&browser).await, "{query:?}");
    }
    let form = form_of(&page(logout(&browser, &rig, &[]).await).await);
    let stranger = Browser::new(&rig);
    stranger.tokens(&[]).await;
    answer(&stranger, &form, &[]).await;
    assert!(is_logged_in(&stranger).await, "another browser's confirmation confirms nothing");
    let stay = page(answer(&browser, &form, &[("stay", "true")]).await).await;
    assert!(stay.contains("로그아웃하지 않았어요"), "{stay}");
    assert!(is_logged_in(&browser).await, "who wants to stay stays");
    let text = page(answer(&browser, &form, &[]).await).await;
    assert!(!text.contains("http-equiv"), "it leads nowhere: {text}");
    assert!(!is_logged_in(&browser).await);
    let nobody = http().get(rig.url(0, "/oauth/logout")).send().await.unwrap();
    assert!(!nobody.text().await.unwrap().contains("confirm"), "nobody is logged in: nothing to ask");
}

/// What a library does that keeps no ID token: client, address and state, and no hint.
#[tokio::test]
async fn the_question_keeps_the_request_names_the_app_and_leads_on_when_it_is_answered() {
    let rig = Rig::start().await;
    let state = "a b&\"c\"<";
    for (kakao, next) in [("", BYE), ("true", rig.kakao.base_url())] {
        let browser = Browser::new(&rig);
        browser.tokens(&[]).await;
        let query = [
            ("client_id", "web"),
            ("post_logout_redirect_uri", BYE),
            ("state", state),
            ("kakao", kakao),
            ("ui_locales", "en"),
        ];
        let text = page(logout(&browser, &rig, &query).await).await;
        assert!(text.contains("logged out of &#60;b&#62;Shop&#60;/b&#62;, and of every other app"), "{text}");
        assert_eq!(text.contains("your Kakao account"), !kakao.is_empty(), "{text}");
        let reply = answer(&browser, &form_of(&text), &[]).await;
        assert_eq!(
            reply.status(),
            StatusCode::OK,
            "a page: browsers hold a form's redirects against its policy"
        );
        let text = page(reply).await;
        assert!(text.contains("You are logged out"), "in the language of the request: {text}");
        let to = attribute(&text, "content=\"0;url=");
        assert_eq!(attribute(&text, "class=\"button\" href=\""), to, "also where the browser stays");
        assert!(to.starts_with(next), "{to}");
        assert!(!is_logged_in(&browser).await);
        let landed = if kakao.is_empty() {
            to
        } else {
            let back = location(&browser.get(&to).await);
            let path = back.strip_prefix(crate::rig::ISSUER).unwrap();
            location(&browser.get(&rig.url(0, path)).await)
        };
        assert!(landed.starts_with(BYE), "{landed}");
        assert_eq!(parameter(&landed, "state").as_deref(), Some(state));
    }
}

/// Browsers leave the cookie out of a POST from another site, and a backend never has it.
#[tokio::test]
async fn a_hint_ends_the_session_of_its_login_also_when_no_cookie_comes_along() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let browser = Browser::new(&rig);
        let tokens = browser.tokens(&[]).await;
        let beside = browser.redeem(&browser.at_once(&[]).await).await;
        let elsewhere = Browser::new(&rig).tokens(&[]).await;
        let form = [("id_token_hint", hint(&tokens)), ("post_logout_redirect_uri", BYE)];
        for _ in 0..2 {
            let reply = http().post(rig.url(0, "/oauth/logout")).form(&form).send().await.unwrap();
            assert_eq!(location(&reply), BYE);
            assert!(reply.headers().get("set-cookie").is_none(), "whose cookie it is, is not known");
        }
        for (tokens, alive) in [(&tokens, false), (&beside, false), (&elsewhere, true)] {
            let reply = rig.refresh(0, refresh_token(tokens)).await;
            assert_eq!(reply.status() == StatusCode::OK, alive, "{stores:?}");
        }
        assert!(!is_logged_in(&browser).await, "the cookie is dead: {stores:?}");
        let count = "SELECT count(*) FROM audit_events WHERE kind = 'user.logged_out'";
        assert_eq!(rig.count(count).await, 1, "recorded once: {stores:?}");
    }
}

#[tokio::test]
async fn of_two_users_the_hint_s_is_logged_out_and_the_other_stays_in_the_browser() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let mine = browser.tokens(&[]).await;
    rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
    let shared = Browser::new(&rig);
    let theirs = shared.tokens(&[]).await;
    let query = [("id_token_hint", hint(&mine)), ("post_logout_redirect_uri", BYE)];
    assert_eq!(location(&logout(&shared, &rig, &query).await), BYE, "without a question");
    assert!(is_logged_in(&shared).await, "the cookie is kept, and lives");
    assert_eq!(rig.refresh(0, refresh_token(&theirs)).await.status(), StatusCode::OK);
    assert!(!is_logged_in(&browser).await);
    assert_eq!(rig.refresh(0, refresh_token(&mine)).await.status(), StatusCode::BAD_REQUEST);
}

/// A form of another site comes without the cookie: the browser is sent round once, and then asked.
#[tokio::test]
async fn a_post_without_hint_and_cookie_is_asked_again_by_get() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    let form = [("client_id", "web"), ("post_logout_redirect_uri", BYE), ("state", "s"), ("confirm", "x")];
    let reply = http().post(rig.url(0, "/oauth/logout")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    let round = location(&reply);
    assert!(round.starts_with("/oauth/logout?client_id=web") && !round.contains("confirm"), "{round}");
    let form = form_of(&page(browser.get(&rig.url(0, &round)).await).await);
    let text = page(answer(&browser, &form, &[]).await).await;
    assert_eq!(attribute(&text, "content=\"0;url="), format!("{BYE}?state=s"));
    let nobody = page(browser.get(&rig.url(0, &round)).await).await;
    assert!(
        nobody.contains(&format!("href=\"{BYE}?state=s\"")),
        "a link, since nobody confirmed it: {nobody}"
    );
    assert!(!nobody.contains("http-equiv"), "{nobody}");
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
async fn a_parameter_twice_is_refused_in_words_about_logout() {
    let rig = Rig::start().await;
    let refused = http().get(rig.url(0, "/oauth/logout?state=a&state=b&ui_locales=en")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let text = refused.text().await.unwrap();
    assert!(text.contains("This logout request is not valid") && !text.contains("login request"), "{text}");
    assert_eq!(attribute(&text, "class=\"button\" href=\""), "/oauth/logout", "a way out all the same");
}
