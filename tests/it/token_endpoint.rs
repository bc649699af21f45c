//! The token endpoint (RFC 6749 §3.2, RFC 7636, RFC 9068): codes become tokens once, for whom they were made.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::rig::{
    BACKEND, BACKEND_SECRET, Browser, Rig, SECOND_SECRET, Setup, VERIFIER, WEB, access_token,
    authorization_request, claims, header, http, json, parameter,
};

async fn assert_error(reply: Response, status: u16, error: &str, told: &str) {
    assert_eq!(reply.status().as_u16(), status, "{told}");
    assert_eq!(reply.headers()["cache-control"], "no-store", "{told}");
    assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("application/json"), "{told}");
    let body = json(reply).await;
    assert_eq!(body["error"], error, "{told}");
    assert!(body["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{told}");
    assert!(body["code"].is_string() && body["error_description"].is_string(), "{told}");
}

async fn backend_code(rig: &Rig) -> String {
    let request = authorization_request(&[("client_id", "backend"), ("redirect_uri", BACKEND)]);
    parameter(&Browser::new(rig).log_in(&request).await, "code").unwrap()
}

#[tokio::test]
async fn a_code_becomes_tokens_that_a_stock_library_verifies() {
    let rig = Rig::start().await;
    let reply = rig.redeem(0, &rig.code().await).await;
    assert_eq!(reply.headers()["cache-control"], "no-store");
    let tokens = json(reply).await;
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "openid profile email");
    assert!(tokens["refresh_token"].as_str().unwrap().starts_with("kart_"));

    let jwks: JwkSet =
        http().get(rig.url(0, "/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
    for (name, alg, typ, audience) in
        [("access_token", "ES256", "at+jwt", "orders"), ("id_token", "RS256", "JWT", "web")]
    {
        let token = tokens[name].as_str().unwrap();
        let head = header(token);
        assert_eq!((head["alg"].as_str(), head["typ"].as_str()), (Some(alg), Some(typ)));
        let jwk = jwks.find(head["kid"].as_str().unwrap()).unwrap();
        let mut validation = Validation::new(alg.parse().unwrap());
        validation.set_audience(&[audience]);
        validation.set_issuer(&["http://auth.localhost"]);
        let verified =
            decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap().claims;
        assert_eq!(verified["sub"], claims(tokens["access_token"].as_str().unwrap())["sub"]);
    }
    let access = claims(tokens["access_token"].as_str().unwrap());
    for name in ["iss", "sub", "aud", "client_id", "scope", "iat", "nbf", "exp", "jti", "sid", "auth_time"] {
        assert!(access.get(name).is_some(), "{name}");
    }
    let id_token = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(id_token["nonce"], "client-nonce");
    assert_eq!(id_token["nickname"], "김하늘");
    assert_eq!(id_token["email_verified"], true);
    assert!(id_token["updated_at"].is_i64());
}

#[tokio::test]
async fn the_verifier_crate_accepts_the_access_token_and_not_the_id_token() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let clock = rig.clock.clone();
    let verifier = kakao_auth_verifier::Verifier::builder("http://auth.localhost", "orders")
        .jwks_url(rig.url(0, "/.well-known/jwks.json"))
        .clock(std::sync::Arc::new(move || clock.now().secs()))
        .build()
        .unwrap();
    let access_token = tokens["access_token"].as_str().unwrap();
    assert!(verifier.verify(access_token).await.unwrap().has_scope("profile"));
    let refused = verifier.verify(tokens["id_token"].as_str().unwrap()).await.unwrap_err();
    assert_eq!(refused, kakao_auth_verifier::Refused::NotAnAccessToken);
    rig.clock.advance(Duration::from_secs(631));
    assert_eq!(verifier.verify(access_token).await.unwrap_err(), kakao_auth_verifier::Refused::Expired);
}

#[tokio::test]
async fn fifty_parallel_redemptions_on_two_instances_have_one_winner() {
    let rig = Rig::instances(2).await;
    let code = rig.code().await;
    let replies = join_all((0..50).map(|i| rig.redeem(i, &code))).await;
    let won = replies.iter().filter(|reply| reply.status() == StatusCode::OK).count();
    let refused = replies.iter().filter(|reply| reply.status() == StatusCode::BAD_REQUEST).count();
    assert_eq!((won, refused), (1, 49));
}

