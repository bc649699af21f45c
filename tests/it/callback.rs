//! Kakao's callback: one login however often it arrives, and nothing for whoever did not begin it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kakao_auth::domain::AttemptId;
use kakao_auth::store::attempts;
use kakao_simulator::{Autopilot, Effect, Email, Endpoint, Fault, Forgery};
use reqwest::{Response, StatusCode};

use crate::rig::{Browser, Rig, Setup, Stores, authorization_request, claims, json, location, parameter};

#[tokio::test]
async fn a_login_ends_at_the_client_with_code_state_and_issuer() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
        assert!(landed.starts_with("https://app.example/cb?code=kac_"), "{landed}");
        assert_eq!(parameter(&landed, "state").as_deref(), Some("client-state"));
        assert_eq!(parameter(&landed, "iss").as_deref(), Some("http://auth.localhost"));
        assert_eq!(rig.count("SELECT count(*) FROM users").await, 1);
        let reply = rig.redeem(0, &parameter(&landed, "code").unwrap()).await;
        assert_eq!(reply.status(), StatusCode::OK, "{stores:?}");
    }
}

/// The session's cookie of an answer, as it is set.
fn session_cookie(answer: &Response) -> String {
    let cookies = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let mut sessions = cookies.filter(|cookie| cookie.starts_with("kakao-auth-session="));
    let session = sessions.next().unwrap_or_else(|| panic!("no session in {:?}", answer.headers()));
    assert!(sessions.next().is_none(), "one cookie");
    session.to_owned()
}

#[tokio::test]
async fn ten_parallel_callbacks_on_two_instances_are_one_login_and_one_call_to_kakao() {
    let rig = Rig::instances(2).await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    let answers = join_all((0..10).map(|i| browser.open_callback(i, &callback))).await;
    let places: BTreeSet<String> = answers.iter().map(location).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    assert!(places.first().unwrap().contains("code=kac_"));
    let sessions: BTreeSet<String> = answers.iter().map(session_cookie).collect();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 1);
    assert_eq!(rig.count("SELECT count(*) FROM grants").await, 1);
    // And later, in the same browser, still the same answer.
    let later = browser.open_callback(1, &callback).await;
    assert_eq!(&location(&later), places.first().unwrap());
    assert_eq!(&session_cookie(&later), sessions.first().unwrap());
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_browser_that_did_not_begin_the_login_gets_a_page_and_kakao_is_not_asked() {
    let rig = Rig::start().await;
    let callback = Browser::new(&rig).until_callback(&authorization_request(&[])).await;
    for url in [
        callback.as_str(),
        "http://auth.localhost/kakao/callback",
        "http://auth.localhost/kakao/callback?code=x",
        "http://auth.localhost/kakao/callback?code=x&state=unknown",
        "http://auth.localhost/kakao/callback?code=x&state=%00",
        "http://auth.localhost/kakao/callback?code=x&state=%ff",
    ] {
        let answer = Browser::new(&rig).open_callback(0, url).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{url}");
        assert!(answer.headers().get("location").is_none(), "{url}");
        assert!(answer.text().await.unwrap().contains("<html"), "{url}");
    }
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 0);
}

#[tokio::test]
async fn a_cookie_of_another_attempt_does_not_help() {
    let rig = Rig::start().await;
    let (mine, theirs) = (Browser::new(&rig), Browser::new(&rig));
    let callback = mine.until_callback(&authorization_request(&[])).await;
    theirs.until_callback(&authorization_request(&[])).await;
    // Their sealed attempt under the name of mine.
    let name = mine.cookies.lock().unwrap().keys().find(|name| name.starts_with("login-")).unwrap().clone();
    let value =
        theirs.cookies.lock().unwrap().iter().find(|(name, _)| name.starts_with("login-")).unwrap().1.clone();
    theirs.cookies.lock().unwrap().insert(name, value);
    assert_eq!(theirs.open_callback(0, &callback).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 0);
}

