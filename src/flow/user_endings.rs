//! Ends the rows of users whose logins have ended. What ended them was one change of the user's row, which every check looks
//! at; this is what is left: a batch and a transaction at a time, so that nobody waits for it, however many rows there are.
//! It can be cut off anywhere: whoever goes on finds what is left.

use std::time::Duration;

use tracing::{info, warn};
use uuid::Uuid;

use super::error::chain;
use super::{Deps, outbox};
use crate::domain::{Ending, GrantId, Timestamp, UserEnding, UserId};
use crate::store::outbox::{Item, USER_ENDINGS, release};
use crate::store::{self, Conn, Db, Pool, Tx, browser_sessions, grants, users};

/// Rows that are ended later than this after their logins were: replicas have read the revocation feed beyond that time.
const LATE: Duration = Duration::from_secs(5);

/// Ends what is due; how many users are done. Between two batches it asks whether to stop.
pub async fn end_rows(deps: &Deps, pool: &Pool, stop: impl Fn() -> bool) -> store::Result<usize> {
    let mut db = pool.handle();
    let claimed_at = deps.clock.now();
    let mut done = 0;
    for item in outbox::claim(deps, &mut db, &USER_ENDINGS, None).await? {
        let over = || stop() || deps.clock.now().since(claimed_at) > USER_ENDINGS.claim / 2;
        let ended = end_one(deps, &mut db, &item, over).await;
        // Not after each batch: every replica would read all that ended until then, again and again.
        deps.signals.revocations.ring();
        match ended {
            Ok(true) => done += 1,
            // Whoever has time goes on with it.
            Ok(false) => release(&mut db, &USER_ENDINGS, &item.attempt).await?,
            Err(error) => {
                let cause = chain(&error);
                warn!(user = %item.attempt.key, cause, "the rows of a user whose logins have ended could not be ended");
                outbox::fail(deps, &mut db, &USER_ENDINGS, &item.attempt, &cause).await?;
            }
        }
    }
    Ok(done)
}

/// Whether all rows are ended; not if it was told to stop before.
async fn end_one(
    deps: &Deps,
    db: &mut Db,
    item: &Item<UserEnding>,
    over: impl Fn() -> bool,
) -> store::Result<bool> {
    let user = UserId(item.attempt.key);
    let mut after = Some(GrantId(Uuid::nil()));
    let mut batches = 0_u64;
    while !over() {
        let at = end_of_rows(deps, db, user, &item.payload).await?;
        let ending = Ending { reason: item.payload.reason, at, notify: deps.clients.notified_of_logouts() };
        let mut tx = Tx::begin(db).await?;
        if let Some(last) = after {
            after = grants::end_void(&mut tx, user, last, &ending).await?;
        }
        let sessions = browser_sessions::end_void(&mut tx, user, at).await?;
        tx.commit().await?;
        batches += 1;
        if after.is_none() && sessions == 0 {
            let now = deps.clock.now();
            store::outbox::done(db, &USER_ENDINGS, &item.attempt, "ended", now).await?;
            info!(%user, reason = item.payload.reason.name(), batches, "the rows of a user whose logins have ended are ended");
            return Ok(true);
        }
    }
    Ok(false)
}

/// The time that rows end with: when the logins were ended. If that is a while ago and the feed does not list the user as a
/// whole, it is now, or replicas that have read on would never see it.
async fn end_of_rows(
    deps: &Deps,
    conn: &mut Conn,
    user: UserId,
    ending: &UserEnding,
) -> store::Result<Timestamp> {
    let now = deps.clock.now();
    let is_known = now.since(ending.at) <= LATE || users::tokens_void_since(conn, user, ending.at).await?;
    Ok(if is_known { ending.at } else { now })
}
