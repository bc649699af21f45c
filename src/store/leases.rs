//! Table `job_leases`: one replica at a time runs a periodic job or asks Kakao for a token, and all of them wait when Kakao
//! asks them to.

use uuid::Uuid;

use super::{Conn, Result, on, row};
use crate::domain::Timestamp;

/// Takes or prolongs a lease. True while `holder` has it.
pub async fn acquire(
    conn: &mut Conn,
    name: &str,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    const SQL: &str = "INSERT INTO job_leases AS l (name, holder, until) VALUES ($1, $2, $4)
                       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                       WHERE l.holder = $2 OR l.until <= $3";
    let done = on!(conn, c => sqlx::query(SQL).bind(name).bind(holder).bind(now).bind(until)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Gives a lease back.
pub async fn release(conn: &mut Conn, name: &str, holder: Uuid) -> Result<()> {
    const SQL: &str = "DELETE FROM job_leases WHERE name = $1 AND holder = $2";
    on!(conn, c => sqlx::query(SQL).bind(name).bind(holder).execute(c).await.map(drop))?;
    Ok(())
}

/// Has everybody rest until then: a lease that nobody holds. A longer rest stands.
pub async fn rest(conn: &mut Conn, name: &str, until: Timestamp) -> Result<()> {
    const SQL: &str = "INSERT INTO job_leases AS l (name, holder, until) VALUES ($1, $2, $3)
                       ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE l.until < excluded.until";
    on!(conn, c => sqlx::query(SQL).bind(name).bind(Uuid::nil()).bind(until).execute(c).await.map(drop))?;
    Ok(())
}

row!(Until { until: Timestamp });

/// Until when one of these two is held or rests, if it is.
pub async fn held_until(conn: &mut Conn, names: [&str; 2], now: Timestamp) -> Result<Option<Timestamp>> {
    const SQL: &str =
        "SELECT until FROM job_leases WHERE name IN ($1, $2) AND until > $3 ORDER BY until DESC LIMIT 1";
    let row: Option<Until> = on!(conn, c => sqlx::query_as(SQL)
        .bind(names[0]).bind(names[1]).bind(now).fetch_optional(c).await)?;
    Ok(row.map(|row| row.until))
}