#[tokio::test]
async fn nobody_waits_for_a_winner_that_has_died() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    let state = parameter(&callback, "state").unwrap();
    let id = AttemptId::of_state(state.split('.').next().unwrap());
    let now = rig.clock.now();
    assert!(attempts::claim(&mut rig.db(), id, now, now + Duration::from_mins(20)).await.unwrap());
    rig.clock.advance(Duration::from_secs(8));
    let began = Instant::now();
    let landed = location(&browser.open_callback(0, &callback).await);
    assert_eq!(parameter(&landed, "error").as_deref(), Some("temporarily_unavailable"), "{landed}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_callback_after_ten_minutes_is_a_page() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    rig.clock.advance(Duration::from_secs(601));
    let answer = browser.open_callback(0, &callback).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("attempt_expired"));
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 0);
}

#[tokio::test]
async fn a_contradictory_callback_is_refused() {
    let rig = Rig::start().await;
    for extra in ["&error=access_denied", "&code=second", "&state=second"] {
        let browser = Browser::new(&rig);
        let callback = browser.until_callback(&authorization_request(&[])).await;
        let answer = browser.open_callback(0, &format!("{callback}{extra}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{extra}");
        assert!(answer.text().await.unwrap().contains("callback_contradictory"), "{extra}");
    }
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 0);
}

#[tokio::test]
async fn parameters_of_the_callback_do_not_change_where_it_goes() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    let answer = browser
        .open_callback(
            0,
            &format!("{callback}&redirect_uri=https://evil.example/&scope=admin&client_id=other"),
        )
        .await;
    assert!(location(&answer).starts_with("https://app.example/cb?code="));
}

#[tokio::test]
async fn two_tabs_finish_each_at_its_own_client() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let first = browser.until_callback(&authorization_request(&[])).await;
    let second = browser
        .until_callback(&authorization_request(&[
            ("client_id", "other"),
            ("redirect_uri", "https://other.example/cb"),
            ("state", "second"),
        ]))
        .await;
    let second = location(&browser.open_callback(0, &second).await);
    let first = location(&browser.open_callback(0, &first).await);
    assert!(
        second.starts_with("https://other.example/cb") && parameter(&second, "state").unwrap() == "second"
    );
    assert!(
        first.starts_with("https://app.example/cb") && parameter(&first, "state").unwrap() == "client-state"
    );
}

#[tokio::test]
async fn what_goes_to_kakao_is_ours_alone() {
    let rig = Rig::start().await;
    Browser::new(&rig).log_in(&authorization_request(&[])).await;
    let calls = rig.kakao.calls();
    let authorize = calls.iter().find(|call| call.endpoint == Endpoint::Authorize).unwrap();
    assert_eq!(authorize.parameter("redirect_uri"), Some("http://auth.localhost/kakao/callback"));
    assert_eq!(authorize.parameter("code_challenge_method"), Some("S256"));
    assert_eq!(authorize.parameter("scope"), None);
    assert_ne!(authorize.parameter("state"), Some("client-state"));
    assert_ne!(authorize.parameter("nonce"), Some("client-nonce"));
    assert!(authorize.parameter("state").unwrap().len() >= 22);
    let token = calls.iter().find(|call| call.endpoint == Endpoint::Token).unwrap();
    assert!(token.parameter("client_secret").is_some() && token.authorization.is_none());
}

