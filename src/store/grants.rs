//! Table `grants`: codes are spent and refresh tokens rotated here, each by one conditional statement.

use sqlx::types::Json;
use uuid::Uuid;

use super::{Conn, Error, Result, Tx, on, row};
use crate::domain::pkce::CodeChallenge;
use crate::domain::{
    ClientId, EndReason, Fingerprint, Grant, GrantId, Rotated, Scope, SessionId, SpentCode, Timestamp, UserId,
};

row!(SpentRow {
    id: Uuid,
    user_id: Uuid,
    scope: String,
    redirect_uri: String,
    challenge: Option<String>,
    nonce: Option<String>,
    auth_time: Timestamp,
    roles: Json<Vec<String>>,
    resource: Option<String>,
});

/// Spends a code: the one caller that finds it unspent, in time, and its own gets the grant (RFC 6749 §4.1.2).
pub async fn spend_code(
    conn: &mut Conn,
    code: &Fingerprint,
    client: &ClientId,
    now: Timestamp,
    idle_expires_at: Timestamp,
) -> Result<Option<SpentCode>> {
    const SQL: &str = "
        UPDATE grants SET code_spent_at = $3, generation = 1, refreshed_at = $3, idle_expires_at = $4
        WHERE code_hash = $1 AND client_id = $2 AND code_spent_at IS NULL AND code_expires_at > $3 AND ended_at IS NULL
        RETURNING id, user_id, scope, redirect_uri, challenge, nonce, auth_time, resource,
                  (SELECT roles FROM users WHERE users.id = grants.user_id) AS roles";
    let row: Option<SpentRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(code.as_bytes()).bind(client.as_str()).bind(now).bind(idle_expires_at)
        .fetch_optional(c).await)?;
    row.map(|row| {
        Ok(SpentCode {
            id: GrantId(row.id),
            user: UserId(row.user_id),
            scope: scope(&row.scope, row.id)?,
            redirect_uri: row.redirect_uri,
            challenge: challenge(row.challenge, row.id)?,
            nonce: row.nonce,
            auth_time: row.auth_time,
            roles: row.roles.0,
            resource: resources(row.resource.as_deref()),
        })
    })
    .transpose()
}

row!(RotatedRow { user_id: Uuid, scope: String, auth_time: Timestamp, generation: i64, roles: Json<Vec<String>>, resource: Option<String> });

/// What a refresh presents, and until when the grant lives unused after it.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The grant of the refresh token.
    pub grant: GrantId,
    /// The client that presents it.
    pub client: &'a ClientId,
    /// The generation of the refresh token.
    pub generation: i64,
    /// Until when the grant then lives unused.
    pub idle_expires_at: Timestamp,
}

/// Rotates: the one caller that presents the current generation of a living grant of its own moves it on.
pub async fn rotate(conn: &mut Conn, asked: &Rotation<'_>, now: Timestamp) -> Result<Option<Rotated>> {
    const SQL: &str = "
        UPDATE grants SET generation = generation + 1, refreshed_at = $4, idle_expires_at = $5
        WHERE id = $1 AND client_id = $2 AND generation = $3 AND generation > 0
          AND ended_at IS NULL AND idle_expires_at > $4 AND expires_at > $4
        RETURNING user_id, scope, auth_time, generation, resource,
                  (SELECT roles FROM users WHERE users.id = grants.user_id) AS roles";
    let row: Option<RotatedRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(asked.grant.0).bind(asked.client.as_str()).bind(asked.generation).bind(now)
        .bind(asked.idle_expires_at)
        .fetch_optional(c).await)?;
    row.map(|row| {
        Ok(Rotated {
            user: UserId(row.user_id),
            scope: scope(&row.scope, asked.grant.0)?,
            auth_time: row.auth_time,
            generation: row.generation,
            roles: row.roles.0,
            resource: resources(row.resource.as_deref()),
        })
    })
    .transpose()
}

row!(GrantRow {
    id: Uuid,
    user_id: Uuid,
    client_id: String,
    scope: String,
    challenge: Option<String>,
    auth_time: Timestamp,
    code_spent_at: Option<Timestamp>,
    generation: i64,
    refreshed_at: Timestamp,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
    roles: Json<Vec<String>>,
    resource: Option<String>,
});

impl TryFrom<GrantRow> for Grant {
    type Error = Error;

    fn try_from(row: GrantRow) -> Result<Self> {
        Ok(Self {
            id: GrantId(row.id),
            user: UserId(row.user_id),
            client: ClientId(row.client_id),
            scope: scope(&row.scope, row.id)?,
            challenge: challenge(row.challenge, row.id)?,
            auth_time: row.auth_time,
            code_spent_at: row.code_spent_at,
            generation: row.generation,
            refreshed_at: row.refreshed_at,
            idle_expires_at: row.idle_expires_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            roles: row.roles.0,
            resource: resources(row.resource.as_deref()),
        })
    }
}

/// The grant of this id.
pub async fn find(conn: &mut Conn, grant: GrantId) -> Result<Option<Grant>> {
    const SQL: &str = "
        SELECT grants.id, user_id, client_id, scope, challenge, auth_time, code_spent_at, generation, refreshed_at,
               idle_expires_at, expires_at, ended_at, roles, resource
        FROM grants JOIN users ON users.id = grants.user_id WHERE grants.id = $1";
    let row: Option<GrantRow> = on!(conn, c => sqlx::query_as(SQL).bind(grant.0).fetch_optional(c).await)?;
    row.map(Grant::try_from).transpose()
}

