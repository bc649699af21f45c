//! Users that come from another product: many at a time into `users`, and (in [`foreign`]) out of the tables of others.

pub(crate) mod foreign;
mod shape;

use std::collections::{HashMap, HashSet};

use sqlx::{Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::statement::Statement;
use super::users::new_row;
use super::{Conn, Result, on, row};
use crate::domain::import::NewUser;
use crate::domain::{KakaoId, Timestamp, UserId};

/// Users of one statement. Their columns each stay below `SQLite`'s 32,766 and Postgres' 65,535.
pub(crate) const BATCH: usize = 500;

/// How a user to be made stands to those there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Neither its number nor its id was known: it is made, or could be.
    New,
    /// Its Kakao number belongs to this user, who stays as it is.
    Exists(UserId),
    /// Its id belongs to a user with another Kakao number, or none.
    Taken,
}

/// Whether the schema has the table; asks nothing of its rows.
pub(crate) async fn is_migrated(conn: &mut Conn) -> Result<bool> {
    const SQL: &str = "SELECT kakao_id FROM users WHERE 1 = 0";
    match on!(conn, c => sqlx::query(SQL).execute(c).await.map(drop)) {
        Ok(()) => Ok(true),
        // undefined_table, undefined_column; SQLite says SQLITE_ERROR for both.
        Err(error) if matches!(error.code().as_deref(), Some("42P01" | "42703" | "1")) => Ok(false),
        Err(error) => Err(error),
    }
}

row!(CreatedRow { kakao_id: i64 });

/// Makes those users who are new, in one statement, and says of each how it stood. The others are not touched.
pub(crate) async fn insert(conn: &mut Conn, users: &[NewUser], now: Timestamp) -> Result<Vec<Standing>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let rows = users.iter().map(|user| {
        let row = new_row(user.id, user.kakao_id, &user.profile, user.created_at, user.created_at);
        row.set("disabled_at", user.disabled.then_some(now))
    });
    let mut statement = Statement::default();
    statement.insert("users", rows).push(" ON CONFLICT DO NOTHING RETURNING kakao_id");
    let created: Vec<CreatedRow> = statement.fetch_all(conn).await?;
    let created: HashSet<i64> = created.into_iter().map(|row| row.kakao_id).collect();
    let rest: Vec<&NewUser> = users.iter().filter(|user| !created.contains(&user.kakao_id.0)).collect();
    let mut rest = standing(conn, &rest).await?.into_iter();
    let mut stood = |user: &NewUser| {
        if created.contains(&user.kakao_id.0) {
            return Standing::New;
        }
        // Neither found now: whoever was in the way has just gone. That is not ours to repeat here.
        rest.next().filter(|standing| *standing != Standing::New).unwrap_or(Standing::Taken)
    };
    Ok(users.iter().map(&mut stood).collect())
}

row!(KnownRow { id: Uuid, kakao_id: Option<i64> });

/// How users stand, without making any.
pub(crate) async fn standing(conn: &mut Conn, users: &[&NewUser]) -> Result<Vec<Standing>> {
    macro_rules! select {
        ($database:ty, $conn:expr) => {{
            let mut query =
                QueryBuilder::<$database>::new("SELECT id, kakao_id FROM users WHERE kakao_id IN (");
            let mut list = query.separated(", ");
            for user in users {
                list.push_bind(user.kakao_id.0);
            }
            query.push(") OR id IN (");
            let mut list = query.separated(", ");
            for user in users {
                list.push_bind(user.id.0);
            }
            query.push(")");
            query.build_query_as::<KnownRow>().fetch_all($conn).await
        }};
    }
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let known: Vec<KnownRow> = on!(conn, postgres c => select!(Postgres, c), sqlite c => select!(Sqlite, c))?;
    let of_number: HashMap<KakaoId, UserId> =
        known.iter().filter_map(|row| Some((KakaoId(row.kakao_id?), UserId(row.id)))).collect();
    let ids: HashSet<UserId> = known.iter().map(|row| UserId(row.id)).collect();
    let stands = |user: &&NewUser| match of_number.get(&user.kakao_id) {
        Some(id) => Standing::Exists(*id),
        None if ids.contains(&user.id) => Standing::Taken,
        None => Standing::New,
    };
    Ok(users.iter().map(stands).collect())
}
