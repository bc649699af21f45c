//! Deletes what nobody will ask for again, in batches that hold no lock for long.

use std::time::Duration;

use super::{Conn, Result, on, outbox};
use crate::domain::Timestamp;

/// How long a grant stays after its absolute end, so that a late replay is still recognised and explained.
const GRANTS_STAY: Duration = Duration::from_hours(7 * 24);

/// How long a grant stays whose code nobody exchanged: until no browser can come again with the attempt that led to it.
const UNSPENT_STAY: Duration = Duration::from_mins(10);

/// Rows of one kind that one sweep deletes at most.
const MOST: u64 = 1_000;

/// What one sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows of `login_attempts`.
    pub attempts: u64,
    /// Rows of `grants`.
    pub grants: u64,
    /// Rows of `browser_sessions`.
    pub sessions: u64,
    /// Rows of `outbox`.
    pub outbox: u64,
}

impl Swept {
    /// Whether there may be more.
    pub(crate) fn is_full(&self) -> bool {
        [self.attempts, self.grants, self.sessions, self.outbox].into_iter().any(|count| count >= MOST)
    }
}

/// Deletes up to a thousand rows of each kind.
pub async fn expired(conn: &mut Conn, now: Timestamp) -> Result<Swept> {
    const ATTEMPTS: &str = "DELETE FROM login_attempts WHERE id IN
                            (SELECT id FROM login_attempts WHERE expires_at <= $1 LIMIT 1000)";
    const GRANTS: &str =
        "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at <= $1 LIMIT 1000)";
    const UNSPENT: &str = "DELETE FROM grants WHERE id IN
                           (SELECT id FROM grants WHERE code_hash IS NOT NULL AND code_spent_at IS NULL AND code_expires_at <= $1
                            LIMIT 1000)";
    const SESSIONS: &str = "DELETE FROM browser_sessions WHERE id IN (SELECT id FROM browser_sessions WHERE expires_at <= $1 LIMIT 1000)";
    const ASSERTIONS: &str = "DELETE FROM client_assertions WHERE id IN
                              (SELECT id FROM client_assertions WHERE expires_at <= $1 LIMIT 1000)";
    const LEASES: &str = "DELETE FROM job_leases WHERE until <= $1";
    on!(conn, c => sqlx::query(LEASES).bind(now).execute(c).await.map(drop))?;
    on!(conn, c => sqlx::query(ASSERTIONS).bind(now).execute(c).await.map(drop))?;
    let attempts = on!(conn, c => sqlx::query(ATTEMPTS).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    let grants = on!(conn, c => sqlx::query(GRANTS).bind(now - GRANTS_STAY)
        .execute(c).await.map(|done| done.rows_affected()))?;
    let unspent = on!(conn, c => sqlx::query(UNSPENT).bind(now - UNSPENT_STAY)
        .execute(c).await.map(|done| done.rows_affected()))?;
    let sessions = on!(conn, c => sqlx::query(SESSIONS).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    let outbox = outbox::sweep(conn, now).await?;
    Ok(Swept { attempts, grants: grants + unspent, sessions, outbox })
}
