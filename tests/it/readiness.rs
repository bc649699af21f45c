//! `/health/ready` says whether logins can work: whether the database can be written. A pool in use and a lock are no reason
//! to send callers elsewhere.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use kakao_auth::store::Tx;
use reqwest::StatusCode;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use url::Url;

use crate::rig::{Rig, Setup, Stores, http, json, refresh_token};

async fn ready(rig: &Rig) -> StatusCode {
    http().get(rig.url(0, "/health/ready")).send().await.unwrap().status()
}

/// Until it says so, which it must soon.
async fn until(rig: &Rig, status: StatusCode) {
    let began = Instant::now();
    while ready(rig).await != status {
        assert!(began.elapsed() < Duration::from_secs(10), "never {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks until an answer must be a new one.
async fn stays_ready(rig: &Rig) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(ready(rig).await, StatusCode::OK, "after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn run(admin: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await.unwrap();
}

#[tokio::test]
async fn a_database_that_only_reads_is_not_ready_and_is_left_when_it_writes_again() {
    let settings = vec![("DATABASE__MAX_CONNECTIONS", "4".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    until(&rig, StatusCode::OK).await;
    let mut admin = PgConnection::connect(&rig.database_url).await.unwrap();
    let name = Url::parse(&rig.database_url).unwrap().path()[1..].to_owned();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    // As a primary that was demoted: who connects can read.
    run(&mut admin, format!("ALTER DATABASE {name} SET default_transaction_read_only = on; {others}")).await;
    until(&rig, StatusCode::SERVICE_UNAVAILABLE).await;
    let refused = rig.refresh(0, refresh_token(&tokens)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Whoever has a connection to it keeps it: only new ones lead to a server that writes.
    run(&mut admin, format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    let began = Instant::now();
    until(&rig, StatusCode::OK).await;
    while rig.refresh(0, refresh_token(&tokens)).await.status() != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(10), "still at the connections that only read");
    }
}

#[tokio::test]
async fn a_pool_in_use_and_locked_rows_leave_a_service_ready() {
    let settings = vec![("DATABASE__MAX_CONNECTIONS", "2".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    until(&rig, StatusCode::OK).await;
    let mut handles: Vec<_> = (0..2).map(|_| rig.pool(0).handle()).collect();
    let all = try_join_all(handles.iter_mut().map(Tx::begin)).await.unwrap();
    stays_ready(&rig).await;
    drop(all);
    let mut locker = PgConnection::connect(&rig.database_url).await.unwrap();
    run(&mut locker, "BEGIN; SELECT * FROM job_leases FOR UPDATE".to_owned()).await;
    stays_ready(&rig).await;
}

#[tokio::test]
async fn a_writer_of_sqlite_leaves_a_service_ready() {
    let rig = Rig::with(Setup { stores: Stores::SqliteAndMemory, ..Setup::default() }).await;
    until(&rig, StatusCode::OK).await;
    let mut writer = SqliteConnection::connect(&rig.database_url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    stays_ready(&rig).await;
}

#[tokio::test]
async fn a_replica_that_has_not_read_the_revocation_feed_yet_is_not_ready() {
    let mut rig = Rig::start().await;
    until(&rig, StatusCode::OK).await;
    rig.stop(0).await.unwrap();
    let mut locker = PgConnection::connect(&rig.database_url).await.unwrap();
    run(&mut locker, "BEGIN; LOCK TABLE grants IN ACCESS EXCLUSIVE MODE".to_owned()).await;
    rig.add_instance(&Setup::default()).await;
    let reply = http().get(rig.url(1, "/health/ready")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    let said = json(reply).await;
    assert_eq!((said["database"].as_str(), said["feed"].as_str()), (Some("up"), Some("down")), "{said}");
    run(&mut locker, "ROLLBACK".to_owned()).await;
    let began = Instant::now();
    while http().get(rig.url(1, "/health/ready")).send().await.unwrap().status() != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(10), "never ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(http().get(rig.url(1, "/v1/revocations")).send().await.unwrap().status(), StatusCode::OK);
}
