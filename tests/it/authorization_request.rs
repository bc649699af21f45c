//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2, RFC 9700): what it answers to good and bad
//! requests. Until the redirect URI is proven a refusal is a page; then it goes back to the client.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Response, StatusCode};

use crate::rig::{
    BACKEND, BACKEND_SECRET, Browser, Rig, Setup, WEB, authorization_request, claims, http, json, location,
    parameter,
};

async fn assert_page(answer: Response, told: &str) {
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{told}");
    let headers = answer.headers().clone();
    assert!(headers.get("location").is_none(), "{told}");
    assert_eq!(headers["x-frame-options"], "DENY");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    assert!(answer.text().await.unwrap().contains("<html"), "{told}");
}

fn assert_sent_back(answer: &Response, error: &str, told: &str) {
    let landed = location(answer);
    assert!(landed.starts_with("https://app.example/cb?error="), "{told}: {landed}");
    assert_eq!(parameter(&landed, "error").as_deref(), Some(error), "{told}");
    assert_eq!(parameter(&landed, "iss").as_deref(), Some("http://auth.localhost"), "{told}");
    let names: BTreeSet<String> =
        url::Url::parse(&landed).unwrap().query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert!(
        names.is_subset(&["error", "error_description", "state", "iss"].map(String::from).into()),
        "{names:?}"
    );
    let description = parameter(&landed, "error_description").unwrap();
    assert!(
        description.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
        "{description}"
    );
}

