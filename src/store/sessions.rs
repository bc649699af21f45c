//! Table `sessions`: one person in one browser, across clients. [`super::logins`] makes them.

use uuid::Uuid;

use super::{Conn, Db, Result, Tx, on, row};
use crate::domain::pkce::CodeChallenge;
use crate::domain::session::Session;
use crate::domain::{EndReason, Fingerprint, NewGrant, SessionId, Timestamp, UserId};

row!(SessionRow { id: Uuid, user_id: Uuid, auth_time: Timestamp });

/// The living session of this cookie.
pub async fn find_live(conn: &mut Conn, token: &Fingerprint, now: Timestamp) -> Result<Option<Session>> {
    const SQL: &str = "SELECT id, user_id, auth_time FROM sessions
                       WHERE token_hash = $1 AND ended_at IS NULL AND idle_expires_at > $2 AND expires_at > $2";
    let row: Option<SessionRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(token.as_bytes()).bind(now).fetch_optional(c).await)?;
    Ok(row.map(|row| Session { id: SessionId(row.id), user: UserId(row.user_id), auth_time: row.auth_time }))
}

/// Notes that a session is used.
macro_rules! use_session {
    () => {
        "UPDATE sessions SET last_used_at = $10, idle_expires_at = $14
         WHERE id = $1 AND ended_at IS NULL AND idle_expires_at > $10 AND expires_at > $10"
    };
}

/// Stores the grant of the session that `$from` finds.
macro_rules! insert_grant {
    ($from:literal) => {
        concat!(
            "INSERT INTO grants (id, user_id, client_id, scope, code_hash, code_expires_at, redirect_uri,
                                 challenge, nonce, auth_time, refreshed_at, idle_expires_at, expires_at, created_at,
                                 resource, user_agent, session_id)
             SELECT $2, u.id, $3, $4, $5, $6, $7, $8, $9, s.auth_time, $10, $6, $11, $10, $12, $13, s.id FROM ",
            $from,
            " s JOIN users u ON u.id = s.user_id WHERE s.id = $1 AND u.disabled_at IS NULL"
        )
    };
}

/// Makes a grant out of a session, without Kakao: in one statement or transaction, which holds the session's row, so that
/// whoever ends the sessions of a user, and then the grants, comes before it or finds the grant. False if the session has
/// ended, or the user is kept out.
pub async fn grant(
    db: &mut Db,
    session: SessionId,
    grant: &NewGrant,
    now: Timestamp,
    idle_expires_at: Timestamp,
) -> Result<bool> {
    const BOTH: &str =
        concat!("WITH s AS (", use_session!(), " RETURNING id, user_id, auth_time) ", insert_grant!("s"));
    const USED: &str = use_session!();
    const GRANT: &str = insert_grant!("sessions");
    let resource = (!grant.resource.is_empty()).then(|| grant.resource.join(" "));

    macro_rules! bound {
        ($query:expr) => {
            $query
                .bind(session.0)
                .bind(grant.id.0)
                .bind(grant.client.as_str())
                .bind(grant.scope.as_str())
                .bind(grant.code.as_bytes())
                .bind(grant.code_expires_at)
                .bind(grant.redirect_uri.as_str())
                .bind(grant.challenge.as_ref().map(CodeChallenge::as_str))
                .bind(grant.nonce.as_deref())
                .bind(now)
                .bind(grant.expires_at)
                .bind(resource.as_deref())
                .bind(grant.user_agent.as_deref())
                .bind(idle_expires_at)
        };
    }
    if db.is_postgres() {
        let made = on!(db, c => bound!(sqlx::query(BOTH)).execute(c).await.map(|done| done.rows_affected()))?;
        return Ok(made == 1);
    }
    let mut tx = Tx::begin(db).await?;
    let used = on!(tx, c => bound!(sqlx::query(USED)).execute(c).await.map(|done| done.rows_affected()))?;
    if used == 0 {
        return Ok(false);
    }
    let made = on!(tx, c => bound!(sqlx::query(GRANT)).execute(c).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    Ok(made == 1)
}

/// Puts a new session in the place of the one that the browser had before: the same person's logins move over, and the
/// old cookie is dead.
pub async fn replace(
    db: &mut Db,
    old: &Fingerprint,
    new: SessionId,
    user: UserId,
    now: Timestamp,
) -> Result<()> {
    const MOVE: &str = "UPDATE grants SET session_id = $2
                        WHERE session_id = (SELECT id FROM sessions WHERE token_hash = $1 AND user_id = $3)";
    const END: &str = "UPDATE sessions SET ended_at = $2 WHERE token_hash = $1 AND ended_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    on!(tx, c => sqlx::query(MOVE).bind(old.as_bytes()).bind(new.0).bind(user.0)
        .execute(c).await.map(drop))?;
    on!(tx, c => sqlx::query(END).bind(old.as_bytes()).bind(now).execute(c).await.map(drop))?;
    tx.commit().await
}

/// Ends a session and all logins that came of it; how many logins.
pub async fn end(db: &mut Db, session: SessionId, reason: EndReason, now: Timestamp) -> Result<u64> {
    const SESSION: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    const GRANTS: &str =
        "UPDATE grants SET ended_at = $2, end_reason = $3 WHERE session_id = $1 AND ended_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    on!(tx, c => sqlx::query(SESSION).bind(session.0).bind(now).execute(c).await.map(drop))?;
    let ended = on!(tx, c => sqlx::query(GRANTS).bind(session.0).bind(now).bind(reason.name())
        .execute(c).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends all sessions of a user, save the one to keep.
pub async fn end_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Result<()> {
    const SQL: &str = "UPDATE sessions SET ended_at = $2
                       WHERE user_id = $1 AND ended_at IS NULL AND ($3 IS NULL OR id <> $3)";
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).bind(keep.map(|session| session.0))
        .execute(c).await.map(drop))?;
    Ok(())
}

/// Ends the sessions of a user that began before `at`.
pub async fn end_older(tx: &mut Tx<'_>, user: UserId, at: Timestamp, now: Timestamp) -> Result<()> {
    const SQL: &str =
        "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL AND created_at < $3";
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).bind(at).execute(c).await.map(drop))?;
    Ok(())
}
