//! Columns of `grants`: an ended login is its own outbox entry until its client was told (back-channel logout).

use std::time::Duration;

use uuid::Uuid;

use super::{Conn, Result, on, row};
use crate::domain::{ClientId, GrantId, Timestamp, UserId};

/// How often a client is tried.
pub const MOST_ATTEMPTS: i32 = 10;

/// A client that does not hear of a login for so long has forgotten it.
const STALE: Duration = Duration::from_hours(24);

/// A client to be told.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Which login.
    pub grant: GrantId,
    /// Whose.
    pub user: UserId,
    /// Which try this is.
    pub attempt: i32,
}

row!(DueRow { id: Uuid, user_id: Uuid, logout_attempts: i32 });

/// Takes some of the logins of a client that it is to be told of. Nobody else gets them before `until`.
pub async fn claim(conn: &mut Conn, client: &ClientId, now: Timestamp, until: Timestamp) -> Result<Vec<Due>> {
    const SQL: &str = "
        UPDATE grants SET logout_next_at = $3, logout_attempts = logout_attempts + 1
        WHERE id IN (SELECT id FROM grants
                     WHERE client_id = $1 AND ended_at > $4 AND logout_told_at IS NULL AND logout_attempts < $5
                       AND generation > 0 AND (logout_next_at IS NULL OR logout_next_at <= $2)
                     ORDER BY ended_at LIMIT 50)
          AND logout_told_at IS NULL AND (logout_next_at IS NULL OR logout_next_at <= $2)
        RETURNING id, user_id, logout_attempts";
    let rows: Vec<DueRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(client.as_str()).bind(now).bind(until).bind(now - STALE).bind(MOST_ATTEMPTS)
        .fetch_all(c).await)?;
    let due =
        |row: DueRow| Due { grant: GrantId(row.id), user: UserId(row.user_id), attempt: row.logout_attempts };
    Ok(rows.into_iter().map(due).collect())
}

/// The client knows.
pub async fn told(conn: &mut Conn, grant: GrantId, now: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE grants SET logout_told_at = $2 WHERE id = $1";
    on!(conn, c => sqlx::query(SQL).bind(grant.0).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// The client does not answer: again at `next`.
pub async fn put_off(conn: &mut Conn, grant: GrantId, next: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE grants SET logout_next_at = $2 WHERE id = $1";
    on!(conn, c => sqlx::query(SQL).bind(grant.0).bind(next).execute(c).await.map(drop))?;
    Ok(())
}
