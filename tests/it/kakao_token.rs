//! A backend service gets a Kakao access token of a person: fresh enough, with the consent that it needs, by one call to Kakao.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use kakao_auth::domain::UserId;
use kakao_auth::flow::kakao::tokens as kakao_tokens;
use kakao_auth::jobs;
use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{KAKAO_ID, Rig, Setup, Stores, claims, json, parameter};

/// A rig, the backend service's own token, and the user who has logged in.
struct Backend {
    rig: Rig,
    token: String,
    user: UserId,
}

impl Backend {
    async fn with(setup: Setup) -> Self {
        let rig = Rig::with(setup).await;
        let tokens = rig.tokens().await;
        let user = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().parse().unwrap();
        let token = rig.own_token("service").await;
        rig.kakao.clear_calls();
        Self { rig, token, user: UserId(user) }
    }

    async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    async fn ask_at(&self, instance: usize, ask: Value) -> Response {
        let path = format!("/v1/users/{}/kakao-token", self.user);
        self.rig.call_at(instance, Method::POST, &path, &self.token, Some(ask)).await
    }

    async fn ask(&self, ask: Value) -> Response {
        self.ask_at(0, ask).await
    }

    async fn given(&self, ask: Value) -> Value {
        let reply = self.ask(ask).await;
        assert_eq!(reply.status(), StatusCode::OK);
        assert_eq!(reply.headers()["cache-control"], "no-store");
        json(reply).await
    }

    async fn refused(&self, ask: Value, status: u16, code: &str) -> Value {
        let reply = self.ask(ask).await;
        assert_eq!(reply.status().as_u16(), status, "{code}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        let said = json(reply).await;
        assert_eq!(said["code"], code, "{said}");
        said
    }

    fn fault(&self, endpoint: Endpoint, effect: Effect) {
        self.rig.kakao.fault(Fault { endpoint, times: Some(1), delay_ms: 0, effect });
    }

    async fn lose_the_cached_token(&self) {
        kakao_tokens::evict(self.rig.deps(0), self.user).await;
    }
}

#[tokio::test]
async fn a_token_that_lives_long_enough_comes_from_the_cache_and_every_hand_out_is_audited() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let backend = Backend::with(Setup { stores, ..Setup::default() }).await;
        let given = backend.given(json!({})).await;
        assert_eq!(given["token_type"], "bearer");
        assert!(given["expires_in"].as_u64().unwrap() > 21_000, "{given}");
        assert!(given["scopes"].as_array().unwrap().contains(&json!("account_email")), "{given}");
        assert_eq!(backend.given(json!({ "min_ttl": 3600 })).await["access_token"], given["access_token"]);
        assert!(backend.rig.kakao.calls().is_empty(), "Kakao was not asked");
        let audited = "SELECT count(*) FROM audit_events WHERE kind = 'kakao_token.handed_out' AND client_id = 'service'";
        assert_eq!(backend.rig.count(audited).await, 2, "{stores:?}");
    }
}

#[tokio::test]
async fn two_hundred_at_once_on_two_replicas_for_an_expired_token_are_one_call_to_kakao() {
    let backend = Backend::with(Setup { instances: 2, ..Setup::default() }).await;
    backend.rig.clock.advance(Duration::from_hours(6));
    // The backend service's own token has expired too.
    let token = backend.rig.own_token("service").await;
    let backend = Backend { token, ..backend };
    let replies = join_all((0..200).map(|i| backend.ask_at(i, json!({ "min_ttl": 600 })))).await;
    let mut tokens = BTreeSet::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::OK);
        tokens.insert(json(reply).await["access_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(tokens.len(), 1, "everybody has the same");
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Token), 1);
    assert_eq!(backend.rig.count("SELECT count(*) FROM job_leases WHERE name LIKE 'kakao-token:%'").await, 0);
}

#[tokio::test]
async fn a_refresh_token_is_replaced_only_when_kakao_sends_a_new_one() {
    let backend = Backend::start().await;
    let kept = encrypted_token(&backend).await;
    backend.lose_the_cached_token().await;
    backend.given(json!({})).await;
    assert_eq!(encrypted_token(&backend).await, kept, "more than a month is left");
    backend.rig.kakao.advance_clock(Duration::from_hours(31 * 24));
    backend.lose_the_cached_token().await;
    backend.given(json!({})).await;
    assert_ne!(encrypted_token(&backend).await, kept, "less than a month was left");
    // And the new one works, while the old one is dead.
    backend.lose_the_cached_token().await;
    backend.given(json!({})).await;
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Token), 3);
}

async fn encrypted_token(backend: &Backend) -> Option<Vec<u8>> {
    kakao_auth::store::users::kakao_refresh_token(&mut backend.rig.db(), backend.user).await.unwrap()
}

