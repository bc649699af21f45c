//! Consent as data: what a person agreed to can be read, told in claims, asked for later, and taken back.

use std::time::Duration;

use kakao_simulator::{Autopilot, Effect, Endpoint, Fault, Term};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Browser, KAKAO_ID, Rig, Setup, authorization_request, claims, json, location, parameter};

async fn seen_by_a_backend(rig: &Rig, tokens: &Value) -> Value {
    let sub = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let token = rig.own_token("service").await;
    let reply = rig.call(Method::GET, &format!("/v1/users/{sub}"), &token, None).await;
    assert_eq!(reply.status(), StatusCode::OK);
    json(reply).await
}

async fn seen_by_the_person(rig: &Rig, tokens: &Value) -> Value {
    json(rig.call(Method::GET, "/v1/me", tokens["access_token"].as_str().unwrap(), None).await).await
}

#[tokio::test]
async fn what_was_granted_and_what_is_missing_is_read_by_backends_and_by_the_person() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let user = seen_by_a_backend(&rig, &tokens).await;
    assert_eq!(user["kakao_id"], "4412345678", "as text: JavaScript loses digits");
    assert_eq!((&user["email_verified"], &user["age_range"]), (&json!(true), &json!("20~29")));
    let kakao = &user["kakao"];
    assert_eq!((&kakao["linked"], &kakao["needs_agreement"]), (&json!(true), &json!([])));
    assert!(kakao["scopes"].as_array().unwrap().contains(&json!("account_email")), "{kakao}");
    assert_eq!(&seen_by_the_person(&rig, &tokens).await["kakao"], kakao);
    rig.kakao.autopilot(Autopilot::Person("no-email".into()));
    let tokens = rig.tokens().await;
    let user = seen_by_a_backend(&rig, &tokens).await;
    assert_eq!((&user["email"], &user["email_verified"]), (&Value::Null, &Value::Null));
    assert!(user["kakao"]["needs_agreement"].as_array().unwrap().contains(&json!("account_email")), "{user}");
}

#[tokio::test]
async fn claims_tell_it_where_the_client_s_settings_say_so() {
    let clients = r#"
[[clients]]
id = "claims"
type = "public"
redirect_uris = ["https://app.example/cb"]
claims = ["age_range", "kakao_scopes", "kakao_needs_agreement", "kakao_service_terms"]
"#;
    let settings = vec![("KAKAO__SERVICE_TERMS", "true".to_owned())];
    let rig = Rig::with(Setup { clients: clients.to_owned(), settings, ..Setup::default() }).await;
    rig.kakao.set_terms(vec![
        Term { tag: "marketing".into(), required: false, revocable: true },
        Term { tag: "service_20260101".into(), required: true, revocable: false },
    ]);
    rig.tokens().await;
    rig.kakao.agree_terms(KAKAO_ID, &["service_20260101"]);
    let landed = Browser::new(&rig).log_in(&authorization_request(&[("client_id", "claims")])).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "claims"),
        ("code", &parameter(&landed, "code").unwrap()),
        ("redirect_uri", crate::rig::WEB),
        ("code_verifier", crate::rig::VERIFIER),
    ];
    let tokens = json(rig.token(0, &form).await).await;
    let said = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(
        (&said["age_range"], &said["kakao_service_terms"]),
        (&json!("20~29"), &json!(["service_20260101"]))
    );
    assert!(said["kakao_scopes"].as_array().unwrap().contains(&json!("profile_nickname")), "{said}");
    assert_eq!(said["kakao_needs_agreement"], json!([]));
    let terms = seen_by_a_backend(&rig, &tokens).await["kakao"]["service_terms"].clone();
    let agreed: Vec<&Value> =
        terms.as_array().unwrap().iter().filter(|term| term["agreed"] == json!(true)).collect();
    assert_eq!(agreed.len(), 1, "{terms}");
    assert!(agreed[0]["agreed_at"].is_string() && agreed[0]["required"] == json!(true), "{terms}");
}

