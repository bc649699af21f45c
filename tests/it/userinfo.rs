//! Userinfo (OpenID Connect Core §5.3): by scope, to a live token, in the header.

use std::time::Duration;

use kakao_simulator::{Autopilot, Email};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Browser, Rig, Setup, VERIFIER, WEB, authorization_request, http, json, parameter};

async fn userinfo(rig: &Rig, token: &str) -> Response {
    http().get(rig.url(0, "/oauth/userinfo")).bearer_auth(token).send().await.unwrap()
}

async fn access_token(rig: &Rig, scope: &str) -> String {
    let landed = Browser::new(rig).log_in(&authorization_request(&[("scope", scope)])).await;
    let code = parameter(&landed, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", &code),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
    ];
    json(rig.token(0, &form).await).await["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn get_and_post_tell_the_same_with_the_subject_of_the_id_token() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    let got = userinfo(&rig, token).await;
    assert_eq!(got.headers()["cache-control"], "no-store");
    let got = json(got).await;
    assert_eq!(got["sub"], crate::rig::claims(tokens["id_token"].as_str().unwrap())["sub"]);
    assert!(got["updated_at"].is_i64() && got["email_verified"].is_boolean(), "{got}");
    let posted =
        http().post(rig.url(0, "/oauth/userinfo")).header("Authorization", format!("bearer {token}"));
    assert_eq!(json(posted.send().await.unwrap()).await, got, "the scheme is case-insensitive");
}

#[tokio::test]
async fn claims_follow_the_scopes() {
    let rig = Rig::start().await;
    let names = async |scope| {
        let said = json(userinfo(&rig, &access_token(&rig, scope).await).await).await;
        said.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names("openid").await, ["sub"]);
    assert_eq!(names("openid email").await, ["email", "email_verified", "sub"]);
    assert_eq!(names("openid profile").await, ["name", "nickname", "picture", "sub", "updated_at"]);
}

#[tokio::test]
async fn gender_date_of_birth_and_phone_number_are_told_by_scope() {
    let clients = "[[clients]]\nid = \"all\"\ntype = \"public\"\nredirect_uris = [\"https://app.example/cb\"]\n\
                   scopes = [\"openid\", \"profile\", \"phone\"]\n";
    let rig = Rig::with(Setup { clients: clients.into(), ..Setup::default() }).await;
    for (birthyear, birthday, kind, birthdate) in [
        (Some("2000"), Some("0531"), Some("SOLAR"), json!("2000-05-31")),
        (Some("2000"), Some("0531"), None, json!("2000-05-31")),
        (None, Some("0531"), Some("SOLAR"), json!("0000-05-31")),
        (Some("2000"), None, None, json!("2000")),
        (Some("2000"), Some("0531"), Some("LUNAR"), json!("2000")),
        (None, Some("0531"), Some("LUNAR"), Value::Null),
        (None, Some("531"), None, Value::Null),
        (None, None, None, Value::Null),
    ] {
        let mut person = rig.kakao.person("all-consents").unwrap();
        person.phone_number = Some("+82 10-1234-5678".into());
        person.gender = Some("FEMALE".into());
        (person.birthyear, person.birthday) = (birthyear.map(str::to_owned), birthday.map(str::to_owned));
        person.birthday_type = kind.map(str::to_owned);
        rig.kakao.put_person(person);
        let request = authorization_request(&[("client_id", "all"), ("scope", "openid profile phone")]);
        let landed = Browser::new(&rig).log_in(&request).await;
        let code = parameter(&landed, "code").unwrap();
        let form =
            [("client_id", "all"), ("code", &*code), ("redirect_uri", WEB), ("code_verifier", VERIFIER)];
        let form = [&[("grant_type", "authorization_code")], &form[..]].concat();
        let tokens = json(rig.token(0, &form).await).await;
        let said = json(userinfo(&rig, tokens["access_token"].as_str().unwrap()).await).await;
        for told in [said, crate::rig::claims(tokens["id_token"].as_str().unwrap())] {
            assert_eq!(told["birthdate"], birthdate, "{told}");
            assert_eq!(told["gender"], "female", "{told}");
            assert_eq!(told["phone_number"], "+82 10-1234-5678", "{told}");
            assert_eq!(told["phone_number_verified"], true, "{told}");
        }
        rig.clock.advance(Duration::from_secs(2));
    }
    let without = json(userinfo(&rig, &access_token(&rig, "openid profile").await).await).await;
    assert!(
        without.get("phone_number").is_none() && without.get("phone_number_verified").is_none(),
        "{without}"
    );
}

/// ID tokens travel in URLs, as `id_token_hint` at a logout.
#[tokio::test]
async fn an_operator_keeps_the_profile_out_of_a_clients_id_tokens() {
    let clients = "[[clients]]\nid = \"bare\"\ntype = \"public\"\nredirect_uris = [\"https://app.example/cb\"]\n\
                   id_token_profile = false\n";
    let rig = Rig::with(Setup { clients: clients.into(), ..Setup::default() }).await;
    let landed = Browser::new(&rig).log_in(&authorization_request(&[("client_id", "bare")])).await;
    let code = parameter(&landed, "code").unwrap();
    let form = [("client_id", "bare"), ("code", &*code), ("redirect_uri", WEB), ("code_verifier", VERIFIER)];
    let form = [&[("grant_type", "authorization_code")], &form[..]].concat();
    let tokens = json(rig.token(0, &form).await).await;
    let id_token = crate::rig::claims(tokens["id_token"].as_str().unwrap());
    let names: Vec<&String> = id_token.as_object().unwrap().keys().collect();
    assert_eq!(names, ["at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"]);
    let said = json(userinfo(&rig, tokens["access_token"].as_str().unwrap()).await).await;
    assert_eq!((&said["nickname"], &said["email_verified"]), (&json!("김하늘"), &json!(true)));
}

#[tokio::test]
async fn an_address_is_verified_only_if_valid_and_verified_and_absent_if_not_shared() {
    let rig = Rig::start().await;
    for (email, expected) in [
        (Email::Agreed { address: "a@b.example".into(), valid: true, verified: true }, json!(true)),
        (Email::Agreed { address: "a@b.example".into(), valid: true, verified: false }, json!(false)),
        (Email::Agreed { address: "a@b.example".into(), valid: false, verified: true }, json!(false)),
        (Email::NeedsAgreement, json!(null)),
        (Email::NotConfigured, json!(null)),
    ] {
        let mut person = rig.kakao.person("all-consents").unwrap();
        person.email = email.clone();
        rig.kakao.put_person(person);
        let said = json(userinfo(&rig, &access_token(&rig, "openid email").await).await).await;
        assert_eq!(said["email_verified"], expected, "{email:?}");
        assert_eq!(said.get("email").is_some(), !expected.is_null(), "{email:?}");
    }
}

#[tokio::test]
async fn without_a_token_the_challenge_has_no_error_and_with_a_bad_one_it_says_so() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/userinfo");
    let none = http().get(&url).send().await.unwrap();
    assert_eq!(
        (none.status(), &none.headers()["www-authenticate"]),
        (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
    );
    let tokens = rig.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    let in_the_query = http().get(format!("{url}?access_token={token}")).send().await.unwrap();
    assert_eq!(in_the_query.status(), StatusCode::UNAUTHORIZED);
    let parts: Vec<&str> = token.split('.').collect();
    let none_alg = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", parts[1]);
    let huge = "a".repeat(60_000);
    for bad in [
        tokens["id_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
        "x",
        &format!("{token}."),
        &format!("{token}.x"),
        &none_alg,
        &format!("{}.{}.{}", parts[0], parts[1], parts[1]),
        &huge,
    ] {
        let reply = userinfo(&rig, bad).await;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{bad}");
        let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    rig.clock.advance(Duration::from_mins(10));
    assert_eq!(userinfo(&rig, token).await.status(), StatusCode::UNAUTHORIZED, "expired");
}

#[tokio::test]
async fn a_token_without_openid_is_not_for_userinfo_and_one_for_us_lacks_the_scope() {
    let rig = Rig::start().await;
    let reply = userinfo(&rig, &access_token(&rig, "profile").await).await;
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    assert!(reply.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    let tokens = Browser::new(&rig).tokens(&[("scope", "profile account")]).await;
    let reply = userinfo(&rig, &rig.account_token(&tokens).await).await;
    assert_eq!(reply.status(), StatusCode::FORBIDDEN);
    assert!(reply.headers()["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
}

#[tokio::test]
async fn a_disabled_user_s_token_is_refused() {
    let rig = Rig::start().await;
    rig.kakao.autopilot(Autopilot::Person("no-email".into()));
    let token = access_token(&rig, "openid").await;
    let user = crate::rig::claims(&token)["sub"].as_str().unwrap().parse().unwrap();
    let now = rig.clock.now();
    assert!(
        kakao_auth::store::users::disable(&mut rig.db(), kakao_auth::domain::UserId(user), now)
            .await
            .unwrap()
    );
    assert_eq!(userinfo(&rig, &token).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_registered_origin_may_read_it() {
    let rig = Rig::start().await;
    let token = access_token(&rig, "openid").await;
    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false)] {
        let request = http().get(rig.url(0, "/oauth/userinfo")).bearer_auth(&token).header("Origin", origin);
        let reply = request.send().await.unwrap();
        assert_eq!(reply.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
    }
}
