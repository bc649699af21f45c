//! Table `outbox`: what is still to be done outside of the transaction that asked for it, attempt after attempt until it is
//! done or set aside for the operator. One table, and one claim, for every queue.
//!
//! An attempt is counted when the item is claimed, before the work: should the process die of the item, the next one knows.
//! Items whose last attempt ended without a word (nobody said done, failed or released before the claim was over) are suspects:
//! they are claimed one at a time, after all others, so that the one that kills processes is found and takes nobody with it.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use uuid::Uuid;

use super::statement::Statement;
use super::{Conn, Error, Result, Tx, on, row};
use crate::domain::{
    Backoff, EndReason, Ending, GrantId, KakaoEvent, KakaoUnlink, Timestamp, UserEnding, UserId,
};

/// A queue of items that say what is to be done by a `T`.
pub struct Queue<T> {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Items claimed at once.
    pub(crate) batch: u32,
    /// How long a claimed item is nobody else's: longer than an attempt takes.
    pub claim: Duration,
    /// When a failed attempt is followed by another.
    pub backoff: Backoff,
    /// How long a row stays once it is done: until then the same item is not put again.
    pub stays: Duration,
    /// Whether a row that stays still says whom it was about.
    remembers_lane: bool,
    payload: PhantomData<fn() -> T>,
}

/// What Kakao's webhooks brought. Kakao may send an event again, so its key is remembered for a month; whom it was about is
/// not.
pub const KAKAO_EVENTS: Queue<KakaoEvent> = Queue {
    name: "kakao_event",
    batch: 200,
    claim: Duration::from_secs(30),
    backoff: Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(10), attempts: 16 },
    stays: Duration::from_hours(30 * 24),
    remembers_lane: false,
    payload: PhantomData,
};

/// Accounts that were deleted here and must still be unlinked at Kakao; the key is the user. A row stays for an hour, which is
/// longer than any token of Kakao's that is taken for a login: meanwhile [`super::kakao_links::ended_since`] knows of it.
pub(crate) const KAKAO_UNLINKS: Queue<KakaoUnlink> = Queue {
    name: "kakao_unlink",
    batch: 20,
    claim: Duration::from_mins(2),
    backoff: Backoff { first: Duration::from_mins(1), longest: Duration::from_hours(6), attempts: 16 },
    stays: Duration::from_hours(1),
    remembers_lane: true,
    payload: PhantomData,
};

/// Which attempt at which item. Whoever claims the item later, or puts it anew, has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Names the item in its queue.
    pub key: Uuid,
    /// Which one this is, counted from 1; of an item that nobody is at, how many there were.
    pub number: u32,
    /// When the item was put.
    pub(crate) put_at: Timestamp,
}

/// An item that was claimed, or that an operator looks at.
#[derive(Debug)]
pub struct Item<T> {
    /// Which one.
    pub attempt: Attempt,
    /// What is to be done.
    pub payload: T,
    /// When it was due, or is.
    pub(crate) next_at: Timestamp,
    /// Since when it waits for the operator.
    pub(crate) set_aside_at: Option<Timestamp>,
    /// What its last attempt failed of.
    pub last_error: Option<String>,
}

/// Ended grants that clients are told of (back-channel logout); the key is the grant, the lane its client. A client that was not
/// told of a logout for a day has forgotten the login: `put_ended` says so, and it is not told any more.
pub(crate) const BACKCHANNEL_LOGOUTS: Queue<()> = Queue {
    name: "backchannel_logout",
    batch: 50,
    claim: Duration::from_secs(30),
    backoff: Backoff { first: Duration::from_secs(5), longest: Duration::from_hours(1), attempts: 10 },
    stays: Duration::from_hours(24),
    remembers_lane: true,
    payload: PhantomData,
};

/// Users whose logins have ended, and whose rows are still to be ended; the key is the user. Nothing depends on when that is
/// done, for the user's row says already that they are void. A claim is given back in time if there are many rows.
pub const USER_ENDINGS: Queue<UserEnding> = Queue {
    name: "user_ending",
    batch: 4,
    claim: Duration::from_mins(2),
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(10), attempts: 100 },
    stays: Duration::from_mins(1),
    remembers_lane: false,
    payload: PhantomData,
};

/// An item to be put.
pub struct NewItem<'a, T> {
    /// Names it in its queue.
    pub key: Uuid,
    /// Whom it is about: a Kakao account, or a client.
    pub lane: &'a str,
    /// What is to be done.
    pub payload: &'a T,
}

