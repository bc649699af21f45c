//! Kakao is answered in time, and what it said takes effect, whatever is down and whoever dies.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sqlx::Connection;

use super::{OAUTH, is_live, unlink_with, user};
use crate::rig::{KAKAO_ID, Program, Rig, Setup, TcpProxy, host_of, http, terminate, through, user_of};

#[tokio::test]
async fn without_a_database_kakao_is_answered_in_time_and_the_event_takes_effect_when_it_is_back() {
    let (rig, proxy) = Rig::behind_a_proxy(vec![]).await;
    let tokens = rig.tokens().await;
    rig.later();
    // The keys are known, as they are in a service that has run for a while.
    rig.tell(&rig.event(&format!("{OAUTH}/user-linked"))).await;
    rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    proxy.shut();
    let began = Instant::now();
    assert_eq!(unlink_with(&rig, KAKAO_ID, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    let token = rig.kakao.sign_event(&rig.event(&format!("{OAUTH}/tokens-revoked")));
    // What is not stored is not said to be (RFC 8935 §2.2); it is kept all the same.
    let reply = rig.post_event(token).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    assert!(began.elapsed() < Duration::from_secs(6), "three seconds each: {:?}", began.elapsed());
    proxy.open();
    let began = Instant::now();
    while rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND done_at IS NOT NULL").await
        < 3
    {
        assert!(began.elapsed() < Duration::from_secs(20), "the events came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!is_live(&rig, &tokens).await);
}

/// An instance that loses its database, and gets calls about users whom nobody knows.
async fn without_a_database(calls: i64) -> (Rig, TcpProxy) {
    let (rig, proxy) = Rig::behind_a_proxy(vec![]).await;
    proxy.shut();
    for user in 1..=calls {
        assert_eq!(unlink_with(&rig, user, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    }
    (rig, proxy)
}

async fn until_stored(rig: &Rig, events: i64) {
    let began = Instant::now();
    while rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await < events {
        assert!(began.elapsed() < Duration::from_secs(15), "events are lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_one_replica_could_not_store_another_does_and_it_is_stored_once() {
    let (mut rig, proxy) = without_a_database(3).await;
    rig.add_instance(&Setup::default()).await;
    until_stored(&rig, 3).await;
    proxy.open();
    // The first replica stores what it has in memory as soon as it can, which is seen by the next one of its own.
    assert_eq!(unlink_with(&rig, 4, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    until_stored(&rig, 4).await;
    rig.process_due_events().await;
    assert_eq!(rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await, 4);
}

#[tokio::test]
async fn a_process_that_stops_while_the_database_is_away_loses_nothing() {
    let (mut rig, _proxy) = without_a_database(40).await;
    rig.stop(0).await.unwrap();
    assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 0);
    rig.add_instance(&Setup::default()).await;
    until_stored(&rig, 40).await;
}

#[tokio::test]
async fn without_redis_the_database_is_tried_until_the_end_and_what_remains_is_stored_by_a_command() {
    let rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    let proxy = TcpProxy::to(host_of(&rig.database_url, 5432)).await;
    let mut program = Program::on(&rig);
    program.set("KAKAO__ADMIN_KEY", &rig.kakao.app().admin_key);
    program.set("DATABASE__URL", &through(&rig.database_url, &proxy));
    program.set("SERVER__SHUTDOWN_GRACE", "4s");
    let call = async |program: &Program, user: &str| {
        let request = http().post(program.url("/kakao/webhooks/unlink")).form(&[("user_id", user)]);
        let key = format!("KakaoAK {}", rig.kakao.app().admin_key);
        assert_eq!(request.header("Authorization", key).send().await.unwrap().status(), StatusCode::OK);
    };
    for back_in_time in [true, false] {
        let mut child = program.serve().await;
        proxy.shut();
        call(&program, "4711").await;
        call(&program, "4712").await;
        terminate(&child).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if back_in_time {
            proxy.open();
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        proxy.open();
        let stored = rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await;
        assert_eq!(stored, 2, "the second time they are new events, and none is stored");
    }
    let log = std::fs::read_to_string(program.log()).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let events: Vec<String> = lines
        .filter(|line| line["level"] == "ERROR")
        .filter_map(|line| line["event"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(events.len(), 2, "one line each: {log}");
    assert!(!log.contains("4711"), "whom it is about is in no log");
    let mut replay = vec!["webhooks", "replay"];
    replay.extend(events.iter().map(String::as_str));
    for said in ["stored", "was there"] {
        let (code, output) = program.run(&replay).await;
        assert_eq!((code, output.matches(said).count()), (Some(0), 2), "{output}");
        assert_eq!(rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await, 4);
    }
    let (code, output) = program.run(&["webhooks", "replay", "bm9uc2Vuc2U"]).await;
    assert!(code == Some(1) && output.contains("master keys"), "{output}");
}

#[tokio::test]
async fn a_process_that_is_killed_between_storing_and_working_off_loses_nothing() {
    let mut rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let id = user_of(&tokens);
    rig.stop(0).await.unwrap();
    let mut program = Program::on(&rig);
    program.set("KAKAO__ADMIN_KEY", &rig.kakao.app().admin_key);
    let mut child = program.serve().await;
    // Whoever works off must wait for this row: the moment between storing and working off does not pass.
    let mut locker = sqlx::PgConnection::connect(&rig.database_url).await.unwrap();
    sqlx::query("BEGIN").execute(&mut locker).await.unwrap();
    sqlx::query("UPDATE users SET updated_at = updated_at").execute(&mut locker).await.unwrap();
    rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await;
    let form = [("user_id", KAKAO_ID.to_string()), ("referrer_type", "UNLINK_FROM_APPS".to_owned())];
    let request = http().post(program.url("/kakao/webhooks/unlink")).form(&form);
    let reply = request
        .header("Authorization", format!("KakaoAK {}", rig.kakao.app().admin_key))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    child.kill().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut locker).await.unwrap();
    assert_eq!(
        rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND done_at IS NULL").await,
        1,
        "stored"
    );
    assert!(user(&rig, id).await.unlinked_at.is_none(), "not worked off");
    // Its claim, if it had one, runs out.
    sqlx::query("UPDATE outbox SET claimed_until = created_at").execute(&mut locker).await.unwrap();
    let _again = program.serve().await;
    let began = Instant::now();
    while user(&rig, id).await.unlinked_at.is_none() {
        assert!(began.elapsed() < Duration::from_secs(15), "the event took effect after the restart");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while rig.count("SELECT count(*) FROM grants WHERE ended_at IS NULL").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(15), "and the rows were ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
