//! What ended lately, for the revocation feed: columns of `grants` and `users`.

use uuid::Uuid;

use super::{Conn, Result, on, row};
use crate::domain::{GrantId, Timestamp, UserId};

/// A grant or user whose tokens are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// All tokens of a grant.
    Grant(GrantId, Timestamp),
    /// All tokens of a user that were issued before.
    User(UserId, Timestamp),
}

row!(Row { id: Uuid, at: Timestamp });

/// Everything revoked since `from`.
pub(crate) async fn since(conn: &mut Conn, from: Timestamp) -> Result<Vec<Revoked>> {
    const GRANTS: &str =
        "SELECT id, ended_at AS at FROM grants WHERE ended_at IS NOT NULL AND ended_at >= $1";
    const USERS: &str = "SELECT id, tokens_valid_from AS at FROM users
                         WHERE tokens_valid_from IS NOT NULL AND tokens_valid_from >= $1";
    let grants: Vec<Row> = on!(conn, c => sqlx::query_as(GRANTS).bind(from).fetch_all(c).await)?;
    let users: Vec<Row> = on!(conn, c => sqlx::query_as(USERS).bind(from).fetch_all(c).await)?;
    let grants = grants.into_iter().map(|row| Revoked::Grant(GrantId(row.id), row.at));
    Ok(grants.chain(users.into_iter().map(|row| Revoked::User(UserId(row.id), row.at))).collect())
}
