//! Whether logins can work.

use std::sync::LazyLock;
use std::time::Duration;

use tracing::warn;
use uuid::Uuid;

use super::Deps;
use super::error::chain;
pub(crate) use super::signals::recent::Health;
use crate::store::{Pool, leases};

/// Longer than a healthy database needs, shorter than a balancer waits.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);

/// The oldest answer: strangers must not choose how often the stores are asked.
const OLDEST: Duration = Duration::from_secs(1);

/// How long the row stays that is written.
const ROW_STAYS: Duration = Duration::from_mins(5);

/// Names the row of this process: no other waits for it.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::now_v7);

/// Asks both, at most once a second.
pub(crate) async fn health(deps: &Deps, pool: &Pool) -> Health {
    // On the heap: most looks do not ask, and the way to the database is long.
    deps.signals.health.get(OLDEST, Box::pin(ask(deps, pool))).await
}

/// The database by a write, since a standby, a primary that no longer is one and a full disk all answer a question; and on a
/// connection of its own, since callers who wait for each other are no reason to send them elsewhere.
async fn ask(deps: &Deps, pool: &Pool) -> Health {
    let mut db = pool.probe();
    let written = leases::prove_writable(&mut db, *PROCESS, deps.clock.now() + ROW_STAYS);
    let cause = match tokio::time::timeout(DATABASE_WITHIN, written).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some("no answer in time".to_owned()),
    };
    if let Some(cause) = &cause {
        warn!(cause, "not ready: the database cannot be written");
    }
    Health { database: cause.is_none(), cache: deps.cache.ping().await.is_ok() }
}
