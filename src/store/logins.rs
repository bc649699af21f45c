//! What a login writes: the user in `users`, its grant in `grants`, the browser session in `browser_sessions` and its record in
//! `audit_events`, all or nothing.
//!
//! Postgres does it in one statement: as BEGIN, two statements and COMMIT it was four round trips, and most of a login's
//! own cost (see `docs/performance.md`). SQLite, which has no data-changing CTE and no network, runs the same inserts
//! in a transaction.

use std::sync::LazyLock;

use sqlx::types::Json;
use uuid::Uuid;

use super::kakao_links::ended_since;
use super::standing::login_counts;
use super::statement::{Row, Statement};
use super::{Conn, Db, Result, Tx, audit, browser_sessions, grants, on, profile, row, users};
use crate::domain::audit::Door;
use crate::domain::session::NewBrowserSession;
use crate::domain::{AuditEvent, Consent, Grant, KakaoId, NewGrant, Profile, Timestamp, UserId};

/// What a login writes about its user, beside the grant.
pub struct NewLogin<'a> {
    /// The id to give if Kakao's number is new here.
    pub user: UserId,
    /// Kakao's member number: the only key. E-mail never links or merges.
    pub kakao_id: KakaoId,
    /// What the person shares now; what is absent is forgotten.
    pub profile: &'a Profile,
    /// Encrypted; `None` keeps the one we have.
    pub kakao_refresh_token: Option<&'a [u8]>,
    /// When that token dies.
    pub kakao_refresh_expires_at: Option<Timestamp>,
    /// What the person agreed to; what Kakao did not say is kept as it was.
    pub consent: &'a Consent,
    /// The browser's new session; an app has none.
    pub session: Option<NewBrowserSession>,
    /// When Kakao was asked for the profile.
    pub read_at: Timestamp,
    /// What is granted. Its `logged_in_at` is the time of the login: what ended the person's logins after that ends this one
    /// too, whichever is written first.
    pub grant: NewGrant,
}

/// What became of a login.
#[derive(Debug, Clone)]
pub enum Recorded {
    /// It stands, with this grant.
    Granted(Grant),
    /// The operator keeps this user out; nothing is written.
    Disabled,
    /// The person's logins were ended after Kakao vouched for this one; nothing is written.
    Ended,
    /// Too many codes of the user wait at the client; only the user is written.
    TooManyCodes,
}

/// What an upsert does with a user who is there: of two logins at once, the profile stays that was read later. A disabled user
/// gives no row, and stays as it was; so does one whose logins were ended after Kakao vouched for this one.
static ON_CONFLICT: LazyLock<String> = LazyLock::new(|| {
    [
        " ON CONFLICT (kakao_id) DO UPDATE SET ",
        &profile::keep_newer(),
        &profile::newer("needs_agreement"),
        &profile::newer("profile_read_at"),
        "service_terms = COALESCE(excluded.service_terms, u.service_terms),
         profile_stale_at = CASE WHEN u.profile_stale_at > excluded.profile_read_at THEN u.profile_stale_at ELSE NULL END,
         under_age_at = NULL, unlinked_at = NULL, unlink_reason = NULL, deleted_at = NULL,
         updated_at = CASE WHEN ",
        &profile::is_unchanged(),
        " THEN u.updated_at ELSE excluded.updated_at END,
         last_login_at = CASE WHEN u.last_login_at > excluded.last_login_at THEN u.last_login_at
                              ELSE excluded.last_login_at END,
         kakao_refresh_token = COALESCE(excluded.kakao_refresh_token, u.kakao_refresh_token),
         kakao_refresh_expires_at = COALESCE(excluded.kakao_refresh_expires_at, u.kakao_refresh_expires_at),
         kakao_token_at = COALESCE(excluded.kakao_token_at, u.kakao_token_at),
         kakao_scope = COALESCE(excluded.kakao_scope, u.kakao_scope)
         WHERE u.disabled_at IS NULL AND ",
        login_counts!("u", "excluded.last_login_at"),
        " RETURNING id, roles",
    ]
    .concat()
});

/// Makes or updates the user of a Kakao number, in one statement, so that two first logins at once make one user.
fn upsert_user<'q>(statement: &mut Statement<'q>, login: &NewLogin<'q>) {
    let needs_agreement = login.consent.needs_agreement.join(" ");
    let terms = login.consent.service_terms.as_ref().and_then(|terms| serde_json::to_value(terms).ok());
    let now = login.grant.created_at;
    let row = users::new_row(login.user, login.kakao_id, login.profile, now, login.grant.logged_in_at)
        .set("profile_read_at", login.read_at)
        .set("needs_agreement", (!needs_agreement.is_empty()).then_some(needs_agreement))
        .set("service_terms", terms)
        .set("kakao_scope", login.consent.scopes.as_ref().map(|scopes| scopes.join(" ")))
        .set("kakao_refresh_token", login.kakao_refresh_token)
        .set("kakao_refresh_expires_at", login.kakao_refresh_expires_at)
        .set("kakao_token_at", login.kakao_refresh_token.map(|_| now));
    statement.insert("users AS u", [row]).push(&ON_CONFLICT);
}

