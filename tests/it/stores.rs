//! Store and cache functions that no endpoint shows, on both databases and both caches from the same test.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use kakao_auth::cache::{Cache, Decision};
use kakao_auth::domain::session::NewBrowserSession;
use kakao_auth::domain::{
    AttemptFailure, AttemptId, AttemptOutcome, Beginning, BrowserSessionId, ClientId, Clock, CodeBinding,
    Consent, EndReason, Ending, Fingerprint, Grant, GrantId, GrantRequest, KakaoId, NewCode, NewGrant,
    Profile, Quota, Returning, Scope, Stage, Timestamp, UserId,
};
use kakao_auth::store::grants::{self, Rotation};
use kakao_auth::store::leases::{self, Lease};
use kakao_auth::store::logins::{self, NewLogin, Recorded};
use kakao_auth::store::{
    Db, Tx, accounts, assertions, attempts, browser_sessions, kakao_links, sweep, users,
};
use reqwest::{Method, StatusCode};

use crate::rig::{Rig, Setup, Stores, variable};

const BOTH: [Stores; 2] = [Stores::PostgresAndRedis, Stores::SqliteAndMemory];

async fn rigs() -> Vec<Rig> {
    let mut rigs = Vec::new();
    for stores in BOTH {
        rigs.push(Rig::with(Setup { stores, ..Setup::default() }).await);
    }
    rigs
}

async fn log_in(db: &mut Db, kakao_id: i64, profile: &Profile, now: Timestamp) -> Option<UserId> {
    match vouched(db, kakao_id, profile, now, now).await {
        Outcome::User(user) => Some(user),
        Outcome::Disabled | Outcome::Ended => None,
    }
}

/// What became of a login, without its grant.
#[derive(Debug, PartialEq)]
enum Outcome {
    User(UserId),
    Disabled,
    Ended,
}

async fn vouched(
    db: &mut Db,
    kakao_id: i64,
    profile: &Profile,
    vouched_at: Timestamp,
    now: Timestamp,
) -> Outcome {
    let id = GrantId::generate();
    let code = NewCode {
        hash: Fingerprint::of(id.0.as_bytes()),
        expires_at: now,
        binding: CodeBinding { redirect_uri: "https://app.example/cb".into(), challenge: None, nonce: None },
    };
    let beginning = Beginning::Code(code);
    match record(db, kakao_id, profile, grant(id, beginning, vouched_at, now)).await {
        Recorded::Granted(grant) => Outcome::User(grant.user),
        Recorded::Disabled => Outcome::Disabled,
        Recorded::Ended => Outcome::Ended,
        Recorded::TooManyCodes => panic!("too many codes"),
    }
}

fn grant(id: GrantId, beginning: Beginning, vouched_at: Timestamp, now: Timestamp) -> NewGrant {
    NewGrant {
        id,
        request: GrantRequest {
            client: ClientId("web".into()),
            scope: Scope::parse("profile").unwrap(),
            resource: Vec::new(),
        },
        beginning,
        attempt: Some(AttemptId::of_state(&id.to_string())),
        auth_time: Some(now),
        logged_in_at: vouched_at,
        created_at: now,
        expires_at: now + Duration::from_hours(1),
        user_agent: None,
    }
}

async fn record(db: &mut Db, kakao_id: i64, profile: &Profile, grant: NewGrant) -> Recorded {
    let later = grant.created_at + Duration::from_hours(1);
    let login = NewLogin {
        user: UserId::generate(),
        kakao_id: KakaoId(kakao_id),
        profile,
        kakao_refresh_token: Some(b"encrypted"),
        kakao_refresh_expires_at: None,
        consent: &Consent::default(),
        session: Some(NewBrowserSession {
            id: BrowserSessionId::generate(),
            token: Fingerprint::of(grant.id.0.as_bytes()),
            idle_expires_at: later,
            expires_at: later,
        }),
        read_at: grant.logged_in_at,
        grant,
    };
    logins::record(db, &login).await.unwrap()
}

/// A grant that is live at once, until `idle` and at most an hour.
async fn live_grant(db: &mut Db, now: Timestamp, idle: Duration) -> Grant {
    let beginning = Beginning::Live { idle_expires_at: now + idle };
    let new = grant(GrantId::generate(), beginning, now, now);
    let Recorded::Granted(grant) = record(db, 7, &Profile::default(), new).await else { panic!("refused") };
    grant
}

