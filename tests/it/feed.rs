//! The revocation feed: backend services that verify offline learn of an ended login within seconds.

use std::time::{Duration, Instant};

use kakao_auth::domain::UserId;
use kakao_auth::flow::revocations::refresh;
use kakao_auth::store::users;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Rig, claims, header, http, json};

async fn feed(rig: &Rig, instance: usize, wait: &str, etag: Option<&str>) -> Response {
    let url = rig.url(instance, &format!("/v1/revocations{wait}"));
    let request = http().get(url);
    etag.map_or(request.try_clone().unwrap(), |tag| request.header("If-None-Match", tag))
        .send()
        .await
        .unwrap()
}

async fn read(reply: Response) -> (String, Value, String) {
    let etag = reply.headers()["etag"].to_str().unwrap().to_owned();
    let text = reply.text().await.unwrap();
    (etag, claims(&text), text)
}

/// The feed of a replica after it has looked.
async fn fresh(rig: &Rig, instance: usize) -> Value {
    refresh(rig.deps(instance), &mut rig.pool(instance).handle()).await.unwrap();
    read(feed(rig, instance, "", None).await).await.1
}

fn sid(tokens: &Value) -> Value {
    claims(tokens["access_token"].as_str().unwrap())["sid"].clone()
}

async fn revoke(rig: &Rig, tokens: &Value) {
    let form = [("token", tokens["refresh_token"].as_str().unwrap()), ("client_id", "web")];
    let reply = http().post(rig.url(0, "/oauth/revoke")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
}

#[tokio::test]
async fn it_is_a_signed_list_that_any_backend_can_check() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    revoke(&rig, &tokens).await;
    refresh(rig.deps(0), &mut rig.pool(0).handle()).await.unwrap();
    let reply = feed(&rig, 0, "", None).await;
    for (name, value) in [
        ("content-type", "application/jwt"),
        ("cache-control", "public, max-age=1"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(reply.headers()[name], value, "{name}");
    }
    let (_, said, text) = read(reply).await;
    assert_eq!(header(&text)["typ"], "revocations+jwt");
    assert_eq!(said["iss"], crate::rig::ISSUER);
    assert_eq!(said["sids"], json!([sid(&tokens)]));
    assert_eq!(said["window"], 720);
    let jwks = json(http().get(rig.url(0, "/.well-known/jwks.json")).send().await.unwrap()).await;
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header(&text)["kid"]).unwrap();
    let key: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
    jsonwebtoken::decode::<Value>(&text, &key, &validation).unwrap();
}

#[tokio::test]
async fn another_replica_tells_of_it_within_two_seconds_to_whoever_waits() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    fresh(&rig, 1).await;
    let (etag, before, _) = read(feed(&rig, 1, "", None).await).await;
    assert_eq!(before["sids"], json!([]));
    let began = Instant::now();
    let (reply, ()) = tokio::join!(feed(&rig, 1, "?wait=20", Some(&etag)), revoke(&rig, &tokens));
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(read(reply).await.1["sids"], json!([sid(&tokens)]));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_unchanged_feed_is_not_sent_again() {
    let rig = Rig::start().await;
    fresh(&rig, 0).await;
    let (etag, ..) = read(feed(&rig, 0, "", None).await).await;
    for wait in ["", "?wait=0", "?wait=1"] {
        assert_eq!(feed(&rig, 0, wait, Some(&etag)).await.status(), StatusCode::NOT_MODIFIED, "{wait}");
    }
    rig.clock.advance(Duration::from_secs(31));
    assert!(
        fresh(&rig, 0).await["iat"].as_i64().unwrap() >= rig.clock.now().secs(),
        "signed anew, to show it is fresh"
    );
}

#[tokio::test]
async fn a_disabled_user_is_listed_with_the_time_from_which_tokens_count() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let user = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    users::disable(&mut rig.db(), UserId(user.parse().unwrap()), rig.clock.now()).await.unwrap();
    assert_eq!(fresh(&rig, 0).await["subs"][&user], rig.clock.now().secs());
    rig.end_rows().await;
    assert_eq!(fresh(&rig, 0).await["sids"], json!([sid(&tokens)]));
}

#[tokio::test]
async fn an_entry_goes_when_no_token_can_live_any_more() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    revoke(&rig, &tokens).await;
    rig.clock.advance(Duration::from_mins(12));
    assert_eq!(
        fresh(&rig, 0).await["sids"],
        json!([sid(&tokens)]),
        "as long as a token may live, and a leeway"
    );
    rig.clock.advance(Duration::from_secs(1));
    for instance in 0..2 {
        assert_eq!(fresh(&rig, instance).await["sids"], json!([]));
    }
}

#[tokio::test]
async fn a_wait_that_cannot_be_is_refused() {
    let rig = Rig::start().await;
    for wait in ["?wait=31", "?wait=-1", "?wait=x", "?wait=1&wait=1"] {
        let reply = feed(&rig, 0, wait, None).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{wait}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        assert!(json(reply).await["detail"].as_str().unwrap().contains("wait"), "{wait}");
    }
    let post = http().post(rig.url(0, "/v1/revocations")).send().await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// The whole way: after "log out everywhere" a backend service on another replica, which asks nobody at each request, refuses what
/// it accepted before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_with_the_verifier_refuses_within_two_seconds_of_a_logout_everywhere() {
    let rig = Rig::instances(2).await;
    let clock = rig.clock.clone();
    let backend = kakao_auth_verifier::Verifier::builder(crate::rig::ISSUER, "orders")
        .jwks_url(rig.url(1, "/.well-known/jwks.json"))
        .revocation_feed_url(rig.url(1, "/v1/revocations"))
        .clock(std::sync::Arc::new(move || clock.now().secs()))
        .build()
        .unwrap();
    let token = |tokens: &Value| tokens["access_token"].as_str().unwrap().to_owned();
    let (here, there) = (token(&rig.tokens().await), token(&rig.tokens().await));
    rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
    let somebody_else = token(&rig.tokens().await);
    for token in [&here, &there, &somebody_else] {
        backend.verify(token).await.unwrap();
    }
    let request = http().delete(rig.url(0, "/v1/me/sessions")).bearer_auth(&here);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let began = Instant::now();
    for token in [&here, &there] {
        while backend.verify(token).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(2), "still accepted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(backend.verify(token).await.err(), Some(kakao_auth_verifier::Refused::Revoked));
    }
    backend.verify(&somebody_else).await.unwrap();
}