/// Puts an item, due at once. False if one of this key is there, done or not.
pub async fn put<T: Serialize + Sync>(
    conn: &mut Conn,
    queue: &Queue<T>,
    new: &NewItem<'_, T>,
    now: Timestamp,
) -> Result<bool> {
    const SQL: &str = "INSERT INTO outbox (queue, key, lane, payload, created_at, next_at)
                       VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (queue, key) DO NOTHING";
    let put = on!(conn, c => sqlx::query(SQL)
        .bind(queue.name).bind(new.key).bind(new.lane).bind(Json(new.payload)).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(put == 1)
}

/// Puts an item in the place of the one of this key, whatever became of that.
pub(crate) async fn put_anew<T: Serialize + Sync>(
    tx: &mut Tx<'_>,
    queue: &Queue<T>,
    new: &NewItem<'_, T>,
    now: Timestamp,
) -> Result<()> {
    const OLD: &str = "DELETE FROM outbox WHERE queue = $1 AND key = $2";
    on!(tx, c => sqlx::query(OLD).bind(queue.name).bind(new.key).execute(c).await.map(drop))?;
    put(tx, queue, new, now).await.map(drop)
}

/// Has the rows of a user ended whose logins have ended, in the transaction that ended them. Whoever changed the user's row
/// holds it, so two of these follow each other.
pub(crate) async fn put_user_ending(
    tx: &mut Tx<'_>,
    user: UserId,
    reason: EndReason,
    now: Timestamp,
) -> Result<()> {
    const SQL: &str = "INSERT INTO outbox (queue, key, lane, payload, created_at, next_at)
                       VALUES ($1, $2, '', $3, $4, $4)
                       ON CONFLICT (queue, key) DO UPDATE SET
                           payload = excluded.payload, created_at = excluded.created_at, next_at = excluded.next_at,
                           attempts = 0, claimed_until = NULL, done_at = NULL, outcome = NULL, set_aside_at = NULL,
                           last_error = NULL, expires_at = NULL";
    on!(tx, c => sqlx::query(SQL)
        .bind(USER_ENDINGS.name).bind(user.0).bind(Json(UserEnding { reason, at: now })).bind(now)
        .execute(c).await.map(drop))?;
    Ok(())
}

/// Grants that have just ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum JustEnded {
    /// Those where this column holds this id.
    Where(&'static str, Uuid),
    /// Those of a user behind the first, up to the second.
    Between(UserId, GrantId, GrantId),
}

/// Puts a logout for each grant that has just ended, and whose client is one that is told. One statement, however many they
/// are; in the transaction that ended them.
pub(super) async fn put_ended(tx: &mut Tx<'_>, which: JustEnded, ending: &Ending<'_>) -> Result<()> {
    if ending.notify.is_empty() {
        return Ok(());
    }
    let queue = &BACKCHANNEL_LOGOUTS;
    let mut put = Statement::new(
        "INSERT INTO outbox (queue, key, lane, payload, created_at, next_at, expires_at) SELECT ",
    );
    put.bind(queue.name).push(", id, client_id, 'null', ended_at, ended_at, ").bind(ending.at + queue.stays);
    put.push(" FROM grants WHERE ");
    match which {
        JustEnded::Where(column, id) => put.push(column).push(" = ").bind(id),
        JustEnded::Between(user, after, last) => {
            put.push("user_id = ").bind(user.0).push(" AND id > ").bind(after.0);
            put.push(" AND id <= ").bind(last.0)
        }
    };
    put.push(" AND ended_at = ").bind(ending.at);
    // Before its code is exchanged, a client knows of no login.
    put.push(" AND generation > 0 AND client_id IN (");
    for (n, client) in ending.notify.iter().enumerate() {
        put.push(if n == 0 { "" } else { ", " }).bind(client.as_str());
    }
    put.push(") ON CONFLICT (queue, key) DO NOTHING");
    put.execute(tx).await.map(drop)
}

row!(ItemRow {
    key: Uuid,
    payload: Option<Json<serde_json::Value>>,
    attempts: i32,
    created_at: Timestamp,
    next_at: Timestamp,
    set_aside_at: Option<Timestamp>,
    last_error: Option<String>,
});

impl ItemRow {
    fn attempt(&self) -> Attempt {
        Attempt { key: self.key, number: self.attempts.unsigned_abs(), put_at: self.created_at }
    }

    fn read<T: DeserializeOwned>(self) -> serde_json::Result<Item<T>> {
        Ok(Item {
            attempt: self.attempt(),
            payload: serde_json::from_value(self.payload.map(|payload| payload.0).unwrap_or_default())?,
            next_at: self.next_at,
            set_aside_at: self.set_aside_at,
            last_error: self.last_error,
        })
    }
}

macro_rules! columns {
    () => {
        "key, payload, attempts, created_at, next_at, set_aside_at, last_error"
    };
}

/// Claims what is due of those that `$which` says.
macro_rules! claim {
    ($which:literal) => {
        concat!(
            "UPDATE outbox SET attempts = attempts + 1, claimed_until = $3
             WHERE queue = $1 AND key IN
                   (SELECT key FROM outbox
                    WHERE queue = $1 AND done_at IS NULL AND set_aside_at IS NULL AND next_at <= $2
                      AND ($4 IS NULL OR lane = $4) AND ",
            $which,
            " ORDER BY next_at, key LIMIT $5)
               AND done_at IS NULL AND set_aside_at IS NULL AND next_at <= $2 AND ",
            $which,
            " RETURNING ",
            columns!()
        )
    };
}

/// Claims some of the items that are due, of one lane or of all, the first due first; nobody else gets them while the claim
/// lasts. A suspect comes alone, once nothing else is due.
pub async fn claim<T: DeserializeOwned>(
    conn: &mut Conn,
    queue: &Queue<T>,
    lane: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Item<T>>> {
    const UNSUSPICIOUS: &str = claim!("claimed_until IS NULL");
    const SUSPECTS: &str = claim!("claimed_until <= $2");
    let mut rows: Vec<ItemRow> = Vec::new();
    for (sql, most) in [(UNSUSPICIOUS, queue.batch), (SUSPECTS, 1)] {
        if rows.is_empty() {
            rows = on!(conn, c => sqlx::query_as(sql)
                .bind(queue.name).bind(now).bind(now + queue.claim).bind(lane).bind(i64::from(most))
                .fetch_all(c).await)?;
        }
    }
    let mut items = Vec::new();
    for row in rows {
        let attempt = row.attempt();
        match row.read() {
            Ok(item) => items.push(item),
            // It would stand in the way of all others.
            Err(error) => {
                set_aside(conn, queue, &attempt, &format!("its payload cannot be read: {error}"), now)
                    .await?;
            }
        }
    }
    Ok(items)
}

/// Which attempt at which item: `$1` to `$4`. What was claimed or put anew since is another's.
macro_rules! this_attempt {
    () => {
        " WHERE queue = $1 AND key = $2 AND created_at = $3 AND attempts = $4 AND done_at IS NULL"
    };
}

/// Marks an item as done, with what became of it. False if the claim was over and somebody else is at it, or was.
pub async fn done<T>(
    conn: &mut Conn,
    queue: &Queue<T>,
    attempt: &Attempt,
    outcome: &str,
    now: Timestamp,
) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE outbox SET done_at = $5, outcome = $6, expires_at = $7, payload = NULL, claimed_until = NULL,
                           last_error = NULL, lane = CASE WHEN $8 THEN lane ELSE '' END",
        this_attempt!()
    );
    let done = on!(conn, c => sqlx::query(SQL)
        .bind(queue.name).bind(attempt.key).bind(attempt.put_at).bind(i64::from(attempt.number))
        .bind(now).bind(outcome).bind(now + queue.stays).bind(queue.remembers_lane)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Notes that an outbox item failed and was rescheduled: the next one comes when the queue's back-off says, or, if this was the last, when the operator
/// does. Returns when; `None` if it was set aside.
pub async fn fail<T>(
    conn: &mut Conn,
    queue: &Queue<T>,
    attempt: &Attempt,
    error: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let next = queue.backoff.after(attempt.number).map(|wait| now + wait);
    if let Some(next) = next {
        reschedule(conn, queue, attempt, error, next).await?;
    } else {
        set_aside(conn, queue, attempt, error, now).await?;
    }
    Ok(next)
}

/// The next attempt comes at `next`.
pub(crate) async fn reschedule<T>(
    conn: &mut Conn,
    queue: &Queue<T>,
    attempt: &Attempt,
    error: &str,
    next: Timestamp,
) -> Result<()> {
    const SQL: &str =
        concat!("UPDATE outbox SET next_at = $5, last_error = $6, claimed_until = NULL", this_attempt!());
    on!(conn, c => sqlx::query(SQL)
        .bind(queue.name).bind(attempt.key).bind(attempt.put_at).bind(i64::from(attempt.number))
        .bind(next).bind(error)
        .execute(c).await.map(drop))?;
    Ok(())
}

/// No attempt comes unless the operator says so.
pub(crate) async fn set_aside<T>(
    conn: &mut Conn,
    queue: &Queue<T>,
    attempt: &Attempt,
    error: &str,
    now: Timestamp,
) -> Result<()> {
    const SQL: &str = concat!(
        "UPDATE outbox SET set_aside_at = $5, last_error = $6, claimed_until = NULL",
        this_attempt!()
    );
    on!(conn, c => sqlx::query(SQL)
        .bind(queue.name).bind(attempt.key).bind(attempt.put_at).bind(i64::from(attempt.number))
        .bind(now).bind(error)
        .execute(c).await.map(drop))?;
    Ok(())
}

/// Gives a claimed item back that nobody has begun with: the attempt does not count.
pub async fn release<T>(conn: &mut Conn, queue: &Queue<T>, attempt: &Attempt) -> Result<()> {
    const SQL: &str =
        concat!("UPDATE outbox SET attempts = attempts - 1, claimed_until = NULL", this_attempt!());
    on!(conn, c => sqlx::query(SQL)
        .bind(queue.name).bind(attempt.key).bind(attempt.put_at).bind(i64::from(attempt.number))
        .execute(c).await.map(drop))?;
    Ok(())
}

/// The operator has an item tried again that was set aside. False if there is none.
pub async fn revive<T>(conn: &mut Conn, queue: &Queue<T>, key: Uuid, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE outbox SET set_aside_at = NULL, attempts = 0, next_at = $3
                       WHERE queue = $1 AND key = $2 AND set_aside_at IS NOT NULL";
    let revived = on!(conn, c => sqlx::query(SQL).bind(queue.name).bind(key).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(revived == 1)
}

/// What is not done yet, that which waits for the operator first; a hundred at most.
pub async fn pending<T: DeserializeOwned>(conn: &mut Conn, queue: &Queue<T>) -> Result<Vec<Item<T>>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE queue = $1 AND done_at IS NULL
          ORDER BY CASE WHEN set_aside_at IS NULL THEN 1 ELSE 0 END, created_at LIMIT 100"
    );
    let rows: Vec<ItemRow> = on!(conn, c => sqlx::query_as(SQL).bind(queue.name).fetch_all(c).await)?;
    let read = |row: ItemRow| {
        let key = row.key;
        row.read().map_err(|_| Error::impossible("outbox", "payload", &key))
    };
    rows.into_iter().map(read).collect()
}

/// What is not done yet, behind this key and in its order: for whoever looks at every item.
pub(crate) async fn unfinished<T: DeserializeOwned>(
    conn: &mut Conn,
    queue: &Queue<T>,
    after: Uuid,
    most: i32,
) -> Result<Vec<Item<T>>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE queue = $1 AND done_at IS NULL AND key > $2 ORDER BY key LIMIT $3"
    );
    let rows: Vec<ItemRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(queue.name).bind(after).bind(most).fetch_all(c).await)?;
    let read = |row: ItemRow| {
        let key = row.key;
        row.read().map_err(|_| Error::impossible("outbox", "payload", &key))
    };
    rows.into_iter().map(read).collect()
}

