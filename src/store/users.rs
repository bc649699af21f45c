//! Table `users`.

use std::sync::LazyLock;

use sqlx::types::Json;
use uuid::Uuid;

use super::outbox::put_user_ending;
use super::profile::{self, ProfileColumns};
use super::standing::{moved_on, void_before};
use super::statement::{Row, Statement};

use super::{Conn, Db, Result, Tx, audit, on, row};
use crate::domain::{
    AuditEvent, Consent, EndReason, KakaoId, Profile, ServiceTerm, Timestamp, User, UserId, consent,
};

row!(UserRow {
    id: Uuid,
    kakao_id: Option<i64>,
    kakao_scope: Option<String>,
    needs_agreement: Option<String>,
    service_terms: Option<Json<Vec<ServiceTerm>>>,
    under_age_at: Option<Timestamp>,
    unlinked_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    profile_read_at: Option<Timestamp>,
    roles: Json<Vec<String>>,
    disabled_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_login_at: Timestamp;
    profile: ProfileColumns
});

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            kakao_id: row.kakao_id.map(KakaoId),
            profile: row.profile.0,
            consent: Consent {
                scopes: row.kakao_scope.as_deref().map(consent::items),
                needs_agreement: row.needs_agreement.as_deref().map(consent::items).unwrap_or_default(),
                service_terms: row.service_terms.map(|terms| terms.0),
            },
            under_age_at: row.under_age_at,
            unlinked_at: row.unlinked_at,
            deleted_at: row.deleted_at,
            profile_read_at: row.profile_read_at,
            roles: row.roles.0,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login_at: row.last_login_at,
        }
    }
}

static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT id, kakao_id, {}, kakao_scope, needs_agreement, service_terms, under_age_at, unlinked_at, deleted_at,
                profile_read_at, roles, disabled_at, created_at, updated_at, last_login_at
         FROM users WHERE ",
        profile::columns()
    )
});

/// The user of this id.
pub async fn find(conn: &mut Conn, user: UserId) -> Result<Option<User>> {
    let mut statement = Statement::new(&SELECT);
    statement.push("id = ").bind(user.0);
    Ok(statement.fetch_optional::<UserRow>(conn).await?.map(User::from))
}

/// The user of this Kakao number.
pub async fn find_by_kakao_id(conn: &mut Conn, kakao_id: KakaoId) -> Result<Option<User>> {
    let mut statement = Statement::new(&SELECT);
    statement.push("kakao_id = ").bind(kakao_id.0);
    Ok(statement.fetch_optional::<UserRow>(conn).await?.map(User::from))
}

/// What every new user has. The one binder of `INSERT INTO users`, for logins and imports; each sets beside it what it knows.
pub(super) fn new_row(
    id: UserId,
    kakao_id: KakaoId,
    profile: &Profile,
    created_at: Timestamp,
    last_login_at: Timestamp,
) -> Row<'_> {
    let row = Row::default().set("id", id.0).set("kakao_id", kakao_id.0);
    profile::of_new_row(row, profile)
        .set("created_at", created_at)
        .set("updated_at", created_at)
        .set("last_login_at", last_login_at)
}

/// Voids the logins of a user from before `at`, and the tokens that were issued before.
pub async fn void_logins(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> Result<()> {
    const SQL: &str = concat!("UPDATE users SET ", void_before!("$2"), " WHERE id = $1");
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(at).execute(c).await.map(drop))?;
    Ok(())
}

row!(StandingRow { logins_valid_from: Option<Timestamp> });

/// Since when the logins of a user count. Until the transaction is over, nobody else ends any, or begins one at Kakao.
pub(crate) async fn lock(tx: &mut Tx<'_>, user: UserId) -> Result<Option<Timestamp>> {
    const SQL: &str =
        "UPDATE users SET logins_valid_from = logins_valid_from WHERE id = $1 RETURNING logins_valid_from";
    let row: Option<StandingRow> = on!(tx, c => sqlx::query_as(SQL).bind(user.0).fetch_optional(c).await)?;
    Ok(row.and_then(|row| row.logins_valid_from))
}

row!(OneRow { id: Uuid });

/// Whether all tokens of a user are void that were issued before `at`.
pub(crate) async fn tokens_void_since(conn: &mut Conn, user: UserId, at: Timestamp) -> Result<bool> {
    const SQL: &str = "SELECT id FROM users WHERE id = $1 AND tokens_valid_from >= $2";
    let row: Option<OneRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(user.0).bind(at).fetch_optional(c).await)?;
    Ok(row.is_some_and(|row| row.id == user.0))
}