#[tokio::test]
async fn a_valid_request_by_get_or_post_goes_to_kakao_with_a_sealed_cookie() {
    let rig = Rig::start().await;
    let request = authorization_request(&[]);
    let by_get = Browser::new(&rig).authorize(&request).await;
    let by_post = http().post(rig.url(0, "/oauth/authorize")).form(&request).send().await.unwrap();
    for answer in [by_get, by_post] {
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert!(location(&answer).starts_with(&format!("{}/oauth/authorize?", rig.kakao.base_url())));
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(
            cookie.starts_with("login-") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax")
        );
        assert!(cookie.contains("Path=/") && cookie.contains("Max-Age=660") && !cookie.contains("Domain"));
        assert!(!cookie.contains("client-state"), "the attempt is sealed");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        assert!(answer.headers().get("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn a_request_whose_target_is_not_proven_gets_a_page_and_no_redirect() {
    let rig = Rig::start().await;
    let long = "x".repeat(10_000);
    let targets = [
        ("client_id", ""),
        ("client_id", "nobody"),
        ("client_id", long.as_str()),
        ("client_id", "we\0b"),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "https://app.example/cb?x=1"),
        ("redirect_uri", "https://app.example/cb?tenant=8"),
        ("redirect_uri", "https://app.example/cb/"),
        ("redirect_uri", "https://app.example/CB"),
        ("redirect_uri", "https://APP.example/cb"),
        ("redirect_uri", "https://app.example:443/cb"),
        ("redirect_uri", "https://app.example./cb"),
        ("redirect_uri", "https://user@app.example/cb"),
        ("redirect_uri", "https://app.example/c%62"),
        ("redirect_uri", "https://app.example//cb"),
        ("redirect_uri", "https://app.example/cb;x"),
        ("redirect_uri", "https://app.example/x/..%2fcb"),
        ("redirect_uri", "https://app.example/%252e/cb"),
        ("redirect_uri", "https://app.example\\cb"),
        ("redirect_uri", "https://app.example/cb\t"),
        ("redirect_uri", "https://app.example/cb\r\nX: y"),
        ("redirect_uri", "https://app.example/cb#top"),
        ("redirect_uri", "https://xn--app-example/cb"),
        ("redirect_uri", "http://127.0.0.1/cb"),
        ("redirect_uri", "javascript:alert(1)"),
    ];
    for (name, value) in targets {
        let answer = Browser::new(&rig).authorize(&authorization_request(&[(name, value)])).await;
        assert_page(answer, &format!("{name}={value:.60}")).await;
    }
    for repeated in ["client_id", "redirect_uri"] {
        let mut request = authorization_request(&[]);
        let again = request.iter().find(|(name, _)| name == repeated).unwrap().clone();
        request.push(again);
        assert_page(Browser::new(&rig).authorize(&request).await, repeated).await;
    }
    let raw = http().get(rig.url(0, "/oauth/authorize?client_id=%ff")).send().await.unwrap();
    assert_page(raw, "not UTF-8").await;
    assert!(rig.kakao.calls().is_empty());
}

#[tokio::test]
async fn a_bad_request_of_a_proven_client_goes_back_with_the_error_that_says_why() {
    let rig = Rig::start().await;
    let (short, long) = ("a".repeat(42), "a".repeat(129));
    let cases: &[(&str, &str, &str)] = &[
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        ("response_type", "code token", "unsupported_response_type"),
        ("response_type", "none", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", &short, "invalid_request"),
        ("code_challenge", &long, "invalid_request"),
        ("code_challenge", "+++++++++++++++++++++++++++++++++++++++++++", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "S512", "invalid_request"),
        ("scope", "open\"id", "invalid_scope"),
        ("scope", "open\\id", "invalid_scope"),
        ("scope", "한글", "invalid_scope"),
        ("scope", "unknown", "invalid_scope"),
        ("prompt", "none", "login_required"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "sideways", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("max_age", "soon", "invalid_request"),
        ("max_age", "18446744073709551616", "invalid_request"),
        ("claims", "{not json", "invalid_request"),
        ("request", "eyJ", "request_not_supported"),
        ("request_uri", "http://169.254.169.254/", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
    ];
    for (name, value, error) in cases {
        let answer = Browser::new(&rig).authorize(&authorization_request(&[(name, value)])).await;
        assert_sent_back(&answer, error, &format!("{name}={value:.40}"));
        assert_eq!(parameter(&location(&answer), "state").as_deref(), Some("client-state"));
    }
    for name in ["scope", "response_type", "nonce", "code_challenge", "prompt"] {
        let mut request = authorization_request(&[("prompt", "login")]);
        let again = request.iter().find(|(given, _)| given == name).unwrap().clone();
        request.push(again);
        assert_sent_back(&Browser::new(&rig).authorize(&request).await, "invalid_request", name);
    }
    let mut request = authorization_request(&[]);
    request.push(("state".into(), "second".into()));
    let answer = Browser::new(&rig).authorize(&request).await;
    assert_sent_back(&answer, "invalid_request", "state twice");
    assert!(rig.kakao.calls().is_empty());
}

#[tokio::test]
async fn a_client_without_the_code_grant_is_told_so() {
    let rig = Rig::start().await;
    let request = authorization_request(&[("client_id", "codeless")]);
    assert_page(Browser::new(&rig).authorize(&request).await, "it has no redirect URI at all").await;
}

#[tokio::test]
async fn parameters_that_mean_nothing_here_change_nothing() {
    let rig = Rig::start().await;
    for (name, value) in [
        ("foo", "bar"),
        ("display", "popup"),
        ("login_hint", "a@example.com"),
        ("ui_locales", "fr"),
        ("claims_locales", "ko"),
        ("acr_values", "1"),
        ("claims", "{\"userinfo\":{\"name\":{\"essential\":true}}}"),
        ("scope", "email unknown openid profile"),
        ("max_age", "10000"),
        ("prompt", "login consent"),
    ] {
        let landed = Browser::new(&rig).log_in(&authorization_request(&[(name, value)])).await;
        assert!(parameter(&landed, "code").is_some(), "{name}={value}: {landed}");
    }
    let mut reversed = authorization_request(&[]);
    reversed.reverse();
    assert!(parameter(&Browser::new(&rig).log_in(&reversed).await, "code").is_some());
}

#[tokio::test]
async fn an_unknown_scope_beside_known_ones_is_dropped_and_the_answer_says_so() {
    let rig = Rig::start().await;
    let landed = Browser::new(&rig).log_in(&authorization_request(&[("scope", "openid admin")])).await;
    let tokens = json(rig.redeem(0, &parameter(&landed, "code").unwrap()).await).await;
    assert_eq!(tokens["scope"], "openid");
}

#[tokio::test]
async fn a_state_comes_back_as_it_was_and_an_absent_one_stays_absent() {
    let rig = Rig::start().await;
    let (short, long) = ("s".repeat(128), "s".repeat(2_048));
    for state in [short.as_str(), long.as_str(), "a+b&c=d%e#f", "상태 값", "<script>"] {
        let ok = Browser::new(&rig).log_in(&authorization_request(&[("state", state)])).await;
        assert_eq!(parameter(&ok, "state").as_deref(), Some(state));
        let request = authorization_request(&[("state", state), ("response_type", "token")]);
        let refused = location(&Browser::new(&rig).authorize(&request).await);
        assert_eq!(parameter(&refused, "state").as_deref(), Some(state));
    }
    let landed = Browser::new(&rig).log_in(&authorization_request(&[("state", "")])).await;
    assert_eq!(parameter(&landed, "state"), None);
    let request = authorization_request(&[("state", &"s".repeat(2_049))]);
    assert_sent_back(&Browser::new(&rig).authorize(&request).await, "invalid_request", "too long");
}

#[tokio::test]
async fn a_registered_query_is_kept_and_added_to() {
    let rig = Rig::start().await;
    let uri = "https://app.example/cb?tenant=7";
    let landed = Browser::new(&rig).log_in(&authorization_request(&[("redirect_uri", uri)])).await;
    assert!(landed.starts_with("https://app.example/cb?tenant=7&code="), "{landed}");
}

#[tokio::test]
async fn a_native_client_s_loopback_port_is_free_and_nothing_else_is() {
    let rig = Rig::start().await;
    for uri in ["http://127.0.0.1:51234/cb", "http://[::1]:9/cb", "com.example.app:/cb"] {
        let request = authorization_request(&[("client_id", "native"), ("redirect_uri", uri)]);
        // The page that asks the person first: see `login_page`.
        assert_eq!(Browser::new(&rig).authorize(&request).await.status(), StatusCode::OK, "{uri}");
    }
    for uri in
        ["http://127.0.0.2:1/cb", "http://localhost:1/cb", "http://127.0.0.1:1/other", "com.example.app:/cb2"]
    {
        let request = authorization_request(&[("client_id", "native"), ("redirect_uri", uri)]);
        assert_page(Browser::new(&rig).authorize(&request).await, uri).await;
    }
}

#[tokio::test]
async fn a_confidential_client_may_go_without_pkce_where_it_is_allowed() {
    let rig = Rig::start().await;
    let request = authorization_request(&[
        ("client_id", "backend"),
        ("redirect_uri", BACKEND),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ]);
    assert!(parameter(&Browser::new(&rig).log_in(&request).await, "code").is_some());
}

/// Authlib, Spring Boot 3 and `mod_auth_openidc` send a nonce and no challenge; oauth2-proxy, passport-openidconnect and the sample
/// of go-oidc send neither.
#[tokio::test]
async fn a_confidential_client_goes_without_pkce_by_default_if_it_sends_a_nonce() {
    let hash = kakao_auth::domain::Fingerprint::of(BACKEND_SECRET.as_bytes()).to_hex();
    let client = |id: &str, more: &str| {
        format!(
            "[[clients]]\nid = \"{id}\"\ntype = \"confidential\"\nsecret_sha256 = [\"{hash}\"]\n\
             redirect_uris = [\"{WEB}\"]\n{more}\n"
        )
    };
    let clients = client("stock", "") + &client("strict", "require_pkce = true");
    let rig = Rig::with(Setup { clients, ..Setup::default() }).await;
    let without_pkce = |id, more: &[(&'static str, &'static str)]| {
        let changes = [("client_id", id), ("code_challenge", ""), ("code_challenge_method", "")];
        authorization_request(&[&changes, more].concat())
    };
    let browser = Browser::new(&rig);
    let begun = location(&browser.authorize(&without_pkce("stock", &[])).await);
    assert!(begun.starts_with(rig.kakao.base_url()), "{begun}");
    let landed = browser.log_in(&without_pkce("stock", &[])).await;
    let code = parameter(&landed, "code").unwrap();
    let form = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", WEB)];
    let tokens = json(rig.form_as(0, "stock", "/oauth/token", &form).await).await;
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "client-nonce");

    for (id, more, named) in [
        ("stock", vec![("nonce", "")], "nonce with the scope openid"),
        ("stock", vec![("scope", "profile")], "require_pkce = false"),
        ("strict", vec![], "code_challenge_method=S256"),
        ("web", vec![], "code_challenge_method=S256"),
    ] {
        let answer = Browser::new(&rig).authorize(&without_pkce(id, &more)).await;
        assert_sent_back(&answer, "invalid_request", id);
        let description = parameter(&location(&answer), "error_description").unwrap();
        assert!(description.contains(named), "{id} {more:?}: {description}");
    }
}

#[tokio::test]
async fn an_answer_ends_in_an_empty_fragment_so_that_none_is_carried_over() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    for uri in [WEB, "https://app.example/cb?tenant=7"] {
        let request = authorization_request(&[("redirect_uri", uri)]);
        let code = if uri == WEB {
            browser.log_in(&request).await
        } else {
            location(&browser.authorize(&request).await)
        };
        let none = authorization_request(&[("redirect_uri", uri), ("prompt", "none")]);
        let error = location(&Browser::new(&rig).authorize(&none).await);
        for landed in [code, error] {
            assert!(
                landed.starts_with(uri) && landed.ends_with('#') && landed.matches('#').count() == 1,
                "{landed}"
            );
        }
    }
    let posted = authorization_request(&[("response_mode", "form_post")]);
    let page = browser.authorize(&posted).await.text().await.unwrap();
    assert!(page.contains(&format!("action=\"{WEB}\"")), "{page}");
}

#[tokio::test]
async fn a_state_may_hold_any_character_but_nul_and_must_be_utf_8() {
    let rig = Rig::start().await;
    let state = "\u{FFFD} 한글 + & = % # \u{10FFFF}";
    let landed = Browser::new(&rig).log_in(&authorization_request(&[("state", state)])).await;
    assert_eq!(parameter(&landed, "state").as_deref(), Some(state));
    for bytes in ["%FF", "%00"] {
        let url = rig.url(0, &format!("/oauth/authorize?client_id=web&state={bytes}"));
        assert_page(http().get(url).send().await.unwrap(), bytes).await;
    }
}

/// The OpenID Foundation's suite asks for `form_post` in an unsigned request object alone, and looks for the refusal there.
#[tokio::test]
async fn a_request_object_is_refused_in_the_way_that_it_names_and_changes_nothing_else() {
    let rig = Rig::start().await;
    let object = |claims: &str| format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims));
    let asked = object(r#"{"response_mode":"form_post","redirect_uri":"https://evil.example/","state":"s"}"#);
    let answer = Browser::new(&rig).authorize(&authorization_request(&[("request", &asked)])).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = answer.text().await.unwrap();
    assert!(page.contains(&format!("action=\"{WEB}\"")) && page.contains("request_not_supported"), "{page}");
    assert!(page.contains("client-state") && !page.contains("evil.example"), "{page}");
    for object in [object(r#"{"response_mode":"fragment"}"#), object("[]"), "x".to_owned()] {
        let answer = Browser::new(&rig).authorize(&authorization_request(&[("request", &object)])).await;
        assert_sent_back(&answer, "request_not_supported", &object);
    }
}

#[tokio::test]
async fn codes_are_random_unique_and_without_a_shared_beginning() {
    let rig = Rig::start().await;
    let mut codes = BTreeSet::new();
    for _ in 0..50 {
        let code = rig.code().await;
        assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::OK);
        codes.insert(code);
    }
    assert_eq!(codes.len(), 50);
    assert!(codes.iter().all(|code| code.len() == 4 + 43));
    let beginnings: BTreeSet<&str> = codes.iter().map(|code| &code[4..10]).collect();
    assert_eq!(beginnings.len(), 50);
}

#[tokio::test]
async fn a_page_speaks_the_reader_s_language_and_repeats_nothing_of_the_request() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E");
    let korean = http().get(&url).header("Accept-Language", "ko-KR").send().await.unwrap();
    assert_eq!(korean.headers()["content-language"], "ko");
    let korean = korean.text().await.unwrap();
    assert!(
        korean.contains("lang=\"ko\"") && korean.contains("client_unknown") && !korean.contains("<script")
    );
    let english =
        http().get(&url).header("Accept-Language", "en").send().await.unwrap().text().await.unwrap();
    assert!(english.contains("lang=\"en\"") && english.contains("This login request is not valid"));
    let wished =
        http().get(format!("{url}&ui_locales=en")).header("Accept-Language", "ko").send().await.unwrap();
    assert_eq!(wished.headers()["content-language"], "en");
}

#[tokio::test]
async fn abandoned_attempts_do_not_fill_the_browser() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    for _ in 0..12 {
        browser.authorize(&authorization_request(&[])).await;
    }
    assert!(browser.cookies.lock().unwrap().len() <= 6);
    assert_eq!(
        rig.count("SELECT count(*) FROM login_attempts").await,
        0,
        "nothing is stored before the callback"
    );
    assert!(browser.log_in(&authorization_request(&[])).await.starts_with(WEB));
}

