//! Ending all logins of a user is one small change, however many there are: it holds at once, and the rows follow in batches.
//! And how many there can be: living grants and unspent codes of a user at a client are bounded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kakao_auth::flow::user_endings::end_rows;
use kakao_auth::settings::Settings;
use kakao_auth::store::{Pool, sweep, users};
use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::rig::{
    Browser, Rig, Setup, Stores, access_token, authorization_request, claims, location, parameter,
    refresh_token, user_of,
};

const BOTH: [Stores; 2] = [Stores::PostgresAndRedis, Stores::SqliteAndMemory];

async fn on(stores: Stores, settings: Vec<(&'static str, String)>) -> Rig {
    Rig::with(Setup { stores, settings, ..Setup::default() }).await
}

/// So many living grants more of the one user, at the one client.
async fn seed(rig: &Rig, count: usize) {
    let (series, id) = match &rig.pool {
        Pool::Postgres(..) => {
            (format!("SELECT i FROM generate_series(1, {count}) AS i"), "gen_random_uuid()")
        }
        Pool::Sqlite(_) => (
            format!(
                "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count}) SELECT i FROM s"
            ),
            "randomblob(16)",
        ),
    };
    let patience = if matches!(rig.pool, Pool::Postgres(..)) { "SET statement_timeout = 0; " } else { "" };
    let columns = "user_id, client_id, scope, auth_time, refreshed_at, idle_expires_at, expires_at, created_at, logged_in_at";
    rig.run(
        format!(
            "{patience}INSERT INTO grants (id, user_agent, generation, {columns})
             SELECT {id}, 'a browser', 1, {columns} FROM (SELECT * FROM grants LIMIT 1) AS one, ({series}) AS many"
        ),
    )
    .await;
}

/// How many grants the tests at size have. The 1 s of the contract is for 400,000.
fn many() -> usize {
    let given = Settings::environment().find(|(name, _)| name == "KAKAO_AUTH_TEST_GRANTS");
    given.map_or(3_000, |(_, count)| count.parse().unwrap())
}

/// At size, with a frozen clock, each look at the feed reads everything.
const PATIENCE: Duration = Duration::from_mins(30);

const NOT_ENDED: &str = "SELECT count(*) FROM grants WHERE ended_at IS NULL";

/// What one person holds at the moment of the end.
struct Held<'a> {
    browser: Browser<'a>,
    tokens: Value,
    /// For our own API: to have one later would change the grant.
    account_token: String,
    code: String,
}

impl<'a> Held<'a> {
    async fn of(rig: &'a Rig) -> Self {
        let browser = Browser::new(rig);
        let tokens = browser.tokens(&[]).await;
        let code = parameter(&browser.at_once(&[]).await, "code").unwrap();
        let account_token = rig.account_token(&tokens).await;
        Self { browser, tokens, account_token, code }
    }

    /// At each door of each replica.
    async fn assert_over(&self, rig: &Rig, how: &str) {
        for instance in 0..2 {
            let refreshed = rig.refresh(instance, refresh_token(&self.tokens)).await;
            assert_eq!(refreshed.status(), StatusCode::BAD_REQUEST, "{how}: refresh at {instance}");
            let redeemed = rig.redeem(instance, &self.code).await;
            assert_eq!(redeemed.status(), StatusCode::BAD_REQUEST, "{how}: code at {instance}");
            let said = rig.introspected(instance, access_token(&self.tokens)).await;
            assert_eq!(said, json!({"active": false}), "{how}: introspection at {instance}");
            for path in ["/oauth/userinfo", "/v1/me"] {
                let token = access_token(&self.tokens);
                let reply = rig.call_at(instance, Method::GET, path, token, None).await;
                assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{how}: {path} at {instance}");
            }
        }
        let silent = self.browser.at_once(&[("prompt", "none")]).await;
        assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"), "{how}: session");
    }
}