#[tokio::test]
async fn a_grant_without_a_code_is_live_at_once_and_both_ways_to_say_so_agree() {
    for rig in rigs().await {
        let mut db = rig.db();
        let now = rig.clock.now();
        let idle = Duration::from_mins(10);
        let made = live_grant(&mut db, now, idle).await;
        let stored = grants::find(&mut db, made.id).await.unwrap().unwrap();
        assert_eq!((stored.stage, stored.user, stored.scope.as_str()), (made.stage, made.user, "profile"));
        for (after, lives) in [(0, true), (599, true), (600, false), (3_600, false)] {
            let then = now + Duration::from_secs(after);
            assert_eq!(stored.is_live(then), lives, "{after}");
            let listed = grants::of_user(&mut db, made.user, then).await.unwrap();
            assert_eq!(listed.iter().any(|grant| grant.id == made.id), lives, "{after} in the list");
        }
        let rotation =
            Rotation { grant: made.id, client: &made.client, generation: 1, idle_expires_at: now + idle };
        let too_late = grants::rotate(&mut db, &rotation, now + idle).await.unwrap();
        assert!(too_late.is_none());
        let rotated = grants::rotate(&mut db, &rotation, now).await.unwrap().unwrap();
        assert_eq!(rotated.life(now).unwrap().generation, 2);
        let mut tx = Tx::begin(&mut db).await.unwrap();
        let ending = Ending { reason: EndReason::Revoked, at: now, notify: &[] };
        assert!(grants::end(&mut tx, made.id, &ending).await.unwrap());
        tx.commit().await.unwrap();
        let ended = grants::find(&mut db, made.id).await.unwrap().unwrap();
        assert_eq!(ended.stage, Stage::Ended { at: now, reason: EndReason::Revoked });
        assert!(grants::of_user(&mut db, made.user, now).await.unwrap().is_empty());
        assert!(
            grants::rotate(&mut db, &Rotation { generation: 2, ..rotation }, now).await.unwrap().is_none()
        );
    }
}

#[tokio::test]
async fn a_login_that_no_longer_counts_is_dead_everywhere_before_its_rows_are_ended() {
    for rig in rigs().await {
        let mut db = rig.db();
        let now = rig.clock.now();
        let made = live_grant(&mut db, now, Duration::from_mins(10)).await;
        let cookie = Fingerprint::of(made.id.0.as_bytes());
        assert!(browser_sessions::find_live(&mut db, &cookie, now).await.unwrap().is_some());
        for (valid_from, counts) in [(now, true), (now + Duration::from_micros(1), false), (now, false)] {
            let mut tx = Tx::begin(&mut db).await.unwrap();
            users::void_logins(&mut tx, made.user, valid_from).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(browser_sessions::find_live(&mut db, &cookie, now).await.unwrap().is_some(), counts);
            assert_eq!(grants::is_not_ended(&mut db, made.id).await.unwrap(), counts);
            assert_eq!(grants::of_user(&mut db, made.user, now).await.unwrap().len(), usize::from(counts));
            assert_eq!(grants::find(&mut db, made.id).await.unwrap().unwrap().is_live(now), counts);
        }
        let until = now + Duration::from_mins(10);
        let rotation =
            Rotation { grant: made.id, client: &made.client, generation: 1, idle_expires_at: until };
        assert!(grants::rotate(&mut db, &rotation, now).await.unwrap().is_none());
        let mut tx = Tx::begin(&mut db).await.unwrap();
        let ending = Ending { reason: EndReason::KakaoAccount, at: now, notify: &[] };
        let first = GrantId(uuid::Uuid::nil());
        let last = grants::end_void(&mut tx, made.user, first, &ending).await.unwrap();
        assert_eq!(last, Some(made.id));
        assert_eq!(grants::end_void(&mut tx, made.user, made.id, &ending).await.unwrap(), None);
        tx.commit().await.unwrap();
        let ended = grants::find(&mut db, made.id).await.unwrap().unwrap();
        assert_eq!(ended.stage, Stage::Ended { at: now, reason: EndReason::KakaoAccount });
    }
}

