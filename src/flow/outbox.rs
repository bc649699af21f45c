//! What the queues of the outbox have in common, whatever is done with their items.

use serde::de::DeserializeOwned;
use tracing::{error, info};

use super::Deps;
use crate::store::outbox::{self, Attempt, Item, Queue};
use crate::store::{self, Conn};

/// Claims some of the items that are due, of one lane or of all. One that has used up its attempts, the last of which ended
/// without a word, is set aside: it may be what ended this process or another.
pub(super) async fn claim<T: DeserializeOwned>(
    deps: &Deps,
    conn: &mut Conn,
    queue: &Queue<T>,
    lane: Option<&str>,
) -> store::Result<Vec<Item<T>>> {
    let now = deps.clock.now();
    let mut due = Vec::new();
    for item in outbox::claim(conn, queue, lane, now).await? {
        if queue.backoff.is_exceeded_by(item.attempt.number) {
            let cause = "its last attempt ended without a word";
            outbox::set_aside(conn, queue, &item.attempt, cause, now).await?;
            error!(queue = queue.name, key = %item.attempt.key, cause, "an outbox item was set aside");
        } else {
            due.push(item);
        }
    }
    Ok(due)
}

/// Notes that an outbox item failed and was rescheduled. False if it was the last, and the item is set aside: whoever asked says what that means.
pub(super) async fn fail<T>(
    deps: &Deps,
    conn: &mut Conn,
    queue: &Queue<T>,
    attempt: &Attempt,
    cause: &str,
) -> store::Result<bool> {
    let now = deps.clock.now();
    let next = outbox::fail(conn, queue, attempt, cause, now).await?;
    if let Some(next) = next {
        let wait = next.since(now).as_secs();
        info!(queue = queue.name, key = %attempt.key, attempt = attempt.number, wait, cause, "an outbox item failed and was rescheduled");
    }
    Ok(next.is_some())
}