/// Ends all logins of the user of these tokens.
async fn end_all(rig: &Rig, how: &str, tokens: &Value, account_token: &str) {
    let user = user_of(tokens);
    match how {
        "disable" => assert!(users::disable(&mut rig.db(), user, rig.clock.now()).await.unwrap()),
        "delete by an operator" => {
            let (ops, path) = (rig.own_token("ops").await, format!("/v1/admin/users/{user}"));
            let reply = rig.call(Method::DELETE, &path, &ops, None).await;
            assert_eq!(reply.status(), StatusCode::NO_CONTENT, "{how}");
        }
        "elsewhere" | "everywhere" => {
            let keep = if how == "elsewhere" { "?keep=current" } else { "" };
            let path = format!("/v1/me/sessions{keep}");
            let reply = rig.call(Method::DELETE, &path, account_token, None).await;
            assert_eq!(reply.status(), StatusCode::NO_CONTENT, "{how}");
        }
        _ => {
            let kind = "https://schemas.openid.net/secevent/oauth/event-type/user-unlinked";
            assert_eq!(
                rig.post_event(rig.kakao.sign_event(&rig.event(kind))).await.status(),
                StatusCode::ACCEPTED
            );
            let took_effect = "SELECT count(*) FROM users WHERE unlinked_at IS NOT NULL";
            rig.until(took_effect, 1, PATIENCE).await;
        }
    }
}

/// Somebody else holds a lock on every grant: whatever wanted to change the grants would wait for it.
#[tokio::test]
async fn all_logins_of_a_user_end_at_once_on_every_replica_without_a_change_of_any_grant() {
    for how in ["disable", "delete by an operator", "everywhere", "an unlink at Kakao"] {
        // A job that waits for the lock must not wait with the connection of the requests.
        let settings = vec![("DATABASE__MAX_CONNECTIONS", "4".to_owned())];
        let rig = Rig::with(Setup { instances: 2, settings, ..Setup::default() }).await;
        let held = Held::of(&rig).await;
        seed(&rig, many()).await;
        rig.later();
        let mut locker = PgConnection::connect(&rig.database_url).await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT id FROM grants FOR UPDATE").execute(&mut locker).await.unwrap();
        let began = Instant::now();
        let ending = end_all(&rig, how, &held.tokens, &held.account_token);
        let ended = tokio::time::timeout(Duration::from_secs(20), ending).await;
        ended.unwrap_or_else(|_| panic!("{how} waits for the rows of grants"));
        println!("{how} of {} grants: {:?}", many(), began.elapsed());
        held.assert_over(&rig, how).await;
        locker.close().await.unwrap();
    }
}

#[tokio::test]
async fn elsewhere_ends_very_many_logins_and_keeps_this_browser_s() {
    let rig = Rig::instances(2).await;
    let (here, lost) = (Held::of(&rig).await, Held::of(&rig).await);
    let other_tab = here.browser.redeem(&here.browser.at_once(&[]).await).await;
    seed(&rig, many()).await;
    let began = Instant::now();
    end_all(&rig, "elsewhere", &here.tokens, &here.account_token).await;
    println!("elsewhere of {} grants: {:?}", many(), began.elapsed());
    lost.assert_over(&rig, "elsewhere").await;
    for tokens in [&here.tokens, &other_tab] {
        assert_eq!(rig.introspected(1, access_token(tokens)).await["active"], true);
        assert_eq!(rig.refresh(1, refresh_token(tokens)).await.status(), StatusCode::OK);
    }
    assert_eq!(rig.redeem(1, &here.code).await.status(), StatusCode::OK);
    assert!(parameter(&here.browser.at_once(&[("prompt", "none")]).await, "code").is_some());
    // The kept ones, and the code of this moment.
    rig.until(NOT_ENDED, 4, PATIENCE).await;
    assert_eq!(rig.count("SELECT count(*) FROM users WHERE tokens_valid_from IS NOT NULL").await, 0);
}