#[tokio::test]
async fn terms_that_cannot_be_read_do_not_cost_the_login_nor_what_was_known() {
    let settings = vec![("KAKAO__SERVICE_TERMS", "true".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    rig.kakao.set_terms(vec![Term { tag: "marketing".into(), required: false, revocable: true }]);
    rig.tokens().await;
    rig.kakao.agree_terms(KAKAO_ID, &["marketing"]);
    rig.tokens().await;
    let effect = Effect::Api { status: 403, code: -3 };
    rig.kakao.fault(Fault { endpoint: Endpoint::ServiceTerms, times: None, delay_ms: 0, effect });
    let tokens = rig.tokens().await;
    let terms = seen_by_a_backend(&rig, &tokens).await["kakao"]["service_terms"].clone();
    assert_eq!(terms[0]["agreed"], json!(true), "{terms}");
}

#[tokio::test]
async fn more_consent_is_asked_for_by_name_even_if_the_browser_has_a_session() {
    let settings = vec![("KAKAO__SCOPES", "openid,profile_nickname".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let browser = Browser::new(&rig);
    browser.tokens(&[]).await;
    rig.kakao.clear_calls();
    let tokens = browser.tokens(&[("kakao_scope", "talk_message,account_email talk_message")]).await;
    let calls = rig.kakao.calls();
    let asked = calls.iter().find(|call| call.endpoint == Endpoint::Authorize).unwrap();
    assert_eq!(
        asked.parameter("scope"),
        Some("openid,profile_nickname,talk_message,account_email,talk_message")
    );
    let scopes = seen_by_a_backend(&rig, &tokens).await["kakao"]["scopes"].clone();
    assert!(scopes.as_array().unwrap().contains(&json!("talk_message")), "{scopes}");
}

#[tokio::test]
async fn a_bad_kakao_scope_goes_back_to_the_client_and_kakao_is_not_asked() {
    let rig = Rig::start().await;
    let many = "x ".repeat(21);
    for (scope, prompt, error) in [
        ("talk<message", "", "invalid_request"),
        ("한글", "", "invalid_request"),
        (many.as_str(), "", "invalid_request"),
        ("talk_message", "none", "consent_required"),
    ] {
        let request = authorization_request(&[("kakao_scope", scope), ("prompt", prompt)]);
        let landed = location(&Browser::new(&rig).authorize(&request).await);
        assert_eq!(parameter(&landed, "error").as_deref(), Some(error), "{scope}");
    }
    assert!(rig.kakao.calls().is_empty());
}

#[tokio::test]
async fn what_is_withdrawn_is_erased_at_the_next_login_and_by_kakao_s_word() {
    let rig = Rig::start().await;
    rig.tokens().await;
    rig.kakao.withdraw_consent(KAKAO_ID, &["account_email", "age_range"]);
    let tokens = rig.tokens().await;
    let user = seen_by_a_backend(&rig, &tokens).await;
    assert_eq!(
        (&user["email"], &user["age_range"], &user["nickname"]),
        (&Value::Null, &Value::Null, &json!("김하늘"))
    );
    rig.later();
    rig.kakao.withdraw_consent(KAKAO_ID, &["profile_nickname"]);
    let kind = "https://schemas.openid.net/secevent/oauth/event-type/user-scope-withdraw";
    rig.tell(&rig.event(kind)).await;
    for _ in 0..200 {
        rig.read_due_profiles().await;
        if rig.count("SELECT count(*) FROM users WHERE profile_stale_at IS NULL AND nickname IS NULL").await
            == 1
        {
            break;
        }
        rig.clock.advance(Duration::from_secs(31));
    }
    let user = seen_by_a_backend(&rig, &tokens_after(&rig, &tokens).await).await;
    assert_eq!(user["nickname"], Value::Null);
    assert!(user["picture"].is_string(), "what is still shared came back: {user}");
    let scopes = user["kakao"]["scopes"].as_array().unwrap_or_else(|| panic!("no scopes: {user}")).clone();
    assert!(
        !scopes.contains(&json!("profile_nickname")) && scopes.contains(&json!("profile_image")),
        "{user}"
    );
}

/// Tokens that live, after the clock has moved.
async fn tokens_after(rig: &Rig, tokens: &Value) -> Value {
    json(rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await).await
}

#[tokio::test]
async fn a_person_whom_kakao_refuses_for_being_under_14_is_marked() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    assert_eq!(seen_by_a_backend(&rig, &tokens).await["kakao"]["under_14_refused_at"], Value::Null);
    let effect = Effect::Api { status: 401, code: -406 };
    rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: Some(1), delay_ms: 0, effect });
    let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
    assert!(seen_by_a_backend(&rig, &tokens).await["kakao"]["under_14_refused_at"].is_i64());
    let tokens = rig.tokens().await;
    assert_eq!(seen_by_a_backend(&rig, &tokens).await["kakao"]["under_14_refused_at"], Value::Null);
}

#[tokio::test]
async fn nobody_reads_a_user_without_the_scope_and_nobody_unknown_is_read() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let sub = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let path = format!("/v1/users/{sub}");
    let (orders, ops) = (rig.own_token("orders").await, rig.own_token("ops").await);
    let user = tokens["access_token"].as_str().unwrap();
    for (token, status) in [(user, 401), ("x", 401), (&orders, 401), (&ops, 403)] {
        let reply = rig.call(Method::GET, &path, token, None).await;
        assert_eq!(reply.status().as_u16(), status);
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
    }
    let backend = rig.own_token("service").await;
    for id in ["x", "00000000-0000-0000-0000-000000000000", "%00", &"9".repeat(3000)] {
        let reply = rig.call(Method::GET, &format!("/v1/users/{id}"), &backend, None).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{id}");
    }
    // Without the scope `profile` a person's own token does not tell it either.
    let bare = Browser::new(&rig).tokens(&[("scope", "openid")]).await;
    assert!(seen_by_the_person(&rig, &bare).await.get("kakao").is_none());
}
