//! The outbox: an item is one attempt's at a time, is tried as often as its queue says, and takes nobody with it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kakao_auth::domain::kakao_event::{Source, USER_UNLINKED};
use kakao_auth::domain::{KakaoEvent, KakaoId};
use kakao_auth::store::outbox::{self, Backlog, Item, KAKAO_EVENTS, NewItem};
use kakao_auth::store::{Pool, sweep};
use kakao_simulator::{Effect, Endpoint, Event, Fault};
use reqwest::StatusCode;
use sqlx::Connection;
use uuid::Uuid;

use crate::rig::{Program, Rig, Setup, Stores, http};

const KAKAO_ID: i64 = 4_412_345_678;

/// An empty database of each kind that no service looks into.
async fn rigs() -> Vec<Rig> {
    let mut rigs = Vec::new();
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, instances: 0, ..Setup::default() }).await;
        rig.pool.migrate().await.unwrap();
        rigs.push(rig);
    }
    rigs
}

fn event(rig: &Rig) -> KakaoEvent {
    KakaoEvent {
        source: Source::Unlink,
        kind: USER_UNLINKED.to_owned(),
        user: KakaoId(KAKAO_ID),
        at: rig.clock.now(),
        reason: Some("UNLINK_FROM_APPS".to_owned()),
        items: vec!["name".to_owned()],
    }
}

async fn put(rig: &Rig, key: Uuid) -> bool {
    let new = NewItem { key, lane: &KAKAO_ID.to_string(), payload: &event(rig) };
    outbox::put(&mut rig.db(), &KAKAO_EVENTS, &new, rig.clock.now()).await.unwrap()
}

async fn claim(rig: &Rig) -> Vec<Item<KakaoEvent>> {
    outbox::claim(&mut rig.db(), &KAKAO_EVENTS, None, rig.clock.now()).await.unwrap()
}

async fn done(rig: &Rig, item: &Item<KakaoEvent>) -> bool {
    outbox::done(&mut rig.db(), &KAKAO_EVENTS, &item.attempt, "fine", rig.clock.now()).await.unwrap()
}

async fn backlog(rig: &Rig) -> Backlog {
    outbox::backlogs(&mut rig.db()).await.unwrap().of(&KAKAO_EVENTS)
}