#[tokio::test]
async fn a_user_is_found_as_it_was_written() {
    for rig in rigs().await {
        let now = Timestamp::from_micros(1_790_000_000_123_456);
        let profile = Profile { nickname: Some("김".into()), email_verified: false, ..Profile::default() };
        let first = log_in(&mut rig.db(), i64::MAX, &profile, now).await.unwrap();
        let user = users::find(&mut rig.db(), first).await.unwrap().unwrap();
        assert_eq!((user.kakao_id, user.created_at, &user.profile), (Some(KakaoId(i64::MAX)), now, &profile));
        let later = now + Duration::from_secs(5);
        let second = log_in(&mut rig.db(), i64::MAX, &profile, later).await;
        assert_eq!(second, Some(first));
        let user = users::find_by_kakao_id(&mut rig.db(), KakaoId(i64::MAX)).await.unwrap().unwrap();
        assert_eq!(
            (user.updated_at, user.last_login_at),
            (now, later),
            "an unchanged profile is not updated"
        );
        log_in(&mut rig.db(), i64::MAX, &Profile::default(), later).await;
        let user = users::find(&mut rig.db(), first).await.unwrap().unwrap();
        assert_eq!(
            (user.profile, user.updated_at),
            (Profile::default(), later),
            "what is withdrawn is forgotten"
        );
        assert_eq!(
            users::kakao_refresh_token(&mut rig.db(), first).await.unwrap().as_deref(),
            Some(&b"encrypted"[..])
        );
        assert!(users::find(&mut rig.db(), UserId::generate()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_disabled_user_can_be_enabled_and_roles_can_be_set() {
    for rig in rigs().await {
        let now = rig.clock.now();
        let user = log_in(&mut rig.db(), 7, &Profile::default(), now).await.unwrap();
        assert!(users::disable(&mut rig.db(), user, now).await.unwrap());
        assert!(!users::disable(&mut rig.db(), user, now).await.unwrap(), "only once");
        let changed = Profile { nickname: Some("new".into()), ..Profile::default() };
        assert_eq!(vouched(&mut rig.db(), 7, &changed, now, now).await, Outcome::Disabled);
        assert_eq!(rig.count("SELECT count(*) FROM grants").await, 1, "no grant for a disabled user");
        assert_eq!(users::find(&mut rig.db(), user).await.unwrap().unwrap().profile, Profile::default());
        assert!(
            users::enable(&mut rig.db(), user, now).await.unwrap()
                && !users::enable(&mut rig.db(), user, now).await.unwrap()
        );
        assert!(users::set_roles(&mut rig.db(), user, &["a".into(), "b".into()]).await.unwrap());
        assert_eq!(users::find(&mut rig.db(), user).await.unwrap().unwrap().roles, ["a", "b"]);
        assert!(!users::set_roles(&mut rig.db(), UserId::generate(), &[]).await.unwrap());
    }
}

#[tokio::test]
async fn of_two_logins_at_once_the_profile_stays_that_was_read_later() {
    for rig in rigs().await {
        let at = rig.clock.now();
        let named = |name: &str| Profile { nickname: Some(name.into()), ..Profile::default() };
        let (later, now) = (at + Duration::from_secs(1), at + Duration::from_secs(2));
        let user = log_in(&mut rig.db(), 7, &named("later"), later).await.unwrap();
        assert_eq!(vouched(&mut rig.db(), 7, &named("earlier"), at, now).await, Outcome::User(user));
        let stored = users::find(&mut rig.db(), user).await.unwrap().unwrap();
        assert_eq!((stored.profile, stored.profile_read_at), (named("later"), Some(later)));
        assert_eq!(vouched(&mut rig.db(), 7, &named("latest"), now, now).await, Outcome::User(user));
        assert_eq!(users::find(&mut rig.db(), user).await.unwrap().unwrap().profile, named("latest"));
    }
}

#[tokio::test]
async fn a_login_under_way_while_the_person_s_logins_are_ended_writes_nothing() {
    for rig in rigs().await {
        for ending in ["unlink", "credential", "deletion"] {
            let at = rig.clock.now();
            let user = log_in(&mut rig.db(), 7, &Profile::default(), at).await.unwrap();
            let (ended, later) = (at + Duration::from_secs(2), at + Duration::from_secs(3));
            let mut db = rig.db();
            let mut tx = Tx::begin(&mut db).await.unwrap();
            match ending {
                "unlink" => drop(kakao_links::unlink(&mut tx, user, ended, "", false).await.unwrap()),
                "credential" => users::void_logins(&mut tx, user, ended).await.unwrap(),
                _ => drop(accounts::mark_deleted(&mut tx, user, ended, None).await.unwrap()),
            }
            tx.commit().await.unwrap();
            let grants = rig.count("SELECT count(*) FROM grants").await;
            let vouched_at = at + Duration::from_secs(1);
            let early = vouched(&mut rig.db(), 7, &Profile::default(), vouched_at, later).await;
            assert_eq!(early, Outcome::Ended, "{ending}");
            assert_eq!(rig.count("SELECT count(*) FROM grants").await, grants, "{ending}");
            // What ends a user now ends a login of the same moment too.
            let after = ended + Duration::from_micros(1);
            let fresh = vouched(&mut rig.db(), 7, &Profile::default(), after, later).await;
            assert_eq!(fresh, Outcome::User(user), "{ending}");
            rig.clock.advance(Duration::from_mins(1));
        }
        // A deletion that takes Kakao's number off: the login makes no new user of it.
        let at = rig.clock.now();
        let user = log_in(&mut rig.db(), 8, &Profile::default(), at).await.unwrap();
        let (deleted, later) = (at + Duration::from_secs(2), at + Duration::from_secs(3));
        let by = kakao_auth::flow::delete_account::By::Person;
        kakao_auth::flow::delete_account::delete(&mut rig.db(), Returning::New, user, by, deleted)
            .await
            .unwrap();
        let rows = rig.count("SELECT count(*) FROM users").await;
        assert_eq!(vouched(&mut rig.db(), 8, &Profile::default(), at, later).await, Outcome::Ended);
        assert_eq!(rig.count("SELECT count(*) FROM users").await, rows);
        assert!(
            matches!(vouched(&mut rig.db(), 8, &Profile::default(), deleted, later).await, Outcome::User(new) if new != user)
        );
    }
}

#[tokio::test]
async fn an_attempt_is_claimed_once_and_its_failure_is_told_to_all() {
    for rig in rigs().await {
        let (id, now) = (AttemptId::of_state("a state"), rig.clock.now());
        assert_eq!(attempts::outcome(&mut rig.db(), id).await.unwrap(), AttemptOutcome::Unclaimed);
        let until = now + Duration::from_mins(20);
        let claims =
            join_all((0..20).map(async |_| attempts::claim(&mut rig.db(), id, now, until).await)).await;
        assert_eq!(claims.into_iter().filter(|claim| *claim.as_ref().unwrap()).count(), 1);
        let running = AttemptOutcome::Running { claimed_at: now };
        assert_eq!(attempts::outcome(&mut rig.db(), id).await.unwrap(), running);
        let failure = |code: &str, fault: Option<&str>| AttemptFailure {
            code: code.to_owned(),
            fault: fault.map(str::to_owned),
        };
        let first = failure("first", Some("KOE010"));
        attempts::fail(&mut rig.db(), id, &first).await.unwrap();
        attempts::fail(&mut rig.db(), id, &failure("second", None)).await.unwrap();
        assert_eq!(attempts::outcome(&mut rig.db(), id).await.unwrap(), AttemptOutcome::Failed(first));
    }
}

#[tokio::test]
async fn a_lease_has_one_holder_at_a_time() {
    for rig in rigs().await {
        let lease = Lease::KakaoToken(UserId::generate());
        let (one, two) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
        let now = rig.clock.now();
        let until = now + Duration::from_secs(10);
        assert!(leases::acquire(&mut rig.db(), lease, one, now, until).await.unwrap());
        assert!(!leases::acquire(&mut rig.db(), lease, two, now, until).await.unwrap());
        assert!(leases::acquire(&mut rig.db(), lease, one, now, until).await.unwrap(), "prolonged");
        assert!(leases::acquire(&mut rig.db(), lease, two, until, until).await.unwrap(), "over");
    }
}

/// Tables whose rows no sweep deletes: users, who are deleted by name, and what is kept for ever or handled by its owner.
const NOT_SWEPT: [&str; 4] = ["_sqlx_migrations", "audit_events", "signing_keys", "users"];

#[tokio::test]
async fn the_sweep_deletes_what_is_over_of_every_table_and_nothing_else() {
    for rig in rigs().await {
        let now = rig.clock.now();
        // A login with its attempt and session; a deletion that Kakao was told of; an event, which the deletion would erase.
        let tokens = rig.tokens().await;
        let deleted = rig.call(Method::DELETE, "/v1/me", &rig.account_token(&tokens).await, None).await;
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
        rig.tell(&rig.event("https://schemas.openid.net/secevent/oauth/event-type/user-linked")).await;
        let under_way = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        let began = std::time::Instant::now();
        while rig.count(under_way).await > 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "the jobs are at it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let lease = Lease::KakaoToken(UserId::generate());
        let (assertion, until) = (Fingerprint::of(b"an assertion"), now + Duration::from_mins(1));
        assert!(assertions::spend(&mut rig.db(), &assertion, until).await.unwrap());
        assert!(leases::acquire(&mut rig.db(), lease, uuid::Uuid::now_v7(), now, until).await.unwrap());
        let before = rows(&rig).await;
        let empty: Vec<_> = before.iter().filter(|(_, rows)| **rows == 0).collect();
        assert!(empty.is_empty(), "put something into {empty:?}, or nobody knows whether it is swept");

        assert_eq!(sweep::expired(&mut rig.db(), now).await.unwrap(), sweep::Swept::default());
        assert_eq!(rows(&rig).await, before);
        let swept = sweep::expired(&mut rig.db(), now + Duration::from_hours(1)).await.unwrap();
        assert_eq!((swept.attempts, swept.grants), (1, 0));
        let after_all = now + Duration::from_hours(188 * 24);
        let swept = sweep::expired(&mut rig.db(), after_all).await.unwrap();
        let left = |(table, rows): (String, i64)| {
            let rows = if NOT_SWEPT.contains(&table.as_str()) { rows } else { 0 };
            (table, rows)
        };
        assert_eq!(rows(&rig).await, before.into_iter().map(left).collect());
        assert_eq!((swept.grants, swept.sessions), (1, 1));
    }
}

/// The rows of each table; of the leases only those of a user, for those of the service's jobs come and go.
async fn rows(rig: &Rig) -> BTreeMap<String, i64> {
    let mut rows = rig.rows().await;
    let leases = rig.count("SELECT count(*) FROM job_leases WHERE name LIKE 'kakao-token:%'").await;
    rows.insert("job_leases".into(), leases);
    rows
}

#[tokio::test]
async fn migrations_twice_change_nothing() {
    for rig in rigs().await {
        rig.pool.migrate().await.unwrap();
        rig.pool.migrate().await.unwrap();
        rig.tokens().await;
    }
}

fn caches(clock: &Clock) -> [Cache; 2] {
    [
        Cache::open(&variable("REDIS_URL"), clock.clone()).unwrap(),
        Cache::open("memory:", clock.clone()).unwrap(),
    ]
}

#[tokio::test]
async fn a_cache_keeps_and_forgets() {
    for cache in caches(&Clock::manual()) {
        let key = format!("test:{}", uuid::Uuid::now_v7());
        assert_eq!(cache.get(&key).await.unwrap(), None);
        cache.put(&key, b"value\0\xff", Duration::from_mins(1)).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some(&b"value\0\xff"[..]));
        cache.put(&key, b"x", Duration::ZERO).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap(), None, "a value without life is not kept");
        cache.put(&key, b"x", Duration::from_mins(1)).await.unwrap();
        cache.delete(&key).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap(), None);
        cache.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_quota_lets_a_burst_through_and_no_more() {
    for cache in caches(&Clock::manual()) {
        let key = format!("test:{}", uuid::Uuid::now_v7());
        let quota = Quota { burst: 5, per: Duration::from_mins(10) };
        let mut allowed = 0;
        for _ in 0..8 {
            match cache.hit(&key, quota).await {
                Decision::Allowed => allowed += 1,
                Decision::Limited { retry_after } => {
                    assert!(retry_after <= Duration::from_mins(2) && retry_after > Duration::from_mins(1));
                }
            }
        }
        assert_eq!(allowed, 5);
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_fails_fast_and_counts_go_on_here() {
    let cache = Cache::open("redis://127.0.0.1:1", Clock::manual()).unwrap();
    let began = std::time::Instant::now();
    for _ in 0..20 {
        assert!(cache.get("x").await.is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(1), "it rests after the first failure");
    let quota = Quota { burst: 1, per: Duration::from_mins(1) };
    assert_eq!(cache.hit("k", quota).await, Decision::Allowed);
    assert!(matches!(cache.hit("k", quota).await, Decision::Limited { .. }));
    for bad in ["http://x", "redis:/x", ""] {
        assert!(Cache::open(bad, Clock::manual()).is_err(), "{bad}");
    }
}
