//! Whether logins can work.

use std::time::Duration;

use super::Deps;
use crate::store::Db;

/// Longer than a healthy database needs, shorter than a balancer waits.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);

/// Which stores answer. Without the database nobody can log in; without the cache everything goes on.
pub(crate) struct Health {
    /// The database answers.
    pub(crate) database: bool,
    /// The cache answers.
    pub(crate) cache: bool,
}

/// Asks both.
pub(crate) async fn health(deps: &Deps, db: &mut Db) -> Health {
    let database = matches!(tokio::time::timeout(DATABASE_WITHIN, db.ping()).await, Ok(Ok(())));
    Health { database, cache: deps.cache.ping().await.is_ok() }
}
