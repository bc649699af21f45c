//! What ended lately, for the revocation feed: columns of `grants` and `users`.

use std::time::Duration;

use uuid::Uuid;

use super::types::Span;
use super::{Conn, Result, on, row};
use crate::domain::revocation::{MOST_GRANTS_OF_A_USER, MOST_ROWS};
use crate::domain::{GrantId, Timestamp, UserId};

row!(GrantRow { id: Uuid, user_id: Uuid, ended_at: Timestamp, refreshed_at: Timestamp });
row!(UserRow { id: Uuid, tokens_valid_from: Timestamp });

/// A grant that was ended while an access token of it could still be valid.
pub(crate) struct EndedGrant {
    /// The grant.
    pub(crate) id: GrantId,
    /// Its user.
    pub(crate) user: UserId,
    /// When it ended.
    pub(crate) ended_at: Timestamp,
    /// When tokens of it were last issued: for the first time, or, after a 503, once more.
    pub(crate) refreshed_at: Timestamp,
}

/// Which ended grants to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    /// Those that ended at this time or later.
    pub(crate) ended: Timestamp,
    /// Those of which tokens were issued at this time or later: of others no access token lives.
    pub(crate) refreshed: Timestamp,
    /// How long after `refreshed_at` a token of the grant may say that it was issued.
    pub(crate) reissue: Duration,
}

/// Rows, the last that ended first; whether there are more.
pub(crate) struct Rows<T> {
    /// At most [`MOST_ROWS`].
    pub(crate) rows: Vec<T>,
    /// Whether others were left out.
    pub(crate) more: bool,
}

impl<T> Rows<T> {
    fn new(mut rows: Vec<T>) -> Self {
        let more = rows.len() > MOST_ROWS;
        rows.truncate(MOST_ROWS);
        Self { rows, more }
    }
}

/// The grants that ended, the last few of each user. A code that was never spent gave no token; what the not-before time of its
/// user covers needs no entry of its own, though its row is ended later than the user's logins were.
pub(crate) async fn grants(conn: &mut Conn, since: Since) -> Result<Rows<EndedGrant>> {
    const SQL: &str = "
        SELECT id, user_id, ended_at, refreshed_at FROM (
            SELECT grants.id, grants.user_id, grants.ended_at,
                   COALESCE(grants.unanswered_at, grants.refreshed_at) AS refreshed_at,
                   row_number() OVER (PARTITION BY grants.user_id ORDER BY grants.ended_at DESC, grants.id) AS place
            FROM grants JOIN users ON users.id = grants.user_id
            WHERE grants.ended_at >= $1 AND COALESCE(grants.unanswered_at, grants.refreshed_at) >= $2 AND grants.generation > 0
              AND (users.tokens_valid_from IS NULL OR users.tokens_valid_from < $2
                   OR COALESCE(grants.unanswered_at, grants.refreshed_at) >= users.tokens_valid_from - $3)
        ) AS ended WHERE place <= $4 ORDER BY ended_at DESC, id LIMIT $5";
    let (of_user, most) = (bound(MOST_GRANTS_OF_A_USER + 1), bound(MOST_ROWS + 1));
    let rows: Vec<GrantRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(since.ended).bind(since.refreshed).bind(Span(since.reissue)).bind(of_user).bind(most)
        .fetch_all(c).await)?;
    let grant = |row: GrantRow| EndedGrant {
        id: GrantId(row.id),
        user: UserId(row.user_id),
        ended_at: row.ended_at,
        refreshed_at: row.refreshed_at,
    };
    Ok(Rows::new(rows.into_iter().map(grant).collect()))
}

/// The users whose tokens count only if they were issued since `from` or later, and since when.
pub(crate) async fn users(conn: &mut Conn, from: Timestamp) -> Result<Rows<(UserId, Timestamp)>> {
    const SQL: &str = "SELECT id, tokens_valid_from FROM users WHERE tokens_valid_from >= $1
                       ORDER BY tokens_valid_from DESC, id LIMIT $2";
    let most = bound(MOST_ROWS + 1);
    let rows: Vec<UserRow> = on!(conn, c => sqlx::query_as(SQL).bind(from).bind(most).fetch_all(c).await)?;
    Ok(Rows::new(rows.into_iter().map(|row| (UserId(row.id), row.tokens_valid_from)).collect()))
}

fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
