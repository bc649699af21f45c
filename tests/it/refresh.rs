//! Refresh tokens: nobody is logged out by accident, and no thief stays in (RFC 9700 §4.14.2).

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::rig::{
    BACKEND_SECRET, Browser, Rig, Setup, Stores, VERIFIER, WEB, access_token, authorization_request, claims,
    json, parameter, refresh_token,
};

async fn assert_refused(rig: &Rig, token: &str) {
    let reply = rig.refresh(0, token).await;
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(reply).await["error"], "invalid_grant");
}

#[tokio::test]
async fn a_refresh_brings_new_tokens_of_the_same_grant() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let first = rig.tokens().await;
        rig.clock.advance(Duration::from_mins(5));
        let second = json(rig.refresh(0, refresh_token(&first)).await).await;
        assert_ne!(refresh_token(&first), refresh_token(&second));
        let (old, new) = (claims(access_token(&first)), claims(access_token(&second)));
        for same in ["sub", "sid", "aud", "auth_time", "client_id", "scope"] {
            assert_eq!(old[same], new[same], "{same}");
        }
        assert_ne!(old["jti"], new["jti"]);
        assert!(new["iat"].as_i64() > old["iat"].as_i64());
        assert!(second.get("id_token").is_none(), "an ID token is signed only when it is asked for");
    }
}