/// Says anew what is to be done by an item, if it is still that one and not done.
pub(crate) async fn rewrite<T: Serialize + Sync>(
    conn: &mut Conn,
    queue: &Queue<T>,
    attempt: &Attempt,
    payload: &T,
) -> Result<bool> {
    const SQL: &str = "UPDATE outbox SET payload = $4
                       WHERE queue = $1 AND key = $2 AND created_at = $3 AND done_at IS NULL";
    let done = on!(conn, c => sqlx::query(SQL)
        .bind(queue.name).bind(attempt.key).bind(attempt.put_at).bind(Json(payload))
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

row!(BacklogRow { queue: String, waiting: i64, set_aside: i64 });

/// What is not done yet of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Items that are tried again by themselves.
    pub waiting: i64,
    /// Items that wait for the operator.
    pub set_aside: i64,
}

/// What is not done yet, by queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlogs(Vec<(String, Backlog)>);

impl Backlogs {
    /// Of this queue.
    pub fn of<T>(&self, queue: &Queue<T>) -> Backlog {
        self.0.iter().find(|(name, _)| name == queue.name).map(|(_, backlog)| *backlog).unwrap_or_default()
    }
}

/// What is not done yet, by queue.
pub async fn backlogs(conn: &mut Conn) -> Result<Backlogs> {
    const SQL: &str = "SELECT queue, SUM(CASE WHEN set_aside_at IS NULL THEN 1 ELSE 0 END) AS waiting,
                                     SUM(CASE WHEN set_aside_at IS NULL THEN 0 ELSE 1 END) AS set_aside
                       FROM outbox WHERE done_at IS NULL GROUP BY queue";
    let rows: Vec<BacklogRow> = on!(conn, c => sqlx::query_as(SQL).fetch_all(c).await)?;
    let backlog = |row: BacklogRow| (row.queue, Backlog { waiting: row.waiting, set_aside: row.set_aside });
    Ok(Backlogs(rows.into_iter().map(backlog).collect()))
}

/// Deletes some of what was done long ago.
pub(super) async fn sweep(conn: &mut Conn, now: Timestamp) -> Result<u64> {
    const SQL: &str = "DELETE FROM outbox WHERE expires_at <= $1 AND (queue, key) IN
                       (SELECT queue, key FROM outbox WHERE expires_at <= $1 LIMIT 1000)";
    on!(conn, c => sqlx::query(SQL).bind(now).execute(c).await.map(|done| done.rows_affected()))
}
