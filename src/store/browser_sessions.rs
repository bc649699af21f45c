//! Table `browser_sessions`: one user in one browser, across clients. [`super::logins`] makes them.

use sqlx::types::Json;
use uuid::Uuid;

use super::standing::login_stands;
use super::statement::{Row, Statement};
use super::{Conn, Db, Result, Tx, audit, grants, on, row};
use crate::domain::audit::Door;
use crate::domain::session::{BrowserSession, NewBrowserSession};
use crate::domain::{
    AuditEvent, BrowserSessionId, Ending, Fingerprint, Grant, GrantId, NewGrant, Timestamp, UserId,
};

/// Whether a session lives at `$now`, and its user is not kept out.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "browser_sessions.ended_at IS NULL AND browser_sessions.idle_expires_at > ",
            $now,
            " AND browser_sessions.expires_at > ",
            $now,
            " AND EXISTS (SELECT 1 FROM users WHERE users.id = browser_sessions.user_id AND ",
            login_stands!("users", "browser_sessions.logged_in_at"),
            ")"
        )
    };
}

row!(SessionRow { id: Uuid, user_id: Uuid, auth_time: Option<Timestamp>, logged_in_at: Timestamp });

/// The living session of this cookie.
pub async fn find_live(
    conn: &mut Conn,
    token: &Fingerprint,
    now: Timestamp,
) -> Result<Option<BrowserSession>> {
    const SQL: &str = concat!(
        "SELECT id, user_id, auth_time, logged_in_at FROM browser_sessions WHERE token_hash = $1 AND ",
        live!("$2")
    );
    let row: Option<SessionRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(token.as_bytes()).bind(now).fetch_optional(c).await)?;
    Ok(row.map(|row| BrowserSession {
        id: BrowserSessionId(row.id),
        user: UserId(row.user_id),
        auth_time: row.auth_time,
        logged_in_at: row.logged_in_at,
    }))
}

/// The one binder of `INSERT INTO browser_sessions`. Its user is the caller's to set: not every statement knows it yet.
pub(super) fn new_row<'q>(session: &'q NewBrowserSession, grant: &NewGrant) -> Row<'q> {
    Row::default()
        .set("id", session.id.0)
        .set("token_hash", session.token.as_bytes())
        .set("auth_time", grant.auth_time)
        .set("logged_in_at", grant.logged_in_at)
        .set("last_used_at", grant.created_at)
        .set("idle_expires_at", session.idle_expires_at)
        .set("expires_at", session.expires_at)
}

row!(GrantedRow { roles: Json<Vec<String>>, granted: bool });

row!(UsedRow { logged_in_at: Timestamp });

/// What became of a login by a session.
pub(crate) enum BySession {
    /// It stands, with this grant.
    Granted(Grant),
    /// Too many codes of the user wait at the client.
    TooManyCodes,
    /// The session has ended, or the user is kept out.
    Ended,
}

/// Makes a grant out of a session, without Kakao, and notes that the session was used: in one statement or transaction, which
/// holds the session's row. The grant takes over when Kakao vouched for the session: whatever voids that voids both.
pub(crate) async fn grant(
    db: &mut Db,
    session: &BrowserSession,
    grant: &NewGrant,
    idle_expires_at: Timestamp,
) -> Result<BySession> {
    let event = AuditEvent::LoginCompleted {
        user: session.user,
        client: grant.request.client.clone(),
        grant: grant.id,
        door: Door::Session,
    };
    let row = if db.is_postgres() {
        at_once(db, session, grant, idle_expires_at, &event).await?
    } else {
        one_by_one(db, session, grant, idle_expires_at, &event).await?
    };
    Ok(match row {
        None => BySession::Ended,
        Some(row) if !row.granted => BySession::TooManyCodes,
        Some(row) => BySession::Granted(grant.stored(session.user, row.roles.0)),
    })
}

async fn at_once(
    db: &mut Db,
    session: &BrowserSession,
    grant: &NewGrant,
    idle_expires_at: Timestamp,
    event: &AuditEvent,
) -> Result<Option<GrantedRow>> {
    let initiator = db.initiator().clone();
    let record = audit::new_row(event, &initiator, grant.created_at).set("user_id", session.user.0);
    let row = grants::new_row(grant).set("user_id", session.user.0).set("session_id", session.id.0);
    let mut all = Statement::new("WITH s AS (");
    use_session(&mut all, session.id, grant.created_at, idle_expires_at);
    all.push("), g AS (").insert_select("grants", row.set_to("logged_in_at", "s.logged_in_at"));
    all.push(" FROM s WHERE ");
    grants::has_room(&mut all, grants::User::Is(session.user), grant);
    all.push(" RETURNING id), a AS (").insert_select("audit_events", record).push(" FROM g)");
    all.push(" SELECT roles, EXISTS (SELECT 1 FROM g) AS granted FROM s, users WHERE users.id = ");
    all.bind(session.user.0);
    all.fetch_optional(db).await
}