/// Voids the logins of a user from before `at`, but no tokens: some logins were kept.
pub(crate) async fn void_other_logins(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> Result<()> {
    const SQL: &str = concat!("UPDATE users SET ", moved_on!("logins_valid_from", "$2"), " WHERE id = $1");
    on!(tx, c => sqlx::query(SQL).bind(user.0).bind(at).execute(c).await.map(drop))?;
    Ok(())
}

row!(EncryptedTokenRow { id: Uuid, kakao_id: i64, kakao_refresh_token: Vec<u8> });

/// A encrypted Kakao refresh token, with the user and the number that its seal is bound to.
pub(crate) struct EncryptedToken {
    /// The user.
    pub(crate) user: UserId,
    /// Kakao's number.
    pub(crate) kakao_id: KakaoId,
    /// The token, encrypted.
    pub(crate) encrypted: Vec<u8>,
}

/// Some of the Kakao refresh tokens that were not encrypted with this key (their first bytes name it), behind this user, in
/// order.
pub(crate) async fn encrypted_with_other_keys(
    conn: &mut Conn,
    key_id: &[u8],
    after: UserId,
    most: i32,
) -> Result<Vec<EncryptedToken>> {
    const SQL: &str = "SELECT id, kakao_id, kakao_refresh_token FROM users
                       WHERE kakao_refresh_token IS NOT NULL AND kakao_id IS NOT NULL
                         AND substr(kakao_refresh_token, 1, 4) <> $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows: Vec<EncryptedTokenRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(key_id).bind(after.0).bind(most).fetch_all(c).await)?;
    let token = |row: EncryptedTokenRow| EncryptedToken {
        user: UserId(row.id),
        kakao_id: KakaoId(row.kakao_id),
        encrypted: row.kakao_refresh_token,
    };
    Ok(rows.into_iter().map(token).collect())
}

/// Replaces a encrypted Kakao refresh token, if it is still the one that was read.
pub(crate) async fn reencrypt(conn: &mut Conn, user: UserId, old: &[u8], new: &[u8]) -> Result<bool> {
    const SQL: &str = "UPDATE users SET kakao_refresh_token = $3 WHERE id = $1 AND kakao_refresh_token = $2";
    let done = on!(conn, c => sqlx::query(SQL).bind(user.0).bind(old).bind(new)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

row!(Encrypted { kakao_refresh_token: Option<Vec<u8>> });

/// The encrypted Kakao refresh token of a user.
pub async fn kakao_refresh_token(conn: &mut Conn, user: UserId) -> Result<Option<Vec<u8>>> {
    const SQL: &str = "SELECT kakao_refresh_token FROM users WHERE id = $1";
    let row: Option<Encrypted> = on!(conn, c => sqlx::query_as(SQL).bind(user.0).fetch_optional(c).await)?;
    Ok(row.and_then(|row| row.kakao_refresh_token))
}

/// Keeps a user out and ends all its logins: one row, however many there are. False if there is no such user or it was out
/// already.
///
/// A login that is under way either commits before, and no longer counts, or sees the mark and rolls back.
pub async fn disable(db: &mut Db, user: UserId, now: Timestamp) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE users SET disabled_at = $2, ",
        void_before!("$3"),
        " WHERE id = $1 AND disabled_at IS NULL"
    );
    let mut tx = Tx::begin(db).await?;
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).bind(now.just_after())
        .execute(c).await.map(|done| done.rows_affected()))?;
    if done == 0 {
        return Ok(false);
    }
    put_user_ending(&mut tx, user, EndReason::UserDisabled, now).await?;
    audit::record(&mut tx, now, &AuditEvent::UserDisabled { user }).await?;
    tx.commit().await?;
    Ok(true)
}

/// Lets a user in again. Its old grants stay ended.
pub async fn enable(db: &mut Db, user: UserId, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
    let mut tx = Tx::begin(db).await?;
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).execute(c).await.map(|done| done.rows_affected()))?;
    if done == 0 {
        return Ok(false);
    }
    audit::record(&mut tx, now, &AuditEvent::UserEnabled { user }).await?;
    tx.commit().await?;
    Ok(true)
}

/// Gives a user exactly these roles. False if there is no such user.
pub async fn set_roles(conn: &mut Conn, user: UserId, roles: &[String]) -> Result<bool> {
    const SQL: &str = "UPDATE users SET roles = $2 WHERE id = $1";
    let done = on!(conn, c => sqlx::query(SQL).bind(user.0).bind(Json(roles))
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
