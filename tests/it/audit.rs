//! Audit events: each with the request that it happened in, and never apart from what it records.

use kakao_auth::domain::Initiator;
use kakao_auth::store::{Pool, users};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::rig::{Browser, Rig, Setup, Stores, authorization_request, json, refresh_token, user_of};

const BOTH: [Stores; 2] = [Stores::PostgresAndRedis, Stores::SqliteAndMemory];

#[derive(Debug, PartialEq, Eq)]
struct Event {
    initiator: String,
    request_id: Option<String>,
    detail: Value,
}

/// The events of a kind, oldest first.
async fn events(rig: &Rig, kind: &str) -> Vec<Event> {
    const SQL: &str =
        "SELECT initiator, request_id, detail FROM audit_events WHERE kind = $1 ORDER BY at, id";
    let rows: Vec<(String, Option<String>, Json<Value>)> = match &rig.pool {
        Pool::Postgres(pool, _) => sqlx::query_as(SQL).bind(kind).fetch_all(pool).await.unwrap(),
        Pool::Sqlite(pool) => sqlx::query_as(SQL).bind(kind).fetch_all(pool).await.unwrap(),
    };
    let event = |(initiator, request_id, detail): (_, _, Json<Value>)| Event {
        initiator,
        request_id,
        detail: detail.0,
    };
    rows.into_iter().map(event).collect()
}

fn request_id(response: &Response) -> String {
    response.headers()["x-request-id"].to_str().unwrap().to_owned()
}

/// What happened in the request that got this response.
fn in_request(response: &Response, detail: Value) -> Event {
    Event { initiator: "request".to_owned(), request_id: Some(request_id(response)), detail }
}

async fn on(stores: Stores) -> Rig {
    Rig::with(Setup { stores, ..Setup::default() }).await
}

/// Has the database take no event of a kind.
async fn refuse(rig: &Rig, kind: &'static str) {
    let (postgres, sqlite) = (
        format!("ALTER TABLE audit_events ADD CONSTRAINT refused CHECK (kind <> '{kind}')"),
        format!(
            "CREATE TRIGGER refused BEFORE INSERT ON audit_events WHEN NEW.kind = '{kind}'
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        ),
    );
    run(rig, postgres, sqlite).await;
}

/// Has it take them again.
async fn accept(rig: &Rig) {
    let postgres = "ALTER TABLE audit_events DROP CONSTRAINT refused".to_owned();
    run(rig, postgres, "DROP TRIGGER refused".to_owned()).await;
}

async fn run(rig: &Rig, postgres: String, sqlite: String) {
    match &rig.pool {
        Pool::Postgres(pool, _) => {
            sqlx::query(sqlx::AssertSqlSafe(postgres)).execute(pool).await.unwrap();
        }
        Pool::Sqlite(pool) => {
            sqlx::query(sqlx::AssertSqlSafe(sqlite)).execute(pool).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_login_is_recorded_with_the_request_id_that_its_response_carried() {
    for stores in BOTH {
        let rig = on(stores).await;
        let browser = Browser::new(&rig);
        let callback = browser.until_callback(&authorization_request(&[])).await;
        let at_kakao = browser.open_callback(0, &callback).await;
        let by_session = browser.authorize(&authorization_request(&[])).await;
        assert_eq!(
            events(&rig, "login.completed").await,
            [
                in_request(&at_kakao, json!({ "door": "browser" })),
                in_request(&by_session, json!({ "door": "session" })),
            ],
            "{stores:?}"
        );
        let whole = "SELECT count(*) FROM audit_events e JOIN grants g ON g.id = e.grant_id
                     WHERE e.kind = 'login.completed' AND e.user_id = g.user_id AND e.client_id = g.client_id";
        assert_eq!(rig.count(whole).await, 2, "{stores:?}");
        let other = browser.open_callback(0, &callback).await;
        assert_ne!(request_id(&other), request_id(&at_kakao));
        assert_eq!(events(&rig, "login.completed").await.len(), 2, "a repeated callback is no second login");
    }
}

#[tokio::test]
async fn a_replayed_refresh_token_is_recorded_with_the_request_that_showed_it() {
    for stores in BOTH {
        let rig = on(stores).await;
        let first = rig.tokens().await;
        rig.refresh(0, refresh_token(&first)).await;
        assert_eq!(events(&rig, "grant.ended").await, [], "a refresh is no event");
        rig.clock.advance(std::time::Duration::from_secs(11));
        let replay = rig.refresh(0, refresh_token(&first)).await;
        assert_eq!(replay.status(), StatusCode::BAD_REQUEST);
        let recorded = in_request(&replay, json!({ "reason": "refresh_replayed" }));
        assert_eq!(events(&rig, "grant.ended").await, [recorded], "{stores:?}");
    }
}

#[tokio::test]
async fn a_grant_whose_end_cannot_be_recorded_does_not_end_and_the_next_try_does_both() {
    for stores in BOTH {
        let rig = on(stores).await;
        let first = rig.tokens().await;
        let second = json(rig.refresh(0, refresh_token(&first)).await).await;
        rig.clock.advance(std::time::Duration::from_secs(11));
        refuse(&rig, "grant.ended").await;
        assert!(rig.refresh(0, refresh_token(&first)).await.status().is_server_error());
        assert_eq!(rig.count("SELECT count(*) FROM grants WHERE ended_at IS NULL").await, 1);
        let third = rig.refresh(0, refresh_token(&second)).await;
        assert_eq!(third.status(), StatusCode::OK, "{stores:?}: the grant is alive");
        accept(&rig).await;
        let replay = rig.refresh(0, refresh_token(&first)).await;
        assert_eq!(replay.status(), StatusCode::BAD_REQUEST);
        assert_eq!(rig.count("SELECT count(*) FROM grants WHERE ended_at IS NULL").await, 0);
        assert_eq!(events(&rig, "grant.ended").await.len(), 1, "{stores:?}");
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_recorded_leaves_nothing() {
    for stores in BOTH {
        let rig = on(stores).await;
        refuse(&rig, "login.completed").await;
        let browser = Browser::new(&rig);
        let callback = browser.until_callback(&authorization_request(&[])).await;
        browser.open_callback(0, &callback).await;
        let left = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM grants) + (SELECT count(*) FROM browser_sessions)";
        assert_eq!(rig.count(left).await, 0, "{stores:?}");
        accept(&rig).await;
        browser.tokens(&[]).await;
        assert_eq!(events(&rig, "login.completed").await.len(), 1, "{stores:?}");
    }
}

#[tokio::test]
async fn what_no_request_did_names_a_command_or_the_service() {
    for stores in BOTH {
        let rig = on(stores).await;
        let user = user_of(&rig.tokens().await);
        let mut db = rig.pool.handle_for(Initiator::Command);
        assert!(users::disable(&mut db, user, rig.clock.now()).await.unwrap());
        let disabled = events(&rig, "user.disabled").await;
        let expected = Event { initiator: "command".to_owned(), request_id: None, detail: json!({}) };
        assert_eq!(disabled, [expected], "{stores:?}");
        for made in events(&rig, "signing_key.activated").await {
            assert_eq!((made.initiator.as_str(), made.request_id), ("service", None), "{stores:?}");
        }
    }
}
