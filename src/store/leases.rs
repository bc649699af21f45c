//! Table `job_leases`: one replica at a time runs a periodic job.

use uuid::Uuid;

use super::{Db, Result, on};
use crate::domain::Timestamp;

/// Takes or prolongs a lease. True while `holder` has it.
pub async fn acquire(db: &Db, name: &str, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool> {
    const SQL: &str = "INSERT INTO job_leases AS l (name, holder, until) VALUES ($1, $2, $4)
                       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                       WHERE l.holder = $2 OR l.until <= $3";
    let done = on!(db, pool => sqlx::query(SQL).bind(name).bind(holder).bind(now).bind(until)
        .execute(pool).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