/// The person is still at Kakao, in a browser of somebody else, when they log out elsewhere.
#[tokio::test]
async fn a_login_that_kakao_has_vouched_for_is_ended_by_a_logout_elsewhere_before_it_is_written() {
    for stores in BOTH {
        let rig = on(stores, vec![]).await;
        let mine = rig.tokens().await;
        let account_token = rig.account_token(&mine).await;
        let thief = Browser::new(&rig);
        let callback = thief.until_callback(&authorization_request(&[])).await;
        let effect = Effect::Delay;
        rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: Some(1), delay_ms: 700, effect });
        rig.kakao.clear_calls();
        let end = async {
            while rig.kakao.calls_to(Endpoint::Token) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            end_all(&rig, "elsewhere", &mine, &account_token).await;
        };
        let (landed, ()) = tokio::join!(thief.open_callback(0, &callback), end);
        let landed = location(&landed);
        assert_eq!(parameter(&landed, "error").as_deref(), Some("temporarily_unavailable"), "{landed}");
        assert_eq!(rig.refresh(0, refresh_token(&mine)).await.status(), StatusCode::OK, "{stores:?}");
        rig.later();
        assert!(Browser::new(&rig).tokens(&[]).await["access_token"].is_string(), "a later login counts");
    }
}

#[tokio::test]
async fn the_rows_are_ended_in_batches_that_can_be_cut_off_anywhere() {
    for stores in BOTH {
        let mut rig = on(stores, vec![]).await;
        let tokens = rig.tokens().await;
        seed(&rig, 2_500).await;
        rig.later();
        rig.stop(0).await.unwrap();
        assert!(users::disable(&mut rig.db(), user_of(&tokens), rig.clock.now()).await.unwrap());
        assert_eq!(rig.count(NOT_ENDED).await, 2_501, "{stores:?}");
        let asked = AtomicUsize::new(0);
        let after_one = || asked.fetch_add(1, Ordering::SeqCst) > 0;
        assert_eq!(end_rows(rig.deps(0), &rig.pool, after_one).await.unwrap(), 0);
        assert_eq!(rig.count(NOT_ENDED).await, 1_501, "{stores:?}: a thousand at a time");
        assert_eq!(end_rows(rig.deps(0), &rig.pool, || false).await.unwrap(), 1);
        assert_eq!(rig.count(NOT_ENDED).await, 0, "{stores:?}");
        let told = "SELECT count(*) FROM grants WHERE end_reason = 'user_disabled'
                    AND ended_at = (SELECT disabled_at FROM users) AND user_agent IS NULL";
        assert_eq!(
            rig.count(told).await,
            2_501,
            "{stores:?}: with the time of the end, and nothing of the browser"
        );
        assert_eq!(rig.count("SELECT count(*) FROM browser_sessions WHERE ended_at IS NULL").await, 0);
        assert_eq!(end_rows(rig.deps(0), &rig.pool, || false).await.unwrap(), 0, "once");
        assert!(users::enable(&mut rig.db(), user_of(&tokens), rig.clock.now()).await.unwrap());
        assert_eq!(rig.count(NOT_ENDED).await, 0);
    }
}

#[tokio::test]
async fn beyond_the_bound_of_living_grants_the_oldest_ends_and_is_recorded() {
    for stores in BOTH {
        let rig = on(stores, vec![("LIMITS__LIVE_GRANTS", "3".to_owned())]).await;
        let browser = Browser::new(&rig);
        let elsewhere = authorization_request(&[("client_id", "wide")]);
        let code = parameter(&browser.log_in(&elsewhere).await, "code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "wide"),
            ("code", &code),
            ("code_verifier", crate::rig::VERIFIER),
        ];
        assert_eq!(rig.token(0, &form).await.status(), StatusCode::OK);
        let mut all = Vec::new();
        for _ in 0..5 {
            rig.later();
            all.push(browser.redeem(&browser.at_once(&[]).await).await);
        }
        for (n, tokens) in all.iter().enumerate() {
            let expected = if n < 2 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            assert_eq!(rig.refresh(0, refresh_token(tokens)).await.status(), expected, "{stores:?}: {n}");
        }
        assert_eq!(rig.count("SELECT count(*) FROM grants WHERE end_reason = 'over_limit'").await, 2);
        let recorded = "SELECT count(*) FROM audit_events WHERE kind = 'grant.ended' AND client_id = 'web'";
        assert_eq!(rig.count(recorded).await, 2, "{stores:?}");
        assert_eq!(rig.count(NOT_ENDED).await, 4, "another client's are its own");
    }
}