#[tokio::test]
async fn a_dead_refresh_token_ends_the_link_once_and_the_next_login_mends_it() {
    let backend = Backend::start().await;
    backend.rig.kakao.revoke_tokens(KAKAO_ID);
    backend.lose_the_cached_token().await;
    for _ in 0..3 {
        let said = backend.refused(json!({}), 409, "reauthentication_required").await;
        assert!(
            said["authorize_url"].as_str().unwrap().ends_with("/oauth/authorize?prompt=consent"),
            "{said}"
        );
    }
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Token), 1, "no retry loop");
    assert_eq!(
        backend.rig.count("SELECT count(*) FROM audit_events WHERE kind = 'kakao_link.ended'").await,
        1
    );
    assert_eq!(
        backend.rig.count("SELECT count(*) FROM grants WHERE ended_at IS NOT NULL").await,
        0,
        "logins go on"
    );
    backend.rig.tokens().await;
    backend.given(json!({})).await;
}

#[tokio::test]
async fn a_token_that_kakao_refused_is_replaced_once_and_a_link_that_is_dead_is_told() {
    let backend = Backend::start().await;
    let first = backend.given(json!({})).await["access_token"].clone();
    backend.rig.kakao.revoke_access_tokens(KAKAO_ID);
    let second = backend.given(json!({ "refused_token": first })).await["access_token"].clone();
    assert_ne!(first, second);
    // Somebody else reports the same dead token late.
    assert_eq!(backend.given(json!({ "refused_token": first })).await["access_token"], second);
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Token), 1);
    backend.rig.kakao.revoke_tokens(KAKAO_ID);
    backend.refused(json!({ "refused_token": second }), 409, "reauthentication_required").await;
    backend.refused(json!({}), 409, "reauthentication_required").await;
}

#[tokio::test]
async fn a_dead_token_that_a_check_of_consent_finds_is_replaced() {
    let backend = Backend::start().await;
    backend.rig.kakao.revoke_access_tokens(KAKAO_ID);
    let said = backend.refused(json!({ "scopes": ["talk_message"] }), 409, "kakao_consent_required").await;
    assert_eq!(said["required_scopes"], json!(["talk_message"]));
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Token), 1);
    backend.rig.kakao.revoke_tokens(KAKAO_ID);
    backend.refused(json!({ "scopes": ["talk_message"] }), 409, "reauthentication_required").await;
}

#[tokio::test]
async fn missing_consent_gives_the_way_to_ask_for_just_that_and_then_the_token() {
    let backend = Backend::start().await;
    let ask = json!({ "scopes": ["account_email", "talk_message", "friends"] });
    let said = backend.refused(ask.clone(), 409, "kakao_consent_required").await;
    let url = said["authorize_url"].as_str().unwrap();
    assert_eq!(parameter(url, "kakao_scope").as_deref(), Some("talk_message friends"));
    // The frontend begins its login with that parameter.
    let browser = crate::rig::Browser::new(&backend.rig);
    browser.tokens(&[("kakao_scope", "talk_message friends")]).await;
    let given = backend.given(ask).await;
    assert!(given["scopes"].as_array().unwrap().contains(&json!("friends")), "{given}");
}

#[tokio::test]
async fn consent_that_was_given_elsewhere_is_found() {
    let backend = Backend::start().await;
    sqlx::query("UPDATE users SET kakao_scope = NULL").execute(postgres(&backend.rig)).await.unwrap();
    let given = backend.given(json!({ "scopes": ["account_email"] })).await;
    assert!(given["scopes"].as_array().unwrap().contains(&json!("profile_nickname")), "{given}");
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Scopes), 1);
    backend.given(json!({ "scopes": ["account_email"] })).await;
    assert_eq!(backend.rig.kakao.calls_to(Endpoint::Scopes), 1, "and remembered");
}

fn postgres(rig: &Rig) -> &sqlx::PgPool {
    match &rig.pool {
        kakao_auth::store::Pool::Postgres(pool, _) => pool,
        kakao_auth::store::Pool::Sqlite(_) => panic!("this test is for Postgres"),
    }
}

#[tokio::test]
async fn a_limit_of_kakao_s_is_left_alone_by_everybody_until_it_is_over() {
    for effect in [
        Effect::Koe { status: 400, code: "KOE237".into() },
        Effect::Koe { status: 429, code: "KOE237".into() },
        Effect::Api { status: 400, code: -10 },
    ] {
        let backend = Backend::with(Setup { instances: 2, ..Setup::default() }).await;
        backend.lose_the_cached_token().await;
        let koe = matches!(effect, Effect::Koe { .. });
        let endpoint = if koe { Endpoint::Token } else { Endpoint::Scopes };
        backend.fault(endpoint, effect.clone());
        let ask = if koe { json!({}) } else { json!({ "scopes": ["friends"] }) };
        let first = backend.ask(ask.clone()).await;
        assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE, "{effect:?}");
        assert!(first.headers().contains_key("retry-after"));
        let before = backend.rig.kakao.calls_to(endpoint);
        for instance in 0..4 {
            backend.lose_the_cached_token().await;
            let reply = backend.ask_at(instance, ask.clone()).await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "{effect:?}");
        }
        assert_eq!(backend.rig.kakao.calls_to(endpoint), before, "this API is left alone: {effect:?}");
        backend.rig.clock.advance(Duration::from_secs(61));
        backend.given(json!({})).await;
    }
}

