//! Whether logins can work.

use std::time::Duration;

use super::Deps;
pub(crate) use super::signals::recent::Health;
use crate::store::Db;

/// Longer than a healthy database needs, shorter than a balancer waits.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);

/// The oldest answer: strangers must not choose how often the stores are asked.
const OLDEST: Duration = Duration::from_secs(1);

/// Asks both, at most once a second.
pub(crate) async fn health(deps: &Deps, db: &mut Db) -> Health {
    deps.signals.health.get(OLDEST, ask(deps, db)).await
}

async fn ask(deps: &Deps, db: &mut Db) -> Health {
    let database = matches!(tokio::time::timeout(DATABASE_WITHIN, db.ping()).await, Ok(Ok(())));
    Health { database, cache: deps.cache.ping().await.is_ok() }
}