#[tokio::test]
async fn beyond_sixteen_unspent_codes_the_next_request_is_refused_and_none_ends() {
    for stores in BOTH {
        let rig = on(stores, vec![]).await;
        let browser = Browser::new(&rig);
        let first = browser.log_in(&authorization_request(&[])).await;
        for _ in 1..16 {
            assert!(parameter(&browser.at_once(&[]).await, "code").is_some());
        }
        let refused = browser.at_once(&[("prompt", "none")]).await;
        assert_eq!(parameter(&refused, "error").as_deref(), Some("temporarily_unavailable"), "{refused}");
        assert_eq!(parameter(&refused, "state").as_deref(), Some("client-state"));
        let at_kakao = Browser::new(&rig).log_in(&authorization_request(&[])).await;
        assert_eq!(parameter(&at_kakao, "error").as_deref(), Some("temporarily_unavailable"), "{at_kakao}");
        assert_eq!(rig.count(NOT_ENDED).await, 16, "{stores:?}");
        assert_eq!(rig.count("SELECT count(*) FROM audit_events WHERE kind = 'login.completed'").await, 16);
        let elsewhere = browser.at_once(&[("client_id", "wide")]).await;
        assert!(parameter(&elsewhere, "code").is_some(), "another client's are its own: {elsewhere}");
        assert!(browser.redeem(&first).await["access_token"].is_string());
        assert!(parameter(&browser.at_once(&[]).await, "code").is_some(), "a spent one makes room");
        assert_eq!(
            parameter(&browser.at_once(&[]).await, "error").as_deref(),
            Some("temporarily_unavailable")
        );
        rig.clock.advance(Duration::from_secs(61));
        assert!(parameter(&browser.at_once(&[]).await, "code").is_some(), "and so does one that is too old");
    }
}

#[tokio::test]
async fn a_grant_whose_code_nobody_exchanges_ends_with_the_code_and_is_swept_within_minutes() {
    for stores in BOTH {
        let rig = on(stores, vec![]).await;
        let tokens = rig.tokens().await;
        let code = rig.code().await;
        let ends = "SELECT count(*) FROM grants WHERE code_spent_at IS NULL AND expires_at = code_expires_at";
        assert_eq!(rig.count(ends).await, 1, "{stores:?}");
        rig.clock.advance(Duration::from_secs(61));
        assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::BAD_REQUEST);
        rig.clock.advance(Duration::from_mins(10));
        sweep::expired(&mut rig.db(), rig.clock.now()).await.unwrap();
        assert_eq!(rig.count("SELECT count(*) FROM grants").await, 1, "{stores:?}");
        assert_eq!(rig.refresh(0, refresh_token(&tokens)).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_token_of_a_client_that_was_removed_is_inactive() {
    let setup = |clients: &str| Setup { clients: clients.to_owned(), instances: 0, ..Setup::default() };
    let hash = kakao_auth::domain::Fingerprint::of(crate::rig::BACKEND_SECRET.as_bytes()).to_hex();
    let removed = format!(
        "[[clients]]\nid = \"removed\"\ntype = \"confidential\"\nsecret_sha256 = [\"{hash}\"]\n\
         grants = [\"client_credentials\"]\nscopes = [\"orders:read\"]\naudience = [\"orders\"]\n"
    );
    let mut rig = Rig::with(setup("")).await;
    rig.add_instance(&setup(&removed)).await;
    rig.add_instance(&setup("")).await;
    let token = rig.own_token("removed").await;
    assert_eq!(rig.introspected(0, &token).await["active"], true);
    assert_eq!(claims(&token)["client_id"], "removed");
    assert_eq!(rig.introspected(1, &token).await, json!({"active": false}));
}