#[tokio::test]
async fn an_item_is_there_once_until_long_after_it_is_done() {
    for rig in rigs().await {
        let key = Uuid::now_v7();
        assert!(put(&rig, key).await && !put(&rig, key).await);
        let items = claim(&rig).await;
        assert_eq!((items.len(), items[0].attempt.key, items[0].attempt.number), (1, key, 1));
        assert_eq!(items[0].payload, event(&rig));
        assert!(claim(&rig).await.is_empty(), "it is claimed");
        assert!(done(&rig, &items[0]).await && !done(&rig, &items[0]).await);
        assert!(!put(&rig, key).await, "it is remembered");
        assert_eq!(backlog(&rig).await, Backlog::default());
        let personal = "SELECT count(*) FROM outbox WHERE payload IS NOT NULL OR lane <> ''";
        assert_eq!(rig.count(personal).await, 0, "whom it was about is not");
        rig.clock.advance(KAKAO_EVENTS.stays.checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(sweep::expired(&mut rig.db(), rig.clock.now()).await.unwrap().outbox, 0);
        rig.clock.advance(Duration::from_secs(1));
        assert_eq!(sweep::expired(&mut rig.db(), rig.clock.now()).await.unwrap().outbox, 1);
        assert!(put(&rig, key).await);
    }
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_the_next_when_the_back_off_says_and_the_last_by_the_operator() {
    for rig in rigs().await {
        let key = Uuid::now_v7();
        put(&rig, key).await;
        for number in 1..=KAKAO_EVENTS.backoff.attempts {
            let items = claim(&rig).await;
            let attempt = items[0].attempt;
            assert_eq!(attempt.number, number);
            let now = rig.clock.now();
            let next = outbox::fail(&mut rig.db(), &KAKAO_EVENTS, &attempt, "no luck", now).await.unwrap();
            assert_eq!(next, KAKAO_EVENTS.backoff.after(number).map(|wait| now + wait));
            let Some(next) = next else { break };
            rig.clock.advance(next.since(now).checked_sub(Duration::from_micros(1)).unwrap());
            assert!(claim(&rig).await.is_empty(), "attempt {number} is followed too early");
            rig.clock.advance(Duration::from_micros(1));
        }
        rig.clock.advance(Duration::from_hours(1_000));
        assert!(claim(&rig).await.is_empty(), "it waits for the operator");
        assert_eq!(backlog(&rig).await, Backlog { waiting: 0, set_aside: 1 });
        put(&rig, Uuid::now_v7()).await;
        let pending = outbox::pending(&mut rig.db(), &KAKAO_EVENTS).await.unwrap();
        assert_eq!(
            (pending.len(), pending[0].attempt.key),
            (2, key),
            "what waits for the operator comes first"
        );
        assert_eq!(pending[0].last_error.as_deref(), Some("no luck"));
        let now = rig.clock.now();
        assert!(outbox::revive(&mut rig.db(), &KAKAO_EVENTS, key, now).await.unwrap());
        assert!(!outbox::revive(&mut rig.db(), &KAKAO_EVENTS, key, now).await.unwrap());
        let items = claim(&rig).await;
        assert_eq!((items.len(), items.iter().all(|item| item.attempt.number == 1)), (2, true));
    }
}

#[tokio::test]
async fn whoever_comes_after_the_end_of_their_claim_changes_nothing() {
    for rig in rigs().await {
        put(&rig, Uuid::now_v7()).await;
        let late = claim(&rig).await.remove(0);
        rig.clock.advance(KAKAO_EVENTS.claim);
        let again = claim(&rig).await.remove(0);
        assert_eq!(again.attempt.number, 2);
        assert!(!done(&rig, &late).await);
        let now = rig.clock.now();
        outbox::fail(&mut rig.db(), &KAKAO_EVENTS, &late.attempt, "late", now).await.unwrap();
        outbox::release(&mut rig.db(), &KAKAO_EVENTS, &late.attempt).await.unwrap();
        assert!(claim(&rig).await.is_empty(), "it is still claimed");
        outbox::release(&mut rig.db(), &KAKAO_EVENTS, &again.attempt).await.unwrap();
        let third = claim(&rig).await.remove(0);
        assert_eq!(third.attempt.number, 2, "an attempt that nobody began does not count");
        assert!(done(&rig, &third).await);
    }
}

#[tokio::test]
async fn what_died_with_its_process_is_tried_alone_and_after_all_others() {
    for rig in rigs().await {
        let died: HashSet<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        for key in &died {
            put(&rig, *key).await;
        }
        assert_eq!(claim(&rig).await.len(), 3, "a batch, with which the process dies");
        rig.clock.advance(KAKAO_EVENTS.claim);
        let new = Uuid::now_v7();
        put(&rig, new).await;
        let first = claim(&rig).await;
        assert_eq!((first.len(), first[0].attempt.key), (1, new));
        let mut alone = HashSet::new();
        for _ in 0..3 {
            let items = claim(&rig).await;
            assert_eq!((items.len(), items[0].attempt.number), (1, 2));
            alone.insert(items[0].attempt.key);
        }
        assert_eq!(alone, died);
    }
}

#[tokio::test]
async fn four_who_claim_at_the_same_time_share_the_items_and_none_is_claimed_twice() {
    for rig in rigs().await {
        let keys: HashSet<Uuid> = (0..500).map(|_| Uuid::now_v7()).collect();
        for key in &keys {
            put(&rig, *key).await;
        }
        let pools: Vec<Pool> = (0..4).map(|_| Pool::connect_lazy(&rig.database_url, 1).unwrap()).collect();
        let claims = pools.iter().map(async |pool| {
            let mut mine = Vec::new();
            loop {
                let now = rig.clock.now();
                let items = outbox::claim(&mut pool.handle(), &KAKAO_EVENTS, None, now).await.unwrap();
                if items.is_empty() {
                    return mine;
                }
                mine.extend(items.into_iter().map(|item| item.attempt.key));
            }
        });
        let claimed: Vec<Uuid> = join_all(claims).await.into_iter().flatten().collect();
        assert_eq!(claimed.len(), keys.len());
        assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), keys);
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_set_aside_and_the_others_are_claimed() {
    for rig in rigs().await {
        put(&rig, Uuid::now_v7()).await;
        match &rig.pool {
            Pool::Postgres(pool, _) => {
                sqlx::query("UPDATE outbox SET payload = '[]'").execute(pool).await.map(drop).unwrap();
            }
            Pool::Sqlite(pool) => {
                sqlx::query("UPDATE outbox SET payload = '[]'").execute(pool).await.map(drop).unwrap();
            }
        }
        let readable = Uuid::now_v7();
        put(&rig, readable).await;
        let items = claim(&rig).await;
        assert_eq!((items.len(), items[0].attempt.key), (1, readable));
        assert_eq!(backlog(&rig).await.set_aside, 1);
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Kakao is asked about the poisoned event, and takes its time; meanwhile the process is killed.
#[tokio::test]
async fn an_item_that_kills_the_process_is_set_aside_after_its_attempts_and_the_others_are_processed() {
    const OTHERS: &str = "SELECT count(*) FROM outbox WHERE outcome = 'unknown_user'";
    const SET_ASIDE: &str = "SELECT count(*) FROM outbox WHERE set_aside_at IS NOT NULL";
    let mut rig = Rig::start().await;
    rig.tokens().await;
    rig.stop(0).await.unwrap();
    let mut program = Program::on(&rig);
    program.set("KAKAO__ADMIN_KEY", &rig.kakao.app().admin_key);
    let effect = Effect::Api { status: 503, code: -9798 };
    rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: None, delay_ms: 60_000, effect });
    rig.kakao.clear_calls();
    let mut postgres = sqlx::PgConnection::connect(&rig.database_url).await.unwrap();
    let mut execute = async |sql: &'static str| {
        sqlx::query(sql).execute(&mut postgres).await.unwrap();
    };
    for life in 1..=4 {
        let mut child = program.serve().await;
        if life == 1 {
            let form = [("user_id", KAKAO_ID.to_string()), ("referrer_type", "UNLINK_FROM_APPS".to_owned())];
            let request = http().post(program.url("/kakao/webhooks/unlink")).form(&form);
            let admin_key = format!("KakaoAK {}", rig.kakao.app().admin_key);
            let reply = request.header("Authorization", admin_key).send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::OK);
        }
        if life < 4 {
            let asked = || rig.kakao.calls_to(Endpoint::Me);
            until("Kakao is asked", async || asked() == life).await;
        } else {
            until("it is set aside", async || rig.count(SET_ASIDE).await == 1).await;
        }
        // The poison is under way or set aside: another event is processed all the same.
        let harmless = "https://schemas.openid.net/secevent/oauth/event-type/user-linked";
        let token = rig.kakao.sign_event(&Event::new(KAKAO_ID + 1, harmless));
        let reply = http().post(program.url("/kakao/webhooks/account-status")).body(token).send().await;
        assert_eq!(reply.unwrap().status(), StatusCode::ACCEPTED);
        if life == 4 {
            until("the other is processed", async || rig.count(OTHERS).await == 4).await;
            assert!(child.try_wait().unwrap().is_none(), "the process lives");
            assert_eq!(rig.kakao.calls_to(Endpoint::Me), 3, "nobody touches the poison any more");
            break;
        }
        child.kill().await.unwrap();
        // Its claim runs out.
        execute("UPDATE outbox SET claimed_until = created_at WHERE claimed_until IS NOT NULL").await;
        if life == 2 {
            // Two lives of sixteen are enough to see.
            execute("UPDATE outbox SET attempts = 15 WHERE done_at IS NULL AND attempts = 2").await;
        }
    }
    assert_eq!(rig.count("SELECT count(*) FROM grants WHERE ended_at IS NULL").await, 1);
}
