//! Table `users`.

use sqlx::types::Json;
use uuid::Uuid;

use super::{Db, Result, Tx, grants, on, on_tx, row};
use crate::domain::{EndReason, KakaoId, Profile, Timestamp, User, UserId};

/// What a login writes about its person.
pub struct NewLogin<'a> {
    /// The id to give if Kakao's number is new here.
    pub id: UserId,
    /// Kakao's member number: the only key. E-mail never links or merges.
    pub kakao_id: KakaoId,
    /// What the person shares now; what is absent is forgotten.
    pub profile: &'a Profile,
    /// Sealed; `None` keeps the one we have.
    pub kakao_refresh_token: Option<&'a [u8]>,
    /// When that token dies.
    pub kakao_refresh_expires_at: Option<Timestamp>,
    /// The consent items that Kakao says were granted.
    pub kakao_scope: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// What the upsert found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// Ours.
    pub id: UserId,
    /// The operator keeps this user out: the caller rolls back.
    pub disabled: bool,
    /// First login.
    pub created: bool,
}

row!(UpsertedRow { id: Uuid, disabled: bool });

/// Makes or updates the user of a Kakao number, in one statement, so that two first logins at once make one user.
pub async fn upsert(tx: &mut Tx, login: &NewLogin<'_>) -> Result<Upserted> {
    const SQL: &str = "
        INSERT INTO users AS u (id, kakao_id, nickname, name, picture, email, email_verified, phone_number,
                                created_at, updated_at, last_login_at,
                                kakao_refresh_token, kakao_refresh_expires_at, kakao_scope)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $9, $10, $11, $12)
        ON CONFLICT (kakao_id) DO UPDATE SET
            nickname = excluded.nickname, name = excluded.name, picture = excluded.picture,
            email = excluded.email, email_verified = excluded.email_verified, phone_number = excluded.phone_number,
            updated_at = CASE WHEN u.nickname IS NOT DISTINCT FROM excluded.nickname
                               AND u.name IS NOT DISTINCT FROM excluded.name
                               AND u.picture IS NOT DISTINCT FROM excluded.picture
                               AND u.email IS NOT DISTINCT FROM excluded.email
                               AND u.email_verified = excluded.email_verified
                               AND u.phone_number IS NOT DISTINCT FROM excluded.phone_number
                              THEN u.updated_at ELSE excluded.updated_at END,
            last_login_at = excluded.last_login_at,
            kakao_refresh_token = COALESCE(excluded.kakao_refresh_token, u.kakao_refresh_token),
            kakao_refresh_expires_at = COALESCE(excluded.kakao_refresh_expires_at, u.kakao_refresh_expires_at),
            kakao_scope = COALESCE(excluded.kakao_scope, u.kakao_scope)
        RETURNING id, disabled_at IS NOT NULL AS disabled";
    let profile = login.profile;
    let row: UpsertedRow = on_tx!(tx, conn => sqlx::query_as(SQL)
        .bind(login.id.0).bind(login.kakao_id.0)
        .bind(profile.nickname.as_deref()).bind(profile.name.as_deref()).bind(profile.picture.as_deref())
        .bind(profile.email.as_deref()).bind(profile.email_verified).bind(profile.phone_number.as_deref())
        .bind(login.now)
        .bind(login.kakao_refresh_token).bind(login.kakao_refresh_expires_at).bind(login.kakao_scope)
        .fetch_one(conn).await)?;
    Ok(Upserted { id: UserId(row.id), disabled: row.disabled, created: row.id == login.id.0 })
}

row!(UserRow {
    id: Uuid,
    kakao_id: Option<i64>,
    nickname: Option<String>,
    name: Option<String>,
    picture: Option<String>,
    email: Option<String>,
    email_verified: bool,
    phone_number: Option<String>,
    roles: Json<Vec<String>>,
    disabled_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_login_at: Timestamp,
});

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            kakao_id: row.kakao_id.map(KakaoId),
            profile: Profile {
                nickname: row.nickname,
                name: row.name,
                picture: row.picture,
                email: row.email,
                email_verified: row.email_verified,
                phone_number: row.phone_number,
            },
            roles: row.roles.0,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login_at: row.last_login_at,
        }
    }
}

/// The user of this id.
pub async fn find(db: &Db, user: UserId) -> Result<Option<User>> {
    const SQL: &str =
        "SELECT id, kakao_id, nickname, name, picture, email, email_verified, phone_number, roles,
                              disabled_at, created_at, updated_at, last_login_at
                       FROM users WHERE id = $1";
    let row: Option<UserRow> = on!(db, pool => sqlx::query_as(SQL).bind(user.0).fetch_optional(pool).await)?;
    Ok(row.map(User::from))
}

/// The user of this Kakao number.
pub async fn find_by_kakao_id(db: &Db, kakao_id: KakaoId) -> Result<Option<User>> {
    const SQL: &str =
        "SELECT id, kakao_id, nickname, name, picture, email, email_verified, phone_number, roles,
                              disabled_at, created_at, updated_at, last_login_at
                       FROM users WHERE kakao_id = $1";
    let row: Option<UserRow> =
        on!(db, pool => sqlx::query_as(SQL).bind(kakao_id.0).fetch_optional(pool).await)?;
    Ok(row.map(User::from))
}

row!(Sealed { kakao_refresh_token: Option<Vec<u8>> });

/// The sealed Kakao refresh token of a user.
pub async fn kakao_refresh_token(db: &Db, user: UserId) -> Result<Option<Vec<u8>>> {
    const SQL: &str = "SELECT kakao_refresh_token FROM users WHERE id = $1";
    let row: Option<Sealed> = on!(db, pool => sqlx::query_as(SQL).bind(user.0).fetch_optional(pool).await)?;
    Ok(row.and_then(|row| row.kakao_refresh_token))
}

/// Keeps a user out and ends all its grants, in one transaction. False if there is no such user or it was out already.
///
/// A login that is under way either commits before, and its grant is ended here, or sees the mark and rolls back.
pub async fn disable(db: &Db, user: UserId, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    let done = on_tx!(&mut tx, conn => sqlx::query(SQL).bind(user.0).bind(now)
        .execute(conn).await.map(|done| done.rows_affected()))?;
    if done == 1 {
        grants::end_of_user(&mut tx, user, EndReason::UserDisabled, now).await?;
    }
    tx.commit().await?;
    Ok(done == 1)
}

/// Lets a user in again. Its old grants stay ended.
pub async fn enable(db: &Db, user: UserId) -> Result<bool> {
    const SQL: &str = "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
    let done =
        on!(db, pool => sqlx::query(SQL).bind(user.0).execute(pool).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Gives a user exactly these roles. False if there is no such user.
pub async fn set_roles(db: &Db, user: UserId, roles: &[String]) -> Result<bool> {
    const SQL: &str = "UPDATE users SET roles = $2 WHERE id = $1";
    let done = on!(db, pool => sqlx::query(SQL).bind(user.0).bind(Json(roles))
        .execute(pool).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