/// The grant that this code was made for, spent or not.
pub async fn find_by_code(conn: &mut Conn, code: &Fingerprint) -> Result<Option<Grant>> {
    const SQL: &str = "
        SELECT grants.id, user_id, client_id, scope, challenge, auth_time, code_spent_at, generation, refreshed_at,
               idle_expires_at, expires_at, ended_at, roles, resource
        FROM grants JOIN users ON users.id = grants.user_id WHERE code_hash = $1";
    let row: Option<GrantRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(code.as_bytes()).fetch_optional(c).await)?;
    row.map(Grant::try_from).transpose()
}

/// Whether a grant was not ended before its time: what introspection asks, by the primary key alone.
pub async fn is_live(conn: &mut Conn, grant: GrantId) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM grants WHERE id = $1 AND ended_at IS NULL";
    let found =
        on!(conn, c => sqlx::query(SQL).bind(grant.0).fetch_optional(c).await.map(|row| row.is_some()))?;
    Ok(found)
}

/// Ends a grant. True for the one caller that ended it.
pub async fn end(conn: &mut Conn, grant: GrantId, reason: EndReason, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE grants SET ended_at = $3, end_reason = $2 WHERE id = $1 AND ended_at IS NULL";
    let done = on!(conn, c => sqlx::query(SQL).bind(grant.0).bind(reason.name()).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// A login of a user, as its own list of devices shows it.
pub struct Login {
    /// The grant.
    pub id: GrantId,
    /// At which client.
    pub client: ClientId,
    /// The browser, as it named itself.
    pub user_agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// The browser session that it belongs to.
    pub session: Option<SessionId>,
}

row!(LoginRow {
    id: Uuid,
    client_id: String,
    user_agent: Option<String>,
    created_at: Timestamp,
    refreshed_at: Timestamp,
    session_id: Option<Uuid>,
});

impl From<LoginRow> for Login {
    fn from(row: LoginRow) -> Self {
        Self {
            id: GrantId(row.id),
            client: ClientId(row.client_id),
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_used_at: row.refreshed_at,
            session: row.session_id.map(SessionId),
        }
    }
}

/// The living logins of a user, the last used first, a hundred at most.
pub async fn of_user(conn: &mut Conn, user: UserId, now: Timestamp) -> Result<Vec<Login>> {
    const SQL: &str = "
        SELECT id, client_id, user_agent, created_at, refreshed_at, session_id FROM grants
        WHERE user_id = $1 AND ended_at IS NULL AND generation > 0 AND idle_expires_at > $2 AND expires_at > $2
        ORDER BY refreshed_at DESC, id LIMIT 100";
    let rows: Vec<LoginRow> = on!(conn, c => sqlx::query_as(SQL).bind(user.0).bind(now).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Login::from).collect())
}

/// The login of this id, if it is this user's and was not ended.
pub async fn of_user_by_id(conn: &mut Conn, user: UserId, grant: GrantId) -> Result<Option<Login>> {
    const SQL: &str = "SELECT id, client_id, user_agent, created_at, refreshed_at, session_id FROM grants
                       WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    let row: Option<LoginRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(grant.0).bind(user.0).fetch_optional(c).await)?;
    Ok(row.map(Login::from))
}

/// Ends the logins of a user, save one and those of its browser session; returns how many.
pub async fn end_others(
    tx: &mut Tx<'_>,
    user: UserId,
    keep: &Login,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64> {
    const SQL: &str = "UPDATE grants SET ended_at = $3, end_reason = $2
                       WHERE user_id = $1 AND ended_at IS NULL AND id <> $4
                         AND (session_id IS NULL OR $5 IS NULL OR session_id <> $5)";
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(reason.name()).bind(now)
        .bind(keep.id.0).bind(keep.session.map(|session| session.0))
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done)
}

/// Ends all grants of a user that still live; returns how many.
pub async fn end_of_user(tx: &mut Tx<'_>, user: UserId, reason: EndReason, now: Timestamp) -> Result<u64> {
    const SQL: &str =
        "UPDATE grants SET ended_at = $3, end_reason = $2 WHERE user_id = $1 AND ended_at IS NULL";
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(reason.name()).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done)
}

/// Ends the grants of a user whose person proved themselves at Kakao before `at`; returns how many.
pub async fn end_older(
    tx: &mut Tx<'_>,
    user: UserId,
    at: Timestamp,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64> {
    const SQL: &str = "UPDATE grants SET ended_at = $3, end_reason = $2
                       WHERE user_id = $1 AND ended_at IS NULL
                         AND (created_at < $4
                              OR session_id IN (SELECT id FROM sessions WHERE user_id = $1 AND created_at < $4))";
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(reason.name()).bind(now).bind(at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done)
}

fn resources(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

fn scope(text: &str, row: Uuid) -> Result<Scope> {
    Scope::parse(text).map_err(|_| Error::impossible("grants", "scope", &row))
}

fn challenge(text: Option<String>, row: Uuid) -> Result<Option<CodeChallenge>> {
    text.map(|text| CodeChallenge::parse(&text))
        .transpose()
        .map_err(|_| Error::impossible("grants", "challenge", &row))
}
