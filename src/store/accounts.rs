//! Deleted accounts: what is erased of a user, and table `kakao_unlinks`, the outbox of what Kakao must still be told.

use std::time::Duration;

use uuid::Uuid;

use super::profile;
use super::standing::void_before;
use super::statement::Statement;
use super::{Conn, Result, Tx, on, row};
use crate::domain::{KakaoId, ProfileField, Timestamp, UserId};

/// How often an unlink is tried before it waits for the operator.
pub const MOST_ATTEMPTS: i32 = 16;

/// How long a row stays that is done: longer than any token of Kakao's that is taken for a login.
const STAYS: Duration = Duration::from_hours(1);

/// Marks an account as deleted. True for the one caller that did. With `not_since`, only if
/// the user has not logged in at that time or later.
pub async fn mark_deleted(
    tx: &mut Tx<'_>,
    user: UserId,
    now: Timestamp,
    not_since: Option<Timestamp>,
) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE users SET deleted_at = $2, ",
        void_before!("$2"),
        " WHERE id = $1 AND deleted_at IS NULL AND ($3 IS NULL OR last_login_at < $3)"
    );
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).bind(not_since)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Puts the unlink at Kakao into the outbox, if there is a link.
pub async fn ask_unlink(tx: &mut Tx<'_>, user: UserId, now: Timestamp) -> Result<()> {
    const SQL: &str = "
        INSERT INTO kakao_unlinks (user_id, kakao_id, refresh_token, asked_at, next_at)
        SELECT id, kakao_id, kakao_refresh_token, $2, $2 FROM users
        WHERE id = $1 AND kakao_id IS NOT NULL AND unlinked_at IS NULL
        ON CONFLICT (user_id) DO UPDATE SET
            kakao_id = excluded.kakao_id, refresh_token = excluded.refresh_token, asked_at = excluded.asked_at,
            next_at = excluded.next_at, attempts = 0, dead_at = NULL, done_at = NULL";
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// Erases all that is personal of an account that is marked as deleted. The id stays; Kakao's number if the same user is
/// to return, or is kept out: nobody gets rid of that by unlinking.
pub async fn erase(tx: &mut Tx<'_>, user: UserId, keep_number: bool) -> Result<()> {
    // A number that is forgotten is forgotten here too; one event that comes again then finds nobody.
    const EVENTS: &str = "DELETE FROM webhook_events WHERE done_at IS NOT NULL AND $2 = $3
                          AND kakao_id = (SELECT kakao_id FROM users WHERE id = $1 AND disabled_at IS NULL)";
    const LOGINS: &str = "UPDATE grants SET user_agent = NULL, nonce = NULL WHERE user_id = $1";
    const ROLES: &str = "UPDATE users SET roles = '[]' WHERE id = $1";
    on!(tx, c => sqlx::query(EVENTS).bind(user.0).bind(keep_number).bind(false)
        .execute(c).await.map(drop))?;
    let mut erase = Statement::new("UPDATE users SET ");
    for column in profile::erase(ProfileField::ALL) {
        erase.push(&column).push(", ");
    }
    erase.push(
        "needs_agreement = NULL, service_terms = NULL, kakao_scope = NULL, kakao_refresh_token = NULL,
         kakao_refresh_expires_at = NULL, profile_stale_at = NULL, under_age_at = NULL,
         kakao_id = CASE WHEN ",
    );
    erase.bind(keep_number).push(" OR disabled_at IS NOT NULL THEN kakao_id ELSE NULL END WHERE id = ");
    erase.bind(user.0).push(" AND deleted_at IS NOT NULL");
    erase.execute(tx).await?;
    on!(tx, c => sqlx::query(ROLES).bind(user.0).execute(c).await.map(drop))?;
    on!(tx, c => sqlx::query(LOGINS).bind(user.0).execute(c).await.map(drop))?;
    Ok(())
}

row!(UnlinkRow {
    user_id: Uuid,
    kakao_id: i64,
    refresh_token: Option<Vec<u8>>,
    asked_at: Timestamp,
    attempts: i32,
    next_at: Timestamp,
    dead_at: Option<Timestamp>,
    last_fault: Option<String>,
});

/// An unlink that Kakao must be told of.
pub struct Unlink {
    /// Whose.
    pub user: UserId,
    /// Kakao's number.
    pub kakao_id: KakaoId,
    /// Sealed.
    pub refresh_token: Option<Vec<u8>>,
    /// When the account was deleted.
    pub asked_at: Timestamp,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// Since when it waits for the operator.
    pub dead_at: Option<Timestamp>,
    /// The id of the last fault.
    pub last_fault: Option<String>,
}

impl From<UnlinkRow> for Unlink {
    fn from(row: UnlinkRow) -> Self {
        Self {
            user: UserId(row.user_id),
            kakao_id: KakaoId(row.kakao_id),
            refresh_token: row.refresh_token,
            asked_at: row.asked_at,
            attempts: row.attempts,
            next_at: row.next_at,
            dead_at: row.dead_at,
            last_fault: row.last_fault,
        }
    }
}

/// Takes some of the unlinks that are due. Nobody else gets them before `until`.
pub async fn claim(conn: &mut Conn, now: Timestamp, until: Timestamp) -> Result<Vec<Unlink>> {
    const SQL: &str = "
        UPDATE kakao_unlinks SET next_at = $2, attempts = attempts + 1
        WHERE user_id IN (SELECT user_id FROM kakao_unlinks WHERE dead_at IS NULL AND done_at IS NULL AND next_at <= $1
                          ORDER BY next_at LIMIT 20)
          AND dead_at IS NULL AND done_at IS NULL AND next_at <= $1
        RETURNING user_id, kakao_id, refresh_token, asked_at, attempts, next_at, dead_at, last_fault";
    let rows: Vec<UnlinkRow> = on!(conn, c => sqlx::query_as(SQL).bind(now).bind(until).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Unlink::from).collect())
}

