//! A caller who hangs up in the middle cuts nothing in half: what spends something is finished without them.
//!
//! A connection that is reset has actix drop the handler at its next await. Here the flow waits for a lock at that moment:
//! either what it is about to write is locked, so that the database has the statement but the rest of the flow is still to
//! come, or the whole table is, and nothing was done yet.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use url::Url;

use crate::rig::{
    Browser, ISSUER, Rig, VERIFIER, WEB, authorization_request, location, parameter, refresh_token,
};

/// The flow waits with the statement that writes the grant.
const ROW: &str = "SELECT id FROM grants FOR UPDATE";

/// The flow waits before it can read or write a grant.
const TABLE: &str = "LOCK TABLE grants IN ACCESS EXCLUSIVE MODE";

/// Sends a request and resets the connection while its flow waits for this lock.
async fn reset_during(rig: &Rig, lock: &'static str, request: &str) {
    let mut locker = PgConnection::connect(&rig.database_url).await.unwrap();
    sqlx::query("BEGIN").execute(&mut locker).await.unwrap();
    sqlx::query(lock).execute(&mut locker).await.unwrap();
    let url = Url::parse(&rig.url(0, "")).unwrap();
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let began = Instant::now();
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut locker).await.unwrap() == 0 {
        assert!(began.elapsed() < Duration::from_secs(3), "the flow never came to the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.set_zero_linger().unwrap();
    drop(stream);
    // Until the service has seen the reset; it does not wait for a lock much longer.
    tokio::time::sleep(Duration::from_millis(100)).await;
    sqlx::query("ROLLBACK").execute(&mut locker).await.unwrap();
}

/// Resets the connection of a form to the token endpoint.
async fn reset_token_request(rig: &Rig, lock: &'static str, form: &[(&str, &str)]) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: auth.localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    reset_during(rig, lock, &request).await;
}

async fn reset_exchange(rig: &Rig, lock: &'static str, code: &str) {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", code),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
    ];
    reset_token_request(rig, lock, &form).await;
}

async fn reset_refresh(rig: &Rig, lock: &'static str, tokens: &Value) {
    let form =
        [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", refresh_token(tokens))];
    reset_token_request(rig, lock, &form).await;
}

/// Until this is true of the one grant.
async fn until(rig: &Rig, sql: &'static str) {
    let began = Instant::now();
    while rig.count(sql).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(3), "the flow was cut in half: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_code_that_is_shown_again_ends_its_grant_and_leaves_a_record() {
    let rig = Rig::start().await;
    let code = rig.code().await;
    assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::OK);
    rig.clock.advance(Duration::from_secs(11));
    reset_exchange(&rig, ROW, &code).await;
    until(&rig, "SELECT count(*) FROM grants WHERE end_reason = 'code_replayed'").await;
    until(&rig, "SELECT count(*) FROM audit_events WHERE kind = 'grant.ended'").await;
}

#[tokio::test]
async fn a_code_is_spent_once_though_nobody_took_its_tokens() {
    let rig = Rig::start().await;
    let code = rig.code().await;
    reset_exchange(&rig, TABLE, &code).await;
    until(&rig, "SELECT count(*) FROM grants WHERE generation = 1").await;
    assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_again_ends_its_grant_and_leaves_a_record() {
    let rig = Rig::start().await;
    let first = rig.tokens().await;
    assert_eq!(rig.refresh(0, refresh_token(&first)).await.status(), StatusCode::OK);
    rig.clock.advance(Duration::from_secs(11));
    reset_refresh(&rig, ROW, &first).await;
    until(&rig, "SELECT count(*) FROM grants WHERE end_reason = 'refresh_replayed'").await;
    until(&rig, "SELECT count(*) FROM audit_events WHERE kind = 'grant.ended'").await;
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_given_again() {
    let rig = Rig::start().await;
    let first = rig.tokens().await;
    reset_refresh(&rig, TABLE, &first).await;
    until(&rig, "SELECT count(*) FROM grants WHERE generation = 2").await;
    assert_eq!(rig.refresh(0, refresh_token(&first)).await.status(), StatusCode::OK, "nobody is logged out");
}

#[tokio::test]
async fn a_login_whose_callback_was_reset_is_there_when_the_browser_comes_again() {
    // The attempt is claimed and Kakao has been asked: whoever comes later waits for the one who claimed it.
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    let cookies: Vec<String> =
        browser.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let path = callback.strip_prefix(ISSUER).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: auth.localhost\r\nCookie: {}\r\n\r\n", cookies.join("; "));
    reset_during(&rig, TABLE, &request).await;
    let landed = location(&browser.open_callback(0, &callback).await);
    assert!(parameter(&landed, "code").is_some(), "{landed}");
    assert_eq!(rig.count("SELECT count(*) FROM grants").await, 1);
}
