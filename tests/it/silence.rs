//! What goes on when the database says nothing: a host that is gone, a firewall that forgot, a server that is stopped, a
//! lock that somebody keeps. Callers are answered in time, and service comes back by itself.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use kakao_auth::store::Tx;
use reqwest::{Response, StatusCode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::rig::{
    Browser, Rig, TcpProxy, access_token, authorization_request, claims, http, location, parameter,
    refresh_token,
};

const CONNECTIONS: usize = 8;

/// How long a caller waits at most.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A service with a proxy before its database.
async fn behind_a_proxy() -> (Rig, TcpProxy) {
    Rig::behind_a_proxy(vec![("DATABASE__MAX_CONNECTIONS", CONNECTIONS.to_string())]).await
}

/// The refresh tokens of so many grants.
async fn grants(rig: &Rig, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(refresh_token(&rig.tokens().await).to_owned());
    }
    tokens
}

/// What is answered, which must be in time.
async fn in_time(what: &str, asked: impl Future<Output = Response>) -> Response {
    let began = Instant::now();
    let reply = asked.await;
    assert!(began.elapsed() < ANSWERED_WITHIN, "{what}: {:?}", began.elapsed());
    reply
}

async fn refreshed(rig: &Rig, token: &str) -> StatusCode {
    in_time("a refresh", rig.refresh(0, token)).await.status()
}

/// Until all of them are refreshed at once.
async fn until_all_are_refreshed(rig: &Rig, tokens: &[String], limit: Duration) {
    let began = Instant::now();
    loop {
        let answers = join_all(tokens.iter().map(|token| refreshed(rig, token))).await;
        if answers.iter().all(|status| *status == StatusCode::OK) {
            return;
        }
        let honest = |status: &StatusCode| [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(status);
        assert!(answers.iter().all(honest), "{answers:?}");
        assert!(began.elapsed() < limit, "no full service after {:?}: {answers:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// As many transactions at once as the pool may have connections: none of them is lost. Jobs may still wait for silent ones.
async fn assert_pool_is_whole(rig: &Rig) {
    let began = Instant::now();
    while let Err(error) = all_at_once(rig).await {
        assert!(began.elapsed() < Duration::from_secs(10), "{error:?}");
    }
}

async fn all_at_once(rig: &Rig) -> Result<(), impl std::fmt::Debug> {
    let mut handles: Vec<_> = (0..CONNECTIONS).map(|_| rig.pool(0).handle()).collect();
    try_join_all(handles.iter_mut().map(Tx::begin)).await.map(drop)
}

#[tokio::test]
async fn connections_that_fall_silent_are_replaced_and_service_is_full_within_ten_seconds() {
    let (rig, proxy) = behind_a_proxy().await;
    let tokens = grants(&rig, 12).await;
    // Refreshes are under way all the time, so that connections fall silent in statements and on their way back to the pool.
    let waves = async {
        for _ in 0..6 {
            join_all(tokens.iter().map(|token| refreshed(&rig, token))).await;
        }
    };
    let falls_silent = async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        proxy.silence_old();
    };
    tokio::join!(waves, falls_silent);
    until_all_are_refreshed(&rig, &tokens, Duration::from_secs(10)).await;
    assert_pool_is_whole(&rig).await;
}

#[tokio::test]
async fn idle_connections_that_fell_silent_cost_no_request() {
    let (rig, proxy) = behind_a_proxy().await;
    let tokens = grants(&rig, 8).await;
    until_all_are_refreshed(&rig, &tokens, Duration::from_secs(10)).await;
    proxy.silence_old();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let answers = join_all(tokens.iter().map(|token| refreshed(&rig, token))).await;
    let failed = answers.iter().filter(|status| **status != StatusCode::OK).count();
    assert_eq!(failed, 0, "{answers:?}");
}

#[tokio::test]
async fn a_database_that_is_stopped_has_callers_answered_in_time_and_goes_on_where_it_was() {
    let (rig, proxy) = behind_a_proxy().await;
    let tokens = grants(&rig, 12).await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    proxy.silence();
    for _ in 0..2 {
        let answers = join_all(tokens.iter().map(|token| refreshed(&rig, token))).await;
        assert!(answers.iter().all(|status| *status == StatusCode::SERVICE_UNAVAILABLE), "{answers:?}");
    }
    let landed = location(&in_time("the callback", browser.open_callback(0, &callback)).await);
    assert!(landed.starts_with("https://app.example/cb?"), "back to the client: {landed}");
    assert_eq!(parameter(&landed, "error").as_deref(), Some("temporarily_unavailable"));
    proxy.open();
    until_all_are_refreshed(&rig, &tokens, Duration::from_secs(10)).await;
    assert_pool_is_whole(&rig).await;
}

#[tokio::test]
async fn a_row_that_somebody_locks_stops_no_other_user() {
    let (rig, _proxy) = behind_a_proxy().await;
    let locked = rig.tokens().await;
    let others = grants(&rig, 4).await;
    let mut other = PgConnection::connect(&rig.database_url).await.unwrap();
    let grant = claims(access_token(&locked))["sid"].as_str().unwrap().to_owned();
    let lock = format!("BEGIN; SELECT id FROM grants WHERE id = '{grant}' FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut other).await.unwrap();
    // Thirty a second, each of which waits for the lock.
    let many = join_all((0..60_u32).map(async |number| {
        tokio::time::sleep(Duration::from_millis(33) * number).await;
        refreshed(&rig, refresh_token(&locked)).await
    }));
    let rest = async {
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.extend(join_all(others.iter().map(|token| refreshed(&rig, token))).await);
            answers.push(http().get(rig.url(0, "/health/ready")).send().await.unwrap().status());
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        answers
    };
    let (many, rest) = tokio::join!(many, rest);
    assert!(many.iter().all(|status| *status == StatusCode::SERVICE_UNAVAILABLE), "{many:?}");
    assert!(rest.iter().all(|status| *status == StatusCode::OK), "{rest:?}");
    other.close().await.unwrap();
    assert_eq!(refreshed(&rig, refresh_token(&locked)).await, StatusCode::OK);
}

#[tokio::test]
async fn a_service_ends_while_its_database_is_silent() {
    let (mut rig, proxy) = behind_a_proxy().await;
    let tokens = grants(&rig, 8).await;
    proxy.silence();
    let answers = join_all(tokens.iter().map(|token| refreshed(&rig, token))).await;
    assert!(answers.iter().all(|status| *status == StatusCode::SERVICE_UNAVAILABLE), "{answers:?}");
    let began = Instant::now();
    rig.stop(0).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