/// All that are not done, those that wait for the operator first; a hundred at most.
pub async fn pending(conn: &mut Conn) -> Result<Vec<Unlink>> {
    const SQL: &str = "SELECT user_id, kakao_id, refresh_token, asked_at, attempts, next_at, dead_at, last_fault
                       FROM kakao_unlinks WHERE done_at IS NULL ORDER BY CASE WHEN dead_at IS NULL THEN 1 ELSE 0 END, asked_at LIMIT 100";
    let rows: Vec<UnlinkRow> = on!(conn, c => sqlx::query_as(SQL).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Unlink::from).collect())
}

row!(CountRow { waiting: i64, dead: i64, events: i64 });

/// How many rows wait for somebody.
pub(crate) struct Waiting {
    /// Unlinks that are tried again.
    pub(crate) unlinks: i64,
    /// Unlinks that only the operator can have tried again.
    pub(crate) dead_unlinks: i64,
    /// Events of Kakao's webhooks.
    pub(crate) webhook_events: i64,
}

/// What waits.
pub(crate) async fn waiting(conn: &mut Conn) -> Result<Waiting> {
    const SQL: &str = "SELECT (SELECT count(*) FROM kakao_unlinks WHERE dead_at IS NULL AND done_at IS NULL) AS waiting,
                              (SELECT count(*) FROM kakao_unlinks WHERE dead_at IS NOT NULL AND done_at IS NULL) AS dead,
                              (SELECT count(*) FROM webhook_events WHERE done_at IS NULL) AS events";
    let row: CountRow = on!(conn, c => sqlx::query_as(SQL).fetch_one(c).await)?;
    Ok(Waiting { unlinks: row.waiting, dead_unlinks: row.dead, webhook_events: row.events })
}

/// Kakao knows, or need not be told.
pub async fn done(conn: &mut Conn, user: UserId, asked_at: Timestamp, now: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE kakao_unlinks SET done_at = $3, refresh_token = NULL
                       WHERE user_id = $1 AND asked_at = $2";
    on!(conn, c => sqlx::query(SQL).bind(user.0).bind(asked_at).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// An account that goes because of an unlink at Kakao: nothing to tell, but for a while it is known that it ended.
pub async fn note_unlinked(tx: &mut Tx<'_>, user: UserId, now: Timestamp) -> Result<()> {
    const SQL: &str = "
        INSERT INTO kakao_unlinks (user_id, kakao_id, asked_at, next_at, done_at)
        SELECT id, kakao_id, $2, $2, $2 FROM users WHERE id = $1 AND kakao_id IS NOT NULL
        ON CONFLICT (user_id) DO UPDATE SET asked_at = excluded.asked_at, done_at = excluded.done_at";
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// Deletes some of those that were done an hour ago.
pub(super) async fn sweep(conn: &mut Conn, now: Timestamp) -> Result<()> {
    const SQL: &str = "DELETE FROM kakao_unlinks WHERE user_id IN
                       (SELECT user_id FROM kakao_unlinks WHERE done_at <= $1 LIMIT 1000) AND done_at <= $1";
    on!(conn, c => sqlx::query(SQL).bind(now - STAYS).execute(c).await.map(drop))?;
    Ok(())
}

/// Kakao was not told: again at `next`, or, when `dead`, not until the operator says so. Says nothing if a later try has begun.
pub async fn put_off(
    conn: &mut Conn,
    unlink: &Unlink,
    next: Timestamp,
    fault: &str,
    dead: Option<Timestamp>,
) -> Result<()> {
    const SQL: &str = "UPDATE kakao_unlinks SET next_at = $3, last_fault = $4, dead_at = $5
                       WHERE user_id = $1 AND asked_at = $2 AND attempts = $6";
    on!(conn, c => sqlx::query(SQL).bind(unlink.user.0).bind(unlink.asked_at).bind(next).bind(fault).bind(dead)
        .bind(unlink.attempts)
        .execute(c).await.map(drop))?;
    Ok(())
}

/// The operator has it tried again. False if it does not wait.
pub async fn revive(conn: &mut Conn, user: UserId, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE kakao_unlinks SET dead_at = NULL, attempts = 0, next_at = $2
                       WHERE user_id = $1 AND dead_at IS NOT NULL";
    let done = on!(conn, c => sqlx::query(SQL).bind(user.0).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