/// An effect that runs twice (React StrictMode) exchanges the same code twice.
#[tokio::test]
async fn a_second_exchange_within_the_window_is_refused_and_ends_nothing() {
    for (window, waits) in [("10s", 10), ("300s", 20)] {
        let settings = vec![("REFRESH__REUSE_WINDOW", window.into())];
        let rig = Rig::with(Setup { settings, instances: 2, ..Setup::default() }).await;
        let code = rig.code().await;
        let tokens = json(rig.redeem(0, &code).await).await;
        rig.clock.advance(Duration::from_secs(waits));
        let again = json(rig.redeem(1, &code).await).await;
        assert_eq!(
            (&again["error"], &again["code"]),
            (&"invalid_grant".into(), &"code_spent_just_now".into())
        );
        assert_eq!(rig.count("SELECT count(*) FROM grants WHERE ended_at IS NULL").await, 1);
        assert_eq!(rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_second_valid_use_after_the_window_is_refused_and_ends_the_grant() {
    for (window, waits) in [("10s", 11), ("300s", 21), ("0s", 0)] {
        let settings = vec![("REFRESH__REUSE_WINDOW", window.into())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let code = rig.code().await;
        let tokens = json(rig.redeem(0, &code).await).await;
        rig.clock.advance(Duration::from_secs(waits));
        assert_error(rig.redeem(0, &code).await, 400, "invalid_grant", "second use").await;
        let refreshed = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
        assert_error(refreshed, 400, "invalid_grant", "its refresh token").await;
        assert_eq!(rig.count("SELECT count(*) FROM grants WHERE end_reason = 'code_replayed'").await, 1);
    }
}

#[tokio::test]
async fn a_second_use_with_a_wrong_verifier_ends_nothing() {
    let rig = Rig::start().await;
    let code = rig.code().await;
    let tokens = json(rig.redeem(0, &code).await).await;
    let wrong = "w".repeat(43);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", code.as_str()),
        ("redirect_uri", WEB),
        ("code_verifier", wrong.as_str()),
    ];
    assert_error(rig.token(0, &form).await, 400, "invalid_grant", "wrong verifier").await;
    assert_eq!(rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn another_client_cannot_spend_the_code_and_its_owner_still_can() {
    let rig = Rig::start().await;
    let code = rig.code().await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "other"),
        ("code", code.as_str()),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
    ];
    assert_error(rig.token(0, &form).await, 400, "invalid_grant", "of another client").await;
    assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_judged_before_the_code_is_spent() {
    let rig = Rig::start().await;
    let wrong = "w".repeat(43);
    for (name, value, error) in [
        ("redirect_uri", "https://app.example/cb?tenant=7", "invalid_grant"),
        ("code_verifier", wrong.as_str(), "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        ("resource", "https://elsewhere.example", "invalid_target"),
    ] {
        let code = rig.code().await;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", "web"),
            ("code", code.as_str()),
            ("redirect_uri", WEB),
            ("code_verifier", VERIFIER),
        ];
        form.retain(|(given, _)| *given != name);
        form.push((name, value));
        assert_error(rig.token(0, &form).await, 400, error, name).await;
        let right = rig.redeem(0, &code).await;
        assert_eq!(right.status(), StatusCode::OK, "{name}: nothing was spent");
        let tokens = json(right).await;
        let refreshed = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
        assert_eq!(refreshed.status(), StatusCode::OK, "{name}: nothing has ended");
    }
}

#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let rig = Rig::start().await;
    let request = authorization_request(&[
        ("client_id", "backend"),
        ("redirect_uri", BACKEND),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ]);
    let code = parameter(&Browser::new(&rig).log_in(&request).await, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "backend"),
        ("client_secret", BACKEND_SECRET),
        ("code", code.as_str()),
        ("redirect_uri", BACKEND),
        ("code_verifier", VERIFIER),
    ];
    assert_error(rig.token(0, &form).await, 400, "invalid_request", "nobody asked for a verifier").await;
}

#[tokio::test]
async fn a_code_lives_sixty_seconds() {
    let rig = Rig::start().await;
    let (young, old) = (rig.code().await, rig.code().await);
    rig.clock.advance(Duration::from_secs(59));
    assert_eq!(rig.redeem(0, &young).await.status(), StatusCode::OK);
    rig.clock.advance(Duration::from_secs(1));
    assert_error(rig.redeem(0, &old).await, 400, "invalid_grant", "too old").await;
}

/// OpenID Connect Core §3.1.3.6: the hash is that of the algorithm which signs the ID token. openid-client takes SHA-512 for
/// EdDSA, and refuses the login otherwise.
#[tokio::test]
async fn at_hash_is_made_with_the_hash_of_the_id_tokens_algorithm() {
    let client = |alg: &str| {
        format!(
            "[[clients]]\nid = \"{alg}\"\ntype = \"public\"\nredirect_uris = [\"{WEB}\"]\nid_token_alg = \"{alg}\"\n"
        )
    };
    let algs = ["ES256", "RS256", "EdDSA"];
    let rig = Rig::with(Setup {
        clients: algs.map(client).concat(),
        settings: vec![("KEYS__ALGORITHMS", algs.join(","))],
        ..Setup::default()
    })
    .await;
    for (alg, hash) in algs.into_iter().zip([&SHA256, &SHA256, &SHA512]) {
        let landed = Browser::new(&rig).log_in(&authorization_request(&[("client_id", alg)])).await;
        let code = parameter(&landed, "code").unwrap();
        let form = [("client_id", alg), ("code", &*code), ("code_verifier", VERIFIER), ("redirect_uri", WEB)];
        let form = [&[("grant_type", "authorization_code")], &form[..]].concat();
        let tokens = json(rig.token(0, &form).await).await;
        let id_token = tokens["id_token"].as_str().unwrap();
        assert_eq!(header(id_token)["alg"], alg);
        let whole = digest(hash, access_token(&tokens).as_bytes());
        let half = &whole.as_ref()[..whole.as_ref().len() / 2];
        assert_eq!(claims(id_token)["at_hash"], URL_SAFE_NO_PAD.encode(half), "{alg}");
    }
}

#[tokio::test]
async fn clients_prove_themselves_by_basic_or_body_with_any_of_their_secrets() {
    let rig = Rig::start().await;
    for secret in [BACKEND_SECRET, SECOND_SECRET] {
        let code = backend_code(&rig).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", BACKEND),
            ("code_verifier", VERIFIER),
        ];
        let by_basic = http()
            .post(rig.url(0, "/oauth/token"))
            .basic_auth("backend", Some(secret))
            .form(&form)
            .send()
            .await
            .unwrap();
        let tokens = json(by_basic).await;
        let access = claims(tokens["access_token"].as_str().unwrap());
        assert_eq!(access["nickname"], "김하늘");
        assert_eq!(access["email_verified"], true);
        assert_eq!(access["aud"], serde_json::json!(["backend", crate::rig::ISSUER]));
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ("client_id", "backend"),
            ("client_secret", secret),
        ];
        assert_eq!(rig.token(0, &form).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_client_that_does_not_prove_itself_learns_nothing() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let send = |request: reqwest::RequestBuilder| async { request.form(&form).send().await.unwrap() };
    for (id, secret) in [("backend", "wrong"), ("nobody", "wrong"), ("web", BACKEND_SECRET)] {
        let reply = send(http().post(&url).basic_auth(id, Some(secret))).await;
        assert!(reply.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
        assert_error(reply, 401, "invalid_client", id).await;
        let body = [&form[..], &[("client_id", id), ("client_secret", secret)]].concat();
        assert_error(rig.token(0, &body).await, 401, "invalid_client", id).await;
    }
    let body = [&form[..], &[("client_id", "backend")]].concat();
    assert_error(rig.token(0, &body).await, 401, "invalid_client", "no secret at all").await;
    assert_error(rig.token(0, &form).await, 401, "invalid_client", "no client at all").await;
    let both = http().post(&url).basic_auth("backend", Some(BACKEND_SECRET));
    let both = both.form(&[&form[..], &[("client_secret", BACKEND_SECRET)]].concat()).send().await.unwrap();
    assert_error(both, 400, "invalid_request", "two ways").await;
    let differs = http().post(&url).basic_auth("backend", Some(BACKEND_SECRET));
    let differs = differs.form(&[&form[..], &[("client_id", "web")]].concat()).send().await.unwrap();
    assert_error(differs, 400, "invalid_request", "two names").await;
    let garbage = send(http().post(&url).header("Authorization", "Basic !!!")).await;
    assert_error(garbage, 401, "invalid_client", "garbage").await;
}

#[tokio::test]
async fn requests_that_cannot_be_read_get_a_json_error_that_says_why() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/token");
    let web = [("client_id", "web")];
    for (form, error) in [
        (vec![("code", "x")], "invalid_request"),
        (vec![("grant_type", "")], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "implicit")], "unsupported_grant_type"),
        (vec![("grant_type", "nonsense")], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "")], "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "unknown")], "invalid_grant"),
        (vec![("grant_type", "authorization_code"), ("code", "한글")], "invalid_grant"),
        (vec![("grant_type", "authorization_code"), ("code", "a\0b")], "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "x"), ("code", "x")], "invalid_request"),
        (
            vec![("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", "short")],
            "invalid_request",
        ),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "x"), ("scope", "a\"b")], "invalid_scope"),
    ] {
        let told = format!("{form:?}");
        assert_error(rig.token(0, &[&form[..], &web].concat()).await, 400, error, &told).await;
    }
    let codeless =
        [("grant_type", "refresh_token"), ("client_id", "codeless"), ("client_secret", BACKEND_SECRET)];
    assert_error(rig.token(0, &codeless).await, 400, "unauthorized_client", "grant not allowed").await;
    let json_body =
        http().post(&url).header("Content-Type", "application/json").body("{}").send().await.unwrap();
    assert_error(json_body, 400, "invalid_request", "JSON").await;
    let nothing = http().post(&url).send().await.unwrap();
    assert_error(nothing, 400, "invalid_request", "no body").await;
    let code = rig.code().await;
    let in_query = format!(
        "{url}?grant_type=authorization_code&client_id=web&code={code}&code_verifier={VERIFIER}&redirect_uri={WEB}"
    );
    let form_type = "application/x-www-form-urlencoded";
    let ignored = http().post(in_query).header("Content-Type", form_type).body("").send().await.unwrap();
    assert!(matches!(ignored.status().as_u16(), 400 | 401));
    assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::OK, "the query spent nothing");
}

