//! Table `client_assertions`: each assertion of a client, nonce and Kakao ID token is good once.

use super::{Conn, Result, on};
use crate::domain::{Fingerprint, Timestamp};

/// Remembers an assertion until it expires. True for the one caller that shows it first.
pub async fn spend(conn: &mut Conn, assertion: &Fingerprint, expires_at: Timestamp) -> Result<bool> {
    const SQL: &str =
        "INSERT INTO client_assertions (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let done = on!(conn, c => sqlx::query(SQL).bind(assertion.as_bytes()).bind(expires_at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Whether it was shown, and has not expired.
pub(crate) async fn lives(conn: &mut Conn, assertion: &Fingerprint, now: Timestamp) -> Result<bool> {
    const SQL: &str = "SELECT id FROM client_assertions WHERE id = $1 AND expires_at > $2";
    on!(conn, c => sqlx::query(SQL).bind(assertion.as_bytes()).bind(now)
        .fetch_optional(c).await.map(|row| row.is_some()))
}

/// Whether an assertion was shown.
pub(crate) async fn is_spent(conn: &mut Conn, assertion: &Fingerprint) -> Result<bool> {
    const SQL: &str = "SELECT id FROM client_assertions WHERE id = $1";
    on!(conn, c => sqlx::query(SQL).bind(assertion.as_bytes())
        .fetch_optional(c).await.map(|row| row.is_some()))
}