#[tokio::test]
async fn abandoned_attempts_with_long_states_fit_into_a_proxys_limit() {
    let rig = Rig::start().await;
    for (length, kept) in [(43, 6), (700, 3), (1900, 1)] {
        let browser = Browser::new(&rig);
        let state = "s".repeat(length);
        // The rig's jar forgets the order; a browser sends the oldest first, so the header is made here.
        let mut jar: Vec<(String, String)> = Vec::new();
        for _ in 0..9 {
            let header =
                jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let request = http().get(rig.url(0, "/oauth/authorize")).header("Cookie", header);
            let answer = request.query(&authorization_request(&[("state", &*state)])).send().await.unwrap();
            assert!(location(&answer).starts_with(rig.kakao.base_url()));
            for set in answer.headers().get_all("set-cookie") {
                let (name, rest) = set.to_str().unwrap().split_once('=').unwrap();
                let value = rest.split(';').next().unwrap();
                jar.retain(|(known, _)| known != name);
                if !value.is_empty() {
                    jar.push((name.to_owned(), value.to_owned()));
                }
            }
            let bytes: usize = jar.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
            assert!(bytes <= 6000, "{bytes} bytes with states of {length}");
        }
        assert!(jar.len() >= kept, "{} attempts are kept with states of {length}", jar.len());
        // The newest can be completed.
        browser.cookies.lock().unwrap().extend(jar);
        assert!(browser.log_in(&authorization_request(&[("state", &*state)])).await.starts_with(WEB));
    }
}

#[tokio::test]
async fn a_browser_keeps_six_attempts_and_the_oldest_go() {
    let rig = Rig::start().await;
    for (brought, expected) in [(0, 0), (5, 0), (6, 1), (8, 3)] {
        // Browsers send older cookies first (RFC 6265 §5.4).
        let attempts = (0..brought).map(|n| format!("login-{n}=x"));
        let cookies: Vec<String> = std::iter::once("other=y".to_owned()).chain(attempts).collect();
        let request = http().get(rig.url(0, "/oauth/authorize")).query(&authorization_request(&[]));
        let answer = request.header("Cookie", cookies.join("; ")).send().await.unwrap();
        assert!(location(&answer).starts_with(rig.kakao.base_url()));
        let set = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
        let (removed, kept): (Vec<&str>, Vec<&str>) = set.partition(|cookie| cookie.contains("Max-Age=0"));
        assert_eq!(kept.len(), 1, "the new attempt's");
        let mut removed: Vec<&str> = removed.iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
        removed.sort_unstable();
        let oldest: Vec<String> = (0..expected).map(|n| format!("login-{n}")).collect();
        assert_eq!(removed, oldest, "of {brought}");
    }
}
