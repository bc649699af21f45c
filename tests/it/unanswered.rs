//! Nobody is logged out for obeying a 503: a refresh or a code exchange whose answer was lost can be repeated, however long the
//! database was away.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use crate::rig::{Rig, Setup, TcpProxy, access_token, host_of, json, refresh_token, through, variable};

/// Two replicas, of which the first reaches the database by a proxy.
async fn replicas(settings: Vec<(&'static str, String)>) -> (Rig, TcpProxy) {
    let (mut rig, proxy) = Rig::behind_a_proxy(settings).await;
    rig.add_instance(&Setup::default()).await;
    (rig, proxy)
}

const PATIENCE: Duration = Duration::from_secs(30);

const GENERATION: &str = "SELECT generation FROM grants ORDER BY id DESC LIMIT 1";

/// Has the database carry out what a request asks of `grants`, and its reply lost: the statement takes a while, in which the way
/// back breaks.
async fn unheard(rig: &Rig, proxy: &TcpProxy, request: impl Future<Output = Response>) {
    const UNDER_WAY: &str = "SELECT count(*) FROM pg_stat_activity
                             WHERE datname = current_database() AND wait_event = 'PgSleep'";
    rig.run(
        "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END'",
    )
    .await;
    rig.run("CREATE TRIGGER slow BEFORE UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION slow()").await;
    let (reply, ()) = tokio::join!(request, async {
        rig.until(UNDER_WAY, 1, PATIENCE).await;
        proxy.lose_replies(true);
        rig.until(UNDER_WAY, 0, PATIENCE).await;
    });
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    rig.run("DROP TRIGGER slow ON grants").await;
    proxy.lose_replies(false);
}

#[tokio::test]
async fn a_refresh_that_was_answered_503_gets_its_tokens_at_any_replica_a_minute_later() {
    let (rig, proxy) = replicas(vec![]).await;
    for replica in [0, 1] {
        let first = rig.tokens().await;
        rig.clock.advance(Duration::from_secs(1));
        unheard(&rig, &proxy, rig.refresh(0, refresh_token(&first))).await;
        assert_eq!(rig.count(GENERATION).await, 2, "it was carried out");
        rig.clock.advance(Duration::from_mins(1));
        let again = rig.refresh(replica, refresh_token(&first)).await;
        assert_eq!(again.status(), StatusCode::OK);
        let again = json(again).await;
        assert_eq!(again["refresh_reused"], true);
        assert_eq!(rig.refresh(1, refresh_token(&again)).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn the_window_of_a_refresh_that_was_answered_503_begins_when_its_row_says_so_and_ends() {
    // Redis is away: the other replica knows by the database alone.
    let redis = TcpProxy::to(host_of(&variable("REDIS_URL"), 6379)).await;
    redis.shut();
    let cache = vec![("CACHE__URL", through(&variable("REDIS_URL"), &redis))];
    let (rig, proxy) = replicas(cache).await;
    let first = rig.tokens().await;
    rig.clock.advance(Duration::from_secs(1));
    unheard(&rig, &proxy, rig.refresh(0, refresh_token(&first))).await;
    rig.clock.advance(Duration::from_mins(1));
    rig.until("SELECT count(*) FROM grants WHERE unanswered_at IS NOT NULL", 1, PATIENCE).await;
    rig.clock.advance(Duration::from_secs(10));
    let again = rig.refresh(1, refresh_token(&first)).await;
    assert_eq!(again.status(), StatusCode::OK);
    rig.clock.advance(Duration::from_secs(51));
    let late = rig.refresh(1, refresh_token(&first)).await;
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
    let current = json(again).await;
    assert_eq!(rig.refresh(1, refresh_token(&current)).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_code_whose_exchange_was_answered_503_gives_its_tokens_until_one_of_them_was_used() {
    let (rig, proxy) = replicas(vec![]).await;
    let code = rig.code().await;
    unheard(&rig, &proxy, rig.redeem(0, &code)).await;
    assert_eq!(rig.count(GENERATION).await, 1, "it was spent");
    rig.clock.advance(Duration::from_mins(1));
    let mut given = None;
    // Perhaps this answer is lost too, on its way to the client.
    for _ in 0..2 {
        let reply = rig.redeem(1, &code).await;
        assert_eq!(reply.status(), StatusCode::OK);
        given = Some(json(reply).await);
    }
    let tokens = given.unwrap();
    assert!(tokens["id_token"].is_string());
    let next = json(rig.refresh(1, refresh_token(&tokens)).await).await;
    assert_eq!(rig.introspected(1, access_token(&next)).await["active"], true);
    let replay = rig.redeem(1, &code).await;
    assert_eq!(replay.status(), StatusCode::BAD_REQUEST);
    assert_eq!(rig.introspected(1, access_token(&next)).await["active"], false, "it ended the grant");
}

#[tokio::test]
async fn a_503_in_an_outage_makes_no_outdated_token_good_again() {
    let (rig, proxy) = replicas(vec![]).await;
    let first = rig.tokens().await;
    rig.clock.advance(Duration::from_secs(1));
    let second = json(rig.refresh(1, refresh_token(&first)).await).await;
    rig.clock.advance(Duration::from_mins(1));
    proxy.shut();
    let reply = rig.refresh(0, refresh_token(&first)).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    proxy.open();
    for replica in [1, 0] {
        let reply = rig.refresh(replica, refresh_token(&first)).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "the current one was answered 200");
    }
    assert_eq!(rig.refresh(1, refresh_token(&second)).await.status(), StatusCode::BAD_REQUEST, "a replay");
}
