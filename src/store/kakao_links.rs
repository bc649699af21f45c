//! Columns of `users`: the link to Kakao. What an event does is one statement that touches only what is older than it.

use uuid::Uuid;

use super::outbox::KAKAO_UNLINKS;
use super::profile;
use super::standing::{login_counts, void_before};
use super::statement::Statement;
use super::{Conn, Result, Tx, on, row};
use crate::domain::{KakaoId, Profile, ProfileField, Timestamp, UserId};

row!(LinkRow {
    kakao_id: Option<i64>,
    kakao_refresh_token: Option<Vec<u8>>,
    kakao_scope: Option<String>,
    unlinked_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
});

/// The link of a user, as the token broker needs it.
pub(crate) struct Link {
    /// Kakao's number.
    pub(crate) kakao_id: Option<KakaoId>,
    pub(crate) refresh_token: Option<Vec<u8>>,
    /// Consent items, where Kakao said which.
    pub(crate) scope: Option<String>,
    /// No longer linked.
    pub(crate) unlinked: bool,
    /// The account is deleted.
    pub(crate) deleted: bool,
    /// The operator keeps the user out.
    pub(crate) disabled: bool,
}

/// The link of a user.
pub(crate) async fn find(conn: &mut Conn, user: UserId) -> Result<Option<Link>> {
    const SQL: &str =
        "SELECT kakao_id, kakao_refresh_token, kakao_scope, unlinked_at, deleted_at, disabled_at
                       FROM users WHERE id = $1";
    let row: Option<LinkRow> = on!(conn, c => sqlx::query_as(SQL).bind(user.0).fetch_optional(c).await)?;
    Ok(row.map(|row| Link {
        kakao_id: row.kakao_id.map(KakaoId),
        refresh_token: row.kakao_refresh_token,
        scope: row.kakao_scope,
        unlinked: row.unlinked_at.is_some(),
        deleted: row.deleted_at.is_some(),
        disabled: row.disabled_at.is_some(),
    }))
}

/// A refresh token that Kakao sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewToken<'a> {
    pub(crate) encrypted: &'a [u8],
    /// When it expires, if Kakao said so.
    pub(crate) expires_at: Option<Timestamp>,
    /// When it came.
    pub(crate) came_at: Timestamp,
}

