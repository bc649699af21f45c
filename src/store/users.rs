//! Table `users`.

use sqlx::types::Json;
use uuid::Uuid;

use super::{Db, Result, Tx, grants, on, on_tx, row, sessions};
use crate::domain::{EndReason, KakaoId, Profile, Timestamp, User, UserId};

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

/// Keeps a user out and ends all its grants and sessions, in one transaction. False if there is no such user or it was out already.
///
/// A login that is under way either commits before, and its grant is ended here, or sees the mark and rolls back.
pub async fn disable(db: &Db, user: UserId, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
    let mut tx = Tx::begin(db).await?;
    let done = on_tx!(&mut tx, conn => sqlx::query(SQL).bind(user.0).bind(now)
        .execute(conn).await.map(|done| done.rows_affected()))?;
    if done == 1 {
        grants::end_of_user(&mut tx, user, EndReason::UserDisabled, now).await?;
        sessions::end_of_user(&mut tx, user, None, now).await?;
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