#[tokio::test]
async fn a_cancel_and_an_under_14_refusal_go_back_as_access_denied() {
    let rig = Rig::start().await;
    for autopilot in [Autopilot::Cancel, Autopilot::Person("under-14".into())] {
        rig.kakao.autopilot(autopilot);
        let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
        assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
        assert_eq!(parameter(&landed, "state").as_deref(), Some("client-state"));
        assert_eq!(parameter(&landed, "iss").as_deref(), Some("http://auth.localhost"));
    }
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn everybody_who_can_log_in_at_kakao_can_log_in_here() {
    let rig = Rig::start().await;
    for slug in [
        "all-consents",
        "no-email",
        "no-account",
        "email-unverified",
        "email-invalid",
        "no-profile",
        "long-id",
    ] {
        rig.kakao.autopilot(Autopilot::Person(slug.into()));
        let tokens = rig.tokens().await;
        let id_token = claims(tokens["id_token"].as_str().unwrap());
        let verified = id_token.get("email_verified").and_then(serde_json::Value::as_bool);
        let expected = match rig.kakao.person(slug).unwrap().email {
            Email::Agreed { valid, verified, .. } => Some(valid && verified),
            _ => None,
        };
        assert_eq!(verified, expected, "{slug}");
    }
    assert_eq!(rig.count("SELECT count(*) FROM users WHERE kakao_id = 1376016924429759228").await, 1);
}

#[tokio::test]
async fn one_address_of_two_people_makes_two_users() {
    let rig = Rig::start().await;
    let first = claims(rig.tokens().await["access_token"].as_str().unwrap());
    let mut twin = rig.kakao.person("all-consents").unwrap();
    twin.slug = "twin".into();
    twin.id += 1_000;
    rig.kakao.put_person(twin);
    rig.kakao.autopilot(Autopilot::Person("twin".into()));
    let second = claims(rig.tokens().await["access_token"].as_str().unwrap());
    assert_ne!(first["sub"], second["sub"]);
}

#[tokio::test]
async fn parallel_first_logins_of_one_person_make_one_user() {
    let rig = Rig::instances(2).await;
    let browsers: Vec<Browser<'_>> = (0..6).map(|_| Browser::new(&rig)).collect();
    let request = authorization_request(&[]);
    let callbacks = join_all(browsers.iter().map(|browser| browser.until_callback(&request))).await;
    let answers =
        join_all(browsers.iter().zip(&callbacks).enumerate().map(|(i, (b, url))| b.open_callback(i, url)))
            .await;
    let mut subjects = BTreeSet::new();
    for answer in &answers {
        let code = parameter(&location(answer), "code").unwrap();
        let tokens = json(rig.redeem(0, &code).await).await;
        subjects.insert(claims(tokens["access_token"].as_str().unwrap())["sub"].to_string());
    }
    assert_eq!(subjects.len(), 1);
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_forged_id_token_logs_nobody_in_and_writes_no_user() {
    let rig = Rig::start().await;
    for forgery in [
        Forgery::AlgNone,
        Forgery::Hs256WithPublicKey,
        Forgery::StrangeKey,
        Forgery::UnknownKid,
        Forgery::NoKid,
        Forgery::Crit,
        Forgery::Issuer,
        Forgery::Audience,
        Forgery::Nonce,
        Forgery::NoNonce,
        Forgery::Expired,
        Forgery::ExpText,
        Forgery::NoSub,
        Forgery::OtherSub,
        Forgery::Garbage,
    ] {
        rig.kakao.fault(Fault {
            endpoint: Endpoint::Token,
            times: Some(1),
            delay_ms: 0,
            effect: Effect::Forge { forgery },
        });
        let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
        // Kakao's keys were read a moment ago: whether this one is Kakao's is not known yet.
        let unseen = matches!(forgery, Forgery::UnknownKid);
        let error = if unseen { "temporarily_unavailable" } else { "server_error" };
        assert_eq!(parameter(&landed, "error").as_deref(), Some(error), "{forgery:?}");
    }
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 0);
    assert!(rig.kakao.calls_to(Endpoint::Jwks) <= 2, "unknown keys must not make us hammer Kakao");
}

#[tokio::test]
async fn a_rotated_key_at_kakao_is_picked_up_by_one_fetch() {
    let rig = Rig::start().await;
    rig.tokens().await;
    rig.kakao.rotate_keys();
    rig.clock.advance(Duration::from_secs(31));
    rig.tokens().await;
    assert_eq!(rig.kakao.calls_to(Endpoint::Jwks), 2);
}

#[tokio::test]
async fn an_app_without_openid_connect_logs_in_too() {
    let rig = Rig::start().await;
    rig.kakao.set_oidc(false);
    let tokens = rig.tokens().await;
    assert!(tokens["access_token"].is_string());
    assert_eq!(rig.kakao.calls_to(Endpoint::Jwks), 0);
}

#[tokio::test]
async fn a_disabled_user_is_sent_back_with_access_denied() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let sub: uuid::Uuid =
        claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().parse().unwrap();
    let user = kakao_auth::domain::UserId(sub);
    assert!(kakao_auth::store::users::disable(&mut rig.db(), user, rig.clock.now()).await.unwrap());
    let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
    let refreshed = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.status(), StatusCode::BAD_REQUEST);
}