/// Puts the refresh token that Kakao sent in the place of the one that it was sent for. A login that came in between stays.
pub(crate) async fn replace_token(
    conn: &mut Conn,
    user: UserId,
    old: &[u8],
    new: &NewToken<'_>,
) -> Result<bool> {
    const SQL: &str =
        "UPDATE users SET kakao_refresh_token = $3, kakao_refresh_expires_at = $4, kakao_token_at = $5
                       WHERE id = $1 AND kakao_refresh_token = $2";
    let done = on!(conn, c => sqlx::query(SQL).bind(user.0).bind(old).bind(new.encrypted)
        .bind(new.expires_at).bind(new.came_at).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Forgets a refresh token that Kakao no longer takes, if it is still the one that we have.
pub(crate) async fn forget_token(conn: &mut Conn, user: UserId, old: &[u8]) -> Result<bool> {
    const SQL: &str = "UPDATE users SET kakao_refresh_token = NULL, kakao_refresh_expires_at = NULL
                       WHERE id = $1 AND kakao_refresh_token = $2";
    let done = on!(conn, c => sqlx::query(SQL).bind(user.0).bind(old)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Records which consent items Kakao says are granted.
pub(crate) async fn set_scope(conn: &mut Conn, user: UserId, scope: &str) -> Result<()> {
    const SQL: &str =
        "UPDATE users SET kakao_scope = $2 WHERE id = $1 AND unlinked_at IS NULL AND deleted_at IS NULL";
    on!(conn, c => sqlx::query(SQL).bind(user.0).bind(scope).execute(c).await.map(drop))?;
    Ok(())
}

row!(IdRow { id: Uuid });

/// Claims some users whose refresh token dies before `horizon` and who were not tried since `tried_before`.
pub(crate) async fn claim_for_renewal(
    conn: &mut Conn,
    horizon: Timestamp,
    tried_before: Timestamp,
    now: Timestamp,
    most: u32,
) -> Result<Vec<UserId>> {
    const SQL: &str = "
        UPDATE users SET kakao_renewed_at = $3
        WHERE id IN (SELECT id FROM users
                     WHERE kakao_refresh_expires_at <= $1 AND kakao_refresh_token IS NOT NULL
                       AND disabled_at IS NULL AND (kakao_renewed_at IS NULL OR kakao_renewed_at <= $2)
                     ORDER BY kakao_refresh_expires_at LIMIT $4)
          AND (kakao_renewed_at IS NULL OR kakao_renewed_at <= $2)
        RETURNING id";
    let rows: Vec<IdRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(horizon).bind(tried_before).bind(now).bind(i64::from(most)).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|row| UserId(row.id)).collect())
}

row!(StaleRow { id: Uuid, kakao_id: i64 });

/// Claims some users whose profile has changed at Kakao since it was read.
pub(crate) async fn claim_stale(
    conn: &mut Conn,
    tried_before: Timestamp,
    now: Timestamp,
) -> Result<Vec<(UserId, KakaoId)>> {
    const SQL: &str = "
        UPDATE users SET profile_tried_at = $2
        WHERE id IN (SELECT id FROM users
                     WHERE profile_stale_at IS NOT NULL AND kakao_id IS NOT NULL AND unlinked_at IS NULL
                       AND (profile_tried_at IS NULL OR profile_tried_at <= $1)
                     ORDER BY profile_stale_at LIMIT 20)
          AND (profile_tried_at IS NULL OR profile_tried_at <= $1)
        RETURNING id, kakao_id";
    let rows: Vec<StaleRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(tried_before).bind(now).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|row| (UserId(row.id), KakaoId(row.kakao_id))).collect())
}

/// Writes the profile that was read at `read_at`; what is absent is forgotten. A login since then knows better.
pub(crate) async fn write_profile(
    conn: &mut Conn,
    user: UserId,
    profile: &Profile,
    needs_agreement: &[String],
    read_at: Timestamp,
) -> Result<bool> {
    let needs = needs_agreement.join(" ");
    let mut statement = Statement::new("UPDATE users SET ");
    profile::replace(&mut statement, profile);
    statement.push(", needs_agreement = ").bind((!needs.is_empty()).then_some(needs.as_str()));
    statement.push(", profile_read_at = ").bind(read_at).push(", updated_at = ").bind(read_at);
    statement.push(", profile_stale_at = CASE WHEN profile_stale_at <= ").bind(read_at);
    statement.push(" THEN NULL ELSE profile_stale_at END WHERE id = ").bind(user.0);
    statement.push(" AND deleted_at IS NULL AND unlinked_at IS NULL");
    statement.push(" AND (profile_read_at IS NULL OR profile_read_at <= ").bind(read_at).push(")");
    Ok(statement.execute(conn).await? == 1)
}

/// Nobody can read the profile now: the next login will.
pub(crate) async fn give_up_stale(conn: &mut Conn, user: UserId, at: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE users SET profile_stale_at = NULL WHERE id = $1 AND profile_stale_at <= $2";
    on!(conn, c => sqlx::query(SQL).bind(user.0).bind(at).execute(c).await.map(drop))?;
    Ok(())
}