async fn one_by_one(
    db: &mut Db,
    session: &BrowserSession,
    grant: &NewGrant,
    idle_expires_at: Timestamp,
    event: &AuditEvent,
) -> Result<Option<GrantedRow>> {
    let mut tx = Tx::begin(db).await?;
    let mut used = Statement::default();
    use_session(&mut used, session.id, grant.created_at, idle_expires_at);
    let Some(used) = used.fetch_optional::<UsedRow>(&mut tx).await? else { return Ok(None) };
    let row = grants::new_row(grant).set("user_id", session.user.0).set("session_id", session.id.0);
    let mut insert = Statement::default();
    insert.insert_select("grants", row.set("logged_in_at", used.logged_in_at)).push(" WHERE ");
    grants::has_room(&mut insert, grants::User::Is(session.user), grant);
    let granted = insert.execute(&mut tx).await? == 1;
    if granted {
        audit::record(&mut tx, grant.created_at, event).await?;
    }
    let mut outcome = Statement::new("SELECT roles, ");
    outcome.bind(granted).push(" AS granted FROM users WHERE id = ").bind(session.user.0);
    let outcome = outcome.fetch_optional(&mut tx).await?;
    tx.commit().await?;
    Ok(outcome)
}

fn use_session(
    statement: &mut Statement<'_>,
    session: BrowserSessionId,
    now: Timestamp,
    idle_expires_at: Timestamp,
) {
    // `now` is the first value of either statement, and `live!` asks it again.
    statement.push("UPDATE browser_sessions SET last_used_at = ").bind(now);
    statement.push(", idle_expires_at = ").bind(idle_expires_at);
    statement.push(" WHERE id = ").bind(session.0);
    statement.push(concat!(" AND ", live!("$1"), " RETURNING logged_in_at"));
}

/// Puts a new session in the place of the one that the browser had before: the same person's logins move over, and the
/// old cookie is dead.
pub(crate) async fn replace(
    db: &mut Db,
    old: &Fingerprint,
    new: BrowserSessionId,
    user: UserId,
    now: Timestamp,
) -> Result<()> {
    const MOVE: &str = "UPDATE grants SET session_id = $2
                        WHERE session_id = (SELECT id FROM browser_sessions WHERE token_hash = $1 AND user_id = $3)";
    const END: &str = "UPDATE browser_sessions SET ended_at = $2 WHERE token_hash = $1 AND ended_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    on!(tx, c => sqlx::query(MOVE).bind(old.as_bytes()).bind(new.0).bind(user.0)
        .execute(c).await.map(drop))?;
    on!(tx, c => sqlx::query(END).bind(old.as_bytes()).bind(now).execute(c).await.map(drop))?;
    tx.commit().await
}

/// The session that a grant of this user belongs to, whether either lives or not.
pub(crate) async fn of_grant(
    conn: &mut Conn,
    user: UserId,
    grant: GrantId,
) -> Result<Option<BrowserSessionId>> {
    const SQL: &str = "SELECT session_id FROM grants WHERE id = $1 AND user_id = $2";
    let found: Option<Option<Uuid>> =
        on!(conn, c => sqlx::query_scalar(SQL).bind(grant.0).bind(user.0).fetch_optional(c).await)?;
    Ok(found.flatten().map(BrowserSessionId))
}

/// Ends a session and all grants that came of it; how many grants. `None` if all of it had ended before.
pub(crate) async fn end(
    tx: &mut Tx<'_>,
    session: BrowserSessionId,
    ending: &Ending<'_>,
) -> Result<Option<u64>> {
    const SQL: &str = "UPDATE browser_sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    let ended = on!(tx, c => sqlx::query(SQL).bind(session.0).bind(ending.at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    let grants = grants::end_of_session(tx, session, ending).await?;
    Ok((ended > 0 || grants > 0).then_some(grants))
}

/// Has a session count as if Kakao had vouched for it at `at`, before all logins of earlier are voided.
pub(crate) async fn keep(tx: &mut Tx<'_>, session: BrowserSessionId, at: Timestamp) -> Result<()> {
    const SQL: &str = concat!(
        "UPDATE browser_sessions SET logged_in_at = $2 WHERE id = $1 AND ended_at IS NULL
           AND EXISTS (SELECT 1 FROM users WHERE users.id = browser_sessions.user_id AND ",
        login_stands!("users", "browser_sessions.logged_in_at"),
        ")"
    );
    on!(tx, c => sqlx::query(SQL).bind(session.0).bind(at).execute(c).await.map(drop))?;
    Ok(())
}

/// Ends up to a thousand sessions of a user whose login no longer stands; how many.
pub(crate) async fn end_void(tx: &mut Tx<'_>, user: UserId, now: Timestamp) -> Result<u64> {
    const SQL: &str = concat!(
        "UPDATE browser_sessions SET ended_at = $2 WHERE id IN
           (SELECT id FROM browser_sessions WHERE user_id = $1 AND ended_at IS NULL
              AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = $1 AND ",
        login_stands!("users", "browser_sessions.logged_in_at"),
        ") LIMIT 1000)"
    );
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done)
}
