//! Table `login_attempts`: who may finish an attempt, and how it ended if it failed.

use super::{Conn, Result, on, row};
use crate::domain::{AttemptFailure, AttemptId, AttemptOutcome, Timestamp};

/// Claims an attempt. True for exactly one caller, ever.
pub async fn claim(
    conn: &mut Conn,
    attempt: AttemptId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    const SQL: &str = "INSERT INTO login_attempts (id, claimed_at, expires_at) VALUES ($1, $2, $3)
                       ON CONFLICT (id) DO NOTHING";
    let inserted = on!(conn, c => sqlx::query(SQL)
        .bind(attempt.as_bytes()).bind(now).bind(expires_at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(inserted == 1)
}

/// Records why the claimed attempt failed.
pub async fn fail(conn: &mut Conn, attempt: AttemptId, failure: &AttemptFailure) -> Result<()> {
    const SQL: &str =
        "UPDATE login_attempts SET failure = $2, kakao_fault = $3 WHERE id = $1 AND failure IS NULL";
    on!(conn, c => sqlx::query(SQL)
        .bind(attempt.as_bytes()).bind(&failure.code).bind(&failure.fault)
        .execute(c).await.map(drop))?;
    Ok(())
}

row!(Outcome { claimed_at: Timestamp, failure: Option<String>, kakao_fault: Option<String>, logged_in: bool });

/// How far the attempt has come. A login needs no mark of its own: its grant is the mark.
pub async fn outcome(conn: &mut Conn, attempt: AttemptId) -> Result<AttemptOutcome> {
    const SQL: &str =
        "SELECT claimed_at, failure, kakao_fault, EXISTS (SELECT 1 FROM grants WHERE attempt_id = $1) AS logged_in
                       FROM login_attempts WHERE id = $1";
    let found: Option<Outcome> =
        on!(conn, c => sqlx::query_as(SQL).bind(attempt.as_bytes()).fetch_optional(c).await)?;
    Ok(match found {
        None => AttemptOutcome::Unclaimed,
        Some(Outcome { logged_in: true, .. }) => AttemptOutcome::LoggedIn,
        Some(Outcome { failure: Some(code), kakao_fault: fault, .. }) => {
            AttemptOutcome::Failed(AttemptFailure { code, fault })
        }
        Some(Outcome { failure: None, claimed_at, .. }) => AttemptOutcome::Running { claimed_at },
    })
}