/// Kakao refused this person for being under 14.
pub(crate) async fn refused_under_age(conn: &mut Conn, kakao_id: KakaoId, now: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE users SET under_age_at = $2 WHERE kakao_id = $1 AND deleted_at IS NULL";
    on!(conn, c => sqlx::query(SQL).bind(kakao_id.0).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// Whether somebody of this number has logged in since.
pub(crate) async fn returned_since(conn: &mut Conn, kakao_id: KakaoId, since: Timestamp) -> Result<bool> {
    const SQL: &str =
        "SELECT id FROM users WHERE kakao_id = $1 AND deleted_at IS NULL AND last_login_at > $2";
    let row: Option<IdRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(kakao_id.0).bind(since).fetch_optional(c).await)?;
    Ok(row.is_some())
}

/// Whether a login of this person at `at` no longer counts, be the account still there or not.
pub(crate) async fn ended_since(conn: &mut Conn, kakao_id: KakaoId, at: Timestamp) -> Result<bool> {
    const SQL: &str = concat!(
        "SELECT id FROM users WHERE kakao_id = $1 AND disabled_at IS NULL AND NOT ",
        login_counts!("users", "$2"),
        " UNION ALL SELECT key AS id FROM outbox WHERE queue = $3 AND lane = $4 AND created_at > $2 LIMIT 1"
    );
    let row: Option<IdRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(kakao_id.0).bind(at).bind(KAKAO_UNLINKS.name).bind(kakao_id.to_string())
        .fetch_optional(c).await)?;
    Ok(row.is_some())
}

/// The user of a number, inside a transaction; none after a deletion.
pub(crate) async fn of_kakao_id(tx: &mut Tx<'_>, kakao_id: KakaoId) -> Result<Option<UserId>> {
    const SQL: &str = "SELECT id FROM users WHERE kakao_id = $1 AND deleted_at IS NULL";
    let row: Option<IdRow> = on!(tx, c => sqlx::query_as(SQL).bind(kakao_id.0).fetch_optional(c).await)?;
    Ok(row.map(|row| UserId(row.id)))
}

/// Ends the link of a user who has not logged in since `at`; false if there was none to end. `disable` keeps the user out.
pub async fn unlink(
    tx: &mut Tx<'_>,
    user: UserId,
    at: Timestamp,
    reason: &str,
    disable: bool,
) -> Result<bool> {
    const SQL: &str = concat!("
        UPDATE users SET ", void_before!("$2"), ", unlinked_at = $2, unlink_reason = $3, kakao_refresh_token = NULL,
                         kakao_refresh_expires_at = NULL, kakao_scope = NULL, profile_stale_at = NULL,
                         -- What the operator did stands; what an earlier event did follows the later one.
                         disabled_at = CASE WHEN $4 AND (disabled_at IS NULL OR disabled_at = unlinked_at) THEN $2
                                            ELSE disabled_at END
        WHERE id = $1 AND deleted_at IS NULL AND last_login_at < $2 AND (unlinked_at IS NULL OR unlinked_at < $2)");
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(at).bind(reason).bind(disable)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Forgets a refresh token that was stored before `at`.
pub(crate) async fn forget_older_token(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE users SET kakao_refresh_token = NULL, kakao_refresh_expires_at = NULL
                       WHERE id = $1 AND kakao_refresh_token IS NOT NULL
                         AND (kakao_token_at IS NULL OR kakao_token_at < $2)";
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// The profile that was read before `at` is to be read again.
pub(crate) async fn mark_stale(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE users SET profile_stale_at = $2
                       WHERE id = $1 AND unlinked_at IS NULL AND (profile_read_at IS NULL OR profile_read_at < $2)
                         AND (profile_stale_at IS NULL OR profile_stale_at < $2)";
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// An address and number that were read before `at` are trusted no more.
pub(crate) async fn distrust_identifiers(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE users SET email_verified = $3, phone_number = NULL
                       WHERE id = $1 AND (profile_read_at IS NULL OR profile_read_at < $2)";
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(at).bind(false).execute(c).await.map(drop))?;
    Ok(())
}

/// Erases fields that were read before `at`.
pub(crate) async fn erase_fields(
    tx: &mut Tx<'_>,
    user: UserId,
    at: Timestamp,
    fields: &[ProfileField],
) -> Result<()> {
    let mut statement = Statement::new("UPDATE users SET ");
    for column in profile::erase(fields) {
        statement.push(&column).push(", ");
    }
    // Kakao is asked again before anybody is told that it was granted.
    statement.push("kakao_scope = NULL WHERE id = ").bind(user.0);
    statement.push(" AND (profile_read_at IS NULL OR profile_read_at < ").bind(at).push(")");
    statement.execute(tx).await.map(drop)
}