row!(RecordedRow { id: Uuid, roles: Json<Vec<String>>, granted: bool });

row!(UserRow { id: Uuid, roles: Json<Vec<String>> });

row!(DisabledRow { disabled_at: Option<Timestamp> });

/// Records a login.
pub async fn record(db: &mut Db, login: &NewLogin<'_>) -> Result<Recorded> {
    let user = if db.is_postgres() { at_once(db, login).await? } else { one_by_one(db, login).await? };
    match user {
        Some(row) if !row.granted => Ok(Recorded::TooManyCodes),
        // A deletion may have taken Kakao's number off the user that this was: the login is not to make a new one.
        Some(row)
            if row.id == login.user.0
                && ended_since(db, login.kakao_id, login.grant.logged_in_at).await? =>
        {
            undo_new_user(db, login.user).await?;
            Ok(Recorded::Ended)
        }
        Some(row) => Ok(Recorded::Granted(login.grant.stored(UserId(row.id), row.roles.0))),
        None => rejection_reason(db, login.kakao_id).await,
    }
}

async fn at_once(conn: &mut Conn, login: &NewLogin<'_>) -> Result<Option<RecordedRow>> {
    let mut all = Statement::new("WITH u AS (");
    upsert_user(&mut all, login);
    let row = grant_row(login).set_to("user_id", "u.id");
    all.push("), g AS (").insert_select("grants", row).push(" FROM u WHERE ");
    grants::has_room(&mut all, grants::User::Column("u.id"), &login.grant);
    all.push(" RETURNING id");
    if let Some(session) = &login.session {
        let row = browser_sessions::new_row(session, &login.grant).set_to("user_id", "u.id");
        all.push("), s AS (").insert_select("browser_sessions", row).push(" FROM u, g");
    }
    let (event, initiator) = (completed(login, login.user), conn.initiator().clone());
    let row = audit::new_row(&event, &initiator, login.grant.created_at).set_to("user_id", "u.id");
    all.push("), a AS (").insert_select("audit_events", row).push(" FROM u, g)");
    all.push(" SELECT id, roles, EXISTS (SELECT 1 FROM g) AS granted FROM u");
    all.fetch_optional(conn).await
}

async fn one_by_one(db: &mut Db, login: &NewLogin<'_>) -> Result<Option<RecordedRow>> {
    let mut tx = Tx::begin(db).await?;
    let mut user = Statement::default();
    upsert_user(&mut user, login);
    let Some(user) = user.fetch_optional::<UserRow>(&mut tx).await? else { return Ok(None) };
    let mut insert = Statement::default();
    insert.insert_select("grants", grant_row(login).set("user_id", user.id)).push(" WHERE ");
    grants::has_room(&mut insert, grants::User::Is(UserId(user.id)), &login.grant);
    let granted = insert.execute(&mut tx).await? == 1;
    if let Some(session) = login.session.as_ref().filter(|_| granted) {
        let row = browser_sessions::new_row(session, &login.grant).set("user_id", user.id);
        let mut insert = Statement::default();
        insert.insert("browser_sessions", [row]);
        insert.execute(&mut tx).await?;
    }
    if granted {
        let event = completed(login, UserId(user.id));
        audit::record(&mut tx, login.grant.created_at, &event).await?;
    }
    tx.commit().await?;
    Ok(Some(RecordedRow { id: user.id, roles: user.roles, granted }))
}

fn grant_row<'q>(login: &'q NewLogin<'_>) -> Row<'q> {
    grants::new_row(&login.grant)
        .set("logged_in_at", login.grant.logged_in_at)
        .set("session_id", login.session.as_ref().map(|session| session.id.0))
}

/// The record of a login.
fn completed(login: &NewLogin<'_>, user: UserId) -> AuditEvent {
    let grant = &login.grant;
    let door = if login.session.is_some() { Door::Browser } else { Door::Sdk };
    AuditEvent::LoginCompleted { user, client: grant.request.client.clone(), grant: grant.id, door }
}

/// Removes a user who was made this moment, and of whom nobody knows.
async fn undo_new_user(db: &mut Db, user: UserId) -> Result<()> {
    const ALL: [&str; 4] = [
        "DELETE FROM audit_events WHERE user_id = $1",
        "DELETE FROM grants WHERE user_id = $1",
        "DELETE FROM browser_sessions WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1",
    ];
    let mut tx = Tx::begin(db).await?;
    for sql in ALL {
        on!(tx, c => sqlx::query(sql).bind(user.0).execute(c).await.map(drop))?;
    }
    tx.commit().await
}

async fn rejection_reason(conn: &mut Conn, kakao_id: KakaoId) -> Result<Recorded> {
    const SQL: &str = "SELECT disabled_at FROM users WHERE kakao_id = $1";
    let row: Option<DisabledRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(kakao_id.0).fetch_optional(c).await)?;
    Ok(if row.is_some_and(|row| row.disabled_at.is_some()) { Recorded::Disabled } else { Recorded::Ended })
}