#[tokio::test]
async fn tokens_of_many_logins_are_all_different() {
    let rig = Rig::start().await;
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let tokens = rig.tokens().await;
        ids.insert(claims(tokens["access_token"].as_str().unwrap())["jti"].to_string());
    }
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_user_disabled_between_code_and_redemption_gets_no_tokens() {
    let rig = Rig::start().await;
    let sub =
        claims(rig.tokens().await["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let code = rig.code().await;
    let user = kakao_auth::domain::UserId(sub.parse().unwrap());
    kakao_auth::store::users::disable(&mut rig.db(), user, rig.clock.now()).await.unwrap();
    assert_error(rig.redeem(0, &code).await, 400, "invalid_grant", "disabled").await;
}

#[tokio::test]
async fn roles_stand_in_the_access_token_from_the_next_refresh_on() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let first = claims(tokens["access_token"].as_str().unwrap());
    assert!(first.get("roles").is_none());
    let user = kakao_auth::domain::UserId(first["sub"].as_str().unwrap().parse().unwrap());
    kakao_auth::store::users::set_roles(&mut rig.db(), user, &["staff".to_owned()]).await.unwrap();
    let refreshed = json(rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await).await;
    assert_eq!(claims(refreshed["access_token"].as_str().unwrap())["roles"], serde_json::json!(["staff"]));
}