#[tokio::test]
async fn kakao_s_faults_are_told_apart_and_nothing_is_lost() {
    let backend = Backend::start().await;
    let kept = encrypted_token(&backend).await;
    for (effect, status, code) in [
        (Effect::Koe { status: 401, code: "KOE010".into() }, 502, "kakao_setup_wrong"),
        (
            Effect::Reply { status: 502, body: "<html>".into(), content_type: None, headers: vec![] },
            503,
            "kakao_try_later",
        ),
        (
            Effect::Reply { status: 200, body: "{".into(), content_type: None, headers: vec![] },
            502,
            "kakao_broken",
        ),
    ] {
        backend.lose_the_cached_token().await;
        backend.fault(Endpoint::Token, effect);
        backend.refused(json!({}), status, code).await;
    }
    assert_eq!(encrypted_token(&backend).await, kept);
    backend.given(json!({})).await;
}

#[tokio::test]
async fn a_redis_that_is_lost_costs_a_refresh_and_nothing_else() {
    let settings = vec![("CACHE__URL", "redis://127.0.0.1:1".to_owned())];
    let backend = Backend::with(Setup { settings, ..Setup::default() }).await;
    let replies = join_all((0..20).map(|_| backend.ask(json!({})))).await;
    assert!(replies.iter().all(|reply| reply.status() == StatusCode::OK));
    assert!(backend.rig.kakao.calls_to(Endpoint::Token) <= 1);
}

#[tokio::test]
async fn bad_requests_say_what_to_do_and_nobody_else_gets_a_token() {
    let backend = Backend::start().await;
    for (ask, part) in [
        (json!({ "min_ttl": 10_801 }), "10800"),
        (json!({ "min_ttl": -1 }), "documented members"),
        (json!({ "min_ttl": "60" }), "documented members"),
        (json!({ "scope": "x" }), "documented members"),
        (json!({ "scopes": ["a b"] }), "consent items"),
        (json!({ "scopes": vec!["x"; 21] }), "consent items"),
        (json!([]), "documented members"),
    ] {
        let reply = backend.ask(ask.clone()).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{ask}");
        let said = json(reply).await;
        assert!(said["detail"].as_str().unwrap().contains(part), "{ask}: {said}");
    }
    let rig = &backend.rig;
    let path = format!("/v1/users/{}/kakao-token", backend.user);
    let person = rig.tokens().await["access_token"].as_str().unwrap().to_owned();
    let ops = rig.own_token("ops").await;
    for (token, status) in [(person.as_str(), 401), (ops.as_str(), 403), ("x", 401)] {
        assert_eq!(rig.call(Method::POST, &path, token, None).await.status().as_u16(), status);
    }
    for id in ["x", "00000000-0000-0000-0000-000000000000", "%00"] {
        let reply =
            rig.call(Method::POST, &format!("/v1/users/{id}/kakao-token"), &backend.token, None).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{id}");
    }
    kakao_auth::store::users::disable(&mut rig.db(), backend.user, rig.clock.now()).await.unwrap();
    backend.refused(json!({}), 403, "user_disabled").await;
}

#[tokio::test]
async fn links_are_renewed_before_they_die_bounded_and_not_twice_a_day() {
    let settings = vec![("KAKAO__RENEW_PER_MINUTE", "2".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    for slug in ["all-consents", "no-email", "long-id"] {
        rig.kakao.autopilot(kakao_simulator::Autopilot::Person(slug.into()));
        rig.tokens().await;
    }
    rig.kakao.clear_calls();
    let holder = uuid::Uuid::now_v7();
    let renew = async || {
        kakao_auth::flow::kakao::renew_links::renew_links(rig.deps(0), &mut rig.pool(0).handle(), 2, || false)
            .await
            .unwrap()
    };
    assert_eq!(renew().await, 0, "two months are left");
    assert!(
        jobs::renewal::renew_once(rig.deps(0), &mut rig.pool(0).handle(), holder, || false).await.is_ok()
    );
    let month = Duration::from_hours(33 * 24);
    rig.kakao.advance_clock(month);
    rig.clock.advance(month);
    let first = renew().await;
    let second = renew().await;
    assert!(first <= 2 && second <= 2, "bounded");
    assert_eq!(renew().await, 0, "none is left");
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 3);
    // The new ones live two months again.
    rig.clock.advance(Duration::from_hours(48));
    assert_eq!(renew().await, 0);
}

#[tokio::test]
async fn kakao_is_left_alone_for_as_long_as_it_says() {
    let backend = Backend::start().await;
    backend.lose_the_cached_token().await;
    let effect = Effect::Reply {
        status: 429,
        body: json!({ "error": "invalid_request", "error_code": "KOE237" }).to_string(),
        content_type: None,
        headers: vec![("Retry-After".into(), "120".into())],
    };
    backend.fault(Endpoint::Token, effect);
    let reply = backend.ask(json!({})).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers()["retry-after"], "121");
    backend.rig.clock.advance(Duration::from_secs(100));
    assert_eq!(backend.ask(json!({})).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    backend.rig.clock.advance(Duration::from_secs(21));
    backend.given(json!({})).await;
}