#[tokio::test]
async fn fifty_parallel_refreshes_on_two_instances_get_one_and_the_same_token() {
    let rig = Rig::instances(2).await;
    let first = rig.tokens().await;
    let replies = join_all((0..50).map(|i| rig.refresh(i, refresh_token(&first)))).await;
    let mut given = BTreeSet::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::OK);
        given.insert(refresh_token(&json(reply).await).to_owned());
    }
    assert_eq!(given.len(), 1, "at most one token lives");
    assert_eq!(rig.count("SELECT generation FROM grants").await, 2);
    assert_eq!(rig.refresh(1, given.first().unwrap()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_previous_token_within_the_window_gets_the_current_one() {
    let rig = Rig::start().await;
    let first = rig.tokens().await;
    let second = json(rig.refresh(0, refresh_token(&first)).await).await;
    rig.clock.advance(Duration::from_secs(10));
    let again = json(rig.refresh(0, refresh_token(&first)).await).await;
    assert_eq!(refresh_token(&again), refresh_token(&second));
    assert_eq!((&again["refresh_reused"], second.get("refresh_reused")), (&true.into(), None));
}

#[tokio::test]
async fn an_answer_within_the_window_does_not_begin_the_window_again() {
    let rig = Rig::start().await;
    let first = rig.tokens().await;
    let second = json(rig.refresh(0, refresh_token(&first)).await).await;
    rig.clock.advance(Duration::from_secs(6));
    let again = json(rig.refresh(0, refresh_token(&first)).await).await;
    assert_eq!(refresh_token(&again), refresh_token(&second));
    rig.clock.advance(Duration::from_secs(5));
    assert_refused(&rig, refresh_token(&first)).await;
    assert_refused(&rig, refresh_token(&second)).await;
}

#[tokio::test]
async fn an_outdated_token_ends_the_grant_once_and_leaves_a_record() {
    let rig = Rig::start().await;
    let first = rig.tokens().await;
    let second = json(rig.refresh(0, refresh_token(&first)).await).await;
    rig.clock.advance(Duration::from_secs(11));
    assert_refused(&rig, refresh_token(&first)).await;
    assert_refused(&rig, refresh_token(&second)).await;
    assert_refused(&rig, refresh_token(&first)).await;
    assert_eq!(rig.count("SELECT count(*) FROM grants WHERE end_reason = 'refresh_replayed'").await, 1);
    assert_eq!(rig.count("SELECT count(*) FROM audit_events WHERE kind = 'grant.ended'").await, 1);
}

#[tokio::test]
async fn a_token_two_generations_old_is_a_replay_even_within_the_window() {
    let rig = Rig::start().await;
    let first = rig.tokens().await;
    let second = json(rig.refresh(0, refresh_token(&first)).await).await;
    let third = json(rig.refresh(0, refresh_token(&second)).await).await;
    assert_refused(&rig, refresh_token(&first)).await;
    assert_refused(&rig, refresh_token(&third)).await;
}

#[tokio::test]
async fn a_strict_service_forgives_nothing() {
    let rig =
        Rig::with(Setup { settings: vec![("REFRESH__REUSE_WINDOW", "0s".into())], ..Setup::default() }).await;
    let first = rig.tokens().await;
    let second = json(rig.refresh(0, refresh_token(&first)).await).await;
    assert_refused(&rig, refresh_token(&first)).await;
    assert_refused(&rig, refresh_token(&second)).await;
}

#[tokio::test]
async fn an_idle_grant_ends_and_no_refresh_prolongs_its_absolute_end() {
    let settings = vec![("REFRESH__IDLE_TTL", "1h".into()), ("REFRESH__ABSOLUTE_TTL", "2h".into())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let idle = rig.tokens().await;
    let mut busy = rig.tokens().await;
    rig.clock.advance(Duration::from_mins(50));
    busy = json(rig.refresh(0, refresh_token(&busy)).await).await;
    rig.clock.advance(Duration::from_mins(50));
    busy = json(rig.refresh(0, refresh_token(&busy)).await).await;
    assert_refused(&rig, refresh_token(&idle)).await;
    rig.clock.advance(Duration::from_mins(21));
    assert_refused(&rig, refresh_token(&busy)).await;
}

#[tokio::test]
async fn another_client_s_token_is_refused_and_unharmed() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let theirs = [("grant_type", "refresh_token"), ("refresh_token", refresh_token(&tokens))];
    let stolen = rig.token(0, &[&theirs[..], &[("client_id", "other")]].concat()).await;
    assert_eq!(stolen.status(), StatusCode::BAD_REQUEST);
    let secret = [("client_id", "backend"), ("client_secret", BACKEND_SECRET)];
    assert_eq!(rig.token(0, &[&theirs[..], &secret].concat()).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(rig.refresh(0, refresh_token(&tokens)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_we_did_not_write_never_reaches_the_database() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    rig.pool(0).close().await;
    let good = refresh_token(&tokens).to_owned();
    let bad = format!("{}x", &good[..good.len() - 1]);
    for token in [bad.as_str(), "kart_", "nonsense", "kart_한글", &"k".repeat(2_000)] {
        assert_refused(&rig, token).await;
    }
}

#[tokio::test]
async fn a_narrower_scope_narrows_the_access_token_and_a_wider_one_spends_nothing() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let form =
        [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", refresh_token(&tokens))];
    let wider = rig.token(0, &[&form[..], &[("scope", "openid phone")]].concat()).await;
    assert_eq!(wider.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(wider).await["error"], "invalid_scope");
    let narrower = json(rig.token(0, &[&form[..], &[("scope", "openid")]].concat()).await).await;
    assert_eq!(narrower["scope"], "openid");
    assert_eq!(claims(access_token(&narrower))["scope"], "openid");
    let id_token = claims(narrower["id_token"].as_str().unwrap());
    assert!(id_token.get("nonce").is_none() && id_token.get("email").is_none());
    let whole = json(rig.refresh(0, refresh_token(&narrower)).await).await;
    assert_eq!(whole["scope"], "openid profile email");
    assert_eq!(claims(access_token(&whole))["scope"], "openid profile email");
}

/// The same client before and after a change of the settings.
fn shrinking(scopes: &str, audience: &str, grants: &str) -> Setup {
    let clients = format!(
        "[[clients]]\nid = \"shrinking\"\ntype = \"public\"\nredirect_uris = [\"{WEB}\"]\n\
         scopes = [{scopes}]\naudience = [{audience}]\ngrants = [\"authorization_code\"{grants}]\n"
    );
    Setup { clients, instances: 0, ..Setup::default() }
}

#[tokio::test]
async fn what_the_settings_take_from_a_client_ends_with_its_next_refresh() {
    let (refresh, both) = (", \"refresh_token\"", "\"https://a.example\", \"https://b.example\"");
    let all = shrinking("\"profile\", \"orders:read\"", both, refresh);
    let mut rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    rig.add_instance(&all).await;
    rig.add_instance(&shrinking("\"profile\"", "\"https://a.example\"", refresh)).await;
    rig.add_instance(&shrinking("\"email\"", both, refresh)).await;
    rig.add_instance(&shrinking("\"profile\", \"orders:read\"", both, "")).await;
    let log_in = async |resource: &str| {
        let changes = [("client_id", "shrinking"), ("scope", "profile orders:read"), ("resource", resource)];
        let landed = Browser::new(&rig).log_in(&authorization_request(&changes)).await;
        let code = parameter(&landed, "code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "shrinking"),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        json(rig.token(0, &form).await).await
    };
    let refresh_at = async |instance: usize, tokens: &serde_json::Value, more: &[(&str, &str)]| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "shrinking"),
            ("refresh_token", refresh_token(tokens)),
        ];
        json(rig.token(instance, &[&form[..], more].concat()).await).await
    };
    let before = log_in("").await;
    assert_eq!(before["scope"], "profile orders:read");
    let gone = refresh_at(1, &before, &[("scope", "orders:read")]).await;
    assert_eq!(gone["error"], "invalid_scope");
    let after = refresh_at(1, &before, &[]).await;
    assert_eq!(after["scope"], "profile");
    let said = claims(access_token(&after));
    assert_eq!((&said["scope"], &said["aud"]), (&"profile".into(), &"https://a.example".into()));
    assert_eq!(refresh_at(2, &after, &[]).await["error"], "invalid_grant", "nothing of its scope is left");
    let of_b = log_in("https://b.example").await;
    assert_eq!(claims(access_token(&of_b))["aud"], "https://b.example");
    assert_eq!(refresh_at(1, &of_b, &[]).await["error"], "invalid_grant", "nor of its resources");
    assert_eq!(refresh_at(3, &log_in("").await, &[]).await["error"], "unauthorized_client");
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let mut rig = Rig::start().await;
    let first = rig.tokens().await;
    let second = json(rig.refresh(0, refresh_token(&first)).await).await;
    rig.stop(0).await.unwrap();
    rig.add_instance(&Setup::default()).await;
    let third = json(rig.refresh(1, refresh_token(&second)).await).await;
    rig.clock.advance(Duration::from_secs(11));
    assert_eq!(rig.refresh(1, refresh_token(&first)).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(rig.refresh(1, refresh_token(&third)).await.status(), StatusCode::BAD_REQUEST);
}