/// The faults of Kakao, and the `error` that each sends back to the client.
#[tokio::test]
async fn every_fault_of_kakao_sends_the_person_back_with_the_right_error() {
    let rig = Rig::start().await;
    let koe = |status, code: &str| Effect::Koe { status, code: code.into() };
    let api = |status, code| Effect::Api { status, code };
    let reply = |status, body: &str, kind: &str| Effect::Reply {
        status,
        body: body.into(),
        content_type: Some(kind.into()),
        headers: vec![("Location".into(), "http://169.254.169.254/".into())],
    };
    let json_type = "application/json";
    let cases = [
        // First, while no key is known yet.
        (Endpoint::Jwks, reply(500, "", json_type), "temporarily_unavailable"),
        (Endpoint::Token, koe(400, "KOE320"), "temporarily_unavailable"),
        (Endpoint::Token, koe(400, "KOE303"), "server_error"),
        (Endpoint::Token, koe(401, "KOE010"), "server_error"),
        (Endpoint::Token, koe(401, "KOE101"), "server_error"),
        (Endpoint::Token, koe(400, "KOE237"), "temporarily_unavailable"),
        (Endpoint::Token, koe(429, "KOE237"), "temporarily_unavailable"),
        (Endpoint::Token, reply(502, "<html>", "text/html"), "temporarily_unavailable"),
        (Endpoint::Token, reply(302, "", json_type), "server_error"),
        (Endpoint::Token, reply(200, "", json_type), "server_error"),
        (Endpoint::Token, reply(200, "{\"access_token\":", json_type), "server_error"),
        (Endpoint::Token, reply(200, "<html></html>", "text/html"), "server_error"),
        (Endpoint::Token, reply(200, "\u{feff}{}", json_type), "server_error"),
        (Endpoint::Token, Effect::Huge { bytes: 2 * 1024 * 1024 }, "server_error"),
        (Endpoint::Me, api(400, -1), "temporarily_unavailable"),
        (Endpoint::Me, api(400, -603), "temporarily_unavailable"),
        (Endpoint::Me, api(503, -9798), "temporarily_unavailable"),
        (Endpoint::Me, api(401, -406), "access_denied"),
        (Endpoint::Me, reply(200, "{\"id\":1,\"id\":2}", json_type), "server_error"),
        (Endpoint::Me, reply(200, "{\"id\":NaN}", json_type), "server_error"),
        (Endpoint::Me, api(400, -10), "temporarily_unavailable"),
    ];
    for (endpoint, effect, expected) in cases {
        let told = format!("{endpoint:?} {effect:?}");
        // Kakao's keys are not asked for again at once.
        rig.clock.advance(Duration::from_secs(2));
        rig.kakao.fault(Fault { endpoint, times: Some(1), delay_ms: 0, effect });
        let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
        assert_eq!(parameter(&landed, "error").as_deref(), Some(expected), "{told}");
        let description = parameter(&landed, "error_description").unwrap();
        assert!(
            description.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
            "{description}"
        );
    }
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 0);
    // The quota of the last fault is left alone for everybody, then forgiven.
    let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("temporarily_unavailable"));
    rig.clock.advance(Duration::from_secs(6));
    rig.tokens().await;
}

#[tokio::test]
async fn a_kakao_that_hangs_or_drips_gives_the_person_back_within_six_seconds() {
    let rig =
        Rig::with(Setup { settings: vec![("KAKAO__TIMEOUT", "500ms".into())], ..Setup::default() }).await;
    for effect in [Effect::Hang, Effect::Drip { interval_ms: 50 }] {
        for endpoint in [Endpoint::Token, Endpoint::Me] {
            rig.kakao.fault(Fault { endpoint, times: Some(1), delay_ms: 0, effect: effect.clone() });
            let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
            assert_eq!(parameter(&landed, "error").as_deref(), Some("temporarily_unavailable"), "{effect:?}");
        }
    }
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 0);
}
