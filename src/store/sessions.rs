//! Table `sessions`: one person in one browser, across clients. [`super::logins`] makes them.

use uuid::Uuid;

use super::{Db, Result, Tx, on, on_tx, row};
use crate::domain::pkce::CodeChallenge;
use crate::domain::session::Session;
use crate::domain::{EndReason, Fingerprint, NewGrant, SessionId, Timestamp, UserId};

row!(SessionRow { id: Uuid, user_id: Uuid, auth_time: Timestamp });

/// The living session of this cookie.
pub async fn find_live(db: &Db, token: &Fingerprint, now: Timestamp) -> Result<Option<Session>> {
    const SQL: &str = "SELECT id, user_id, auth_time FROM sessions
                       WHERE token_hash = $1 AND ended_at IS NULL AND idle_expires_at > $2 AND expires_at > $2";
    let row: Option<SessionRow> = on!(db, pool => sqlx::query_as(SQL)
        .bind(token.as_bytes()).bind(now).fetch_optional(pool).await)?;
    Ok(row.map(|row| Session { id: SessionId(row.id), user: UserId(row.user_id), auth_time: row.auth_time }))
}

/// Makes a grant out of a session, without Kakao. One transaction, which holds the session's row: whoever ends the sessions
/// of a user, and then the grants, comes before it or finds the grant. False if the session has ended, or the user is kept out.
pub async fn grant(
    db: &Db,
    session: SessionId,
    grant: &NewGrant,
    now: Timestamp,
    idle_expires_at: Timestamp,
) -> Result<bool> {
    const USED: &str = "UPDATE sessions SET last_used_at = $2, idle_expires_at = $3
                        WHERE id = $1 AND ended_at IS NULL AND idle_expires_at > $2 AND expires_at > $2";
    const GRANT: &str = "
        INSERT INTO grants (id, user_id, client_id, scope, code_hash, code_expires_at, redirect_uri,
                            challenge, nonce, auth_time, refreshed_at, idle_expires_at, expires_at, created_at,
                            resource, user_agent, session_id)
        SELECT $2, u.id, $3, $4, $5, $6, $7, $8, $9, s.auth_time, $10, $6, $11, $10, $12, $13, s.id
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.id = $1 AND s.ended_at IS NULL AND u.disabled_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    let used = on_tx!(&mut tx, conn => sqlx::query(USED).bind(session.0).bind(now).bind(idle_expires_at)
        .execute(conn).await.map(|done| done.rows_affected()))?;
    if used == 0 {
        return Ok(false);
    }
    let made = on_tx!(&mut tx, conn => sqlx::query(GRANT)
        .bind(session.0).bind(grant.id.0).bind(grant.client.as_str()).bind(grant.scope.as_str())
        .bind(grant.code.as_bytes()).bind(grant.code_expires_at).bind(grant.redirect_uri.as_str())
        .bind(grant.challenge.as_ref().map(CodeChallenge::as_str)).bind(grant.nonce.as_deref())
        .bind(now).bind(grant.expires_at)
        .bind((!grant.resource.is_empty()).then(|| grant.resource.join(" "))).bind(grant.user_agent.as_deref())
        .execute(conn).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    Ok(made == 1)
}

/// Puts a new session in the place of the one that the browser had before: the same person's logins move over, and the
/// old cookie is dead.
pub async fn replace(db: &Db, old: &Fingerprint, new: SessionId, user: UserId, now: Timestamp) -> Result<()> {
    const MOVE: &str = "UPDATE grants SET session_id = $2
                        WHERE session_id = (SELECT id FROM sessions WHERE token_hash = $1 AND user_id = $3)";
    const END: &str = "UPDATE sessions SET ended_at = $2 WHERE token_hash = $1 AND ended_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    on_tx!(&mut tx, conn => sqlx::query(MOVE).bind(old.as_bytes()).bind(new.0).bind(user.0)
        .execute(conn).await.map(drop))?;
    on_tx!(&mut tx, conn => sqlx::query(END).bind(old.as_bytes()).bind(now).execute(conn).await.map(drop))?;
    tx.commit().await
}

/// Ends a session and all logins that came of it; how many logins.
pub async fn end(db: &Db, session: SessionId, reason: EndReason, now: Timestamp) -> Result<u64> {
    const SESSION: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    const GRANTS: &str =
        "UPDATE grants SET ended_at = $2, end_reason = $3 WHERE session_id = $1 AND ended_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    on_tx!(&mut tx, conn => sqlx::query(SESSION).bind(session.0).bind(now).execute(conn).await.map(drop))?;
    let ended = on_tx!(&mut tx, conn => sqlx::query(GRANTS).bind(session.0).bind(now).bind(reason.name())
        .execute(conn).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends all sessions of a user, save the one to keep.
pub async fn end_of_user(tx: &mut Tx, user: UserId, keep: Option<SessionId>, now: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE sessions SET ended_at = $2
                       WHERE user_id = $1 AND ended_at IS NULL AND ($3 IS NULL OR id <> $3)";
    on_tx!(tx, conn => sqlx::query(SQL).bind(user.0).bind(now).bind(keep.map(|session| session.0))
        .execute(conn).await.map(drop))?;
    Ok(())
}

/// Ends the sessions of a user that began before `at`.
pub async fn end_older(tx: &mut Tx, user: UserId, at: Timestamp, now: Timestamp) -> Result<()> {
    const SQL: &str =
        "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL AND created_at < $3";
    on_tx!(tx, conn => sqlx::query(SQL).bind(user.0).bind(now).bind(at).execute(conn).await.map(drop))?;
    Ok(())
}
