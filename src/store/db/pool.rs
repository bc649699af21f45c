//! The pool of connections to one of the two databases.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tracing::warn;

use super::migrations;
use super::postgres::{self, Server};
use crate::store::error::{Error, Result};

/// SQLite writes one after the other: more connections than these would only wait for each other.
const MOST_SQLITE_CONNECTIONS: u32 = 4;

/// How long connections may take to close. A server that has fallen silent would have us wait for ever.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long readiness waits for another writer of SQLite.
const PROBE_WAITS: Duration = Duration::from_millis(200);

/// A pool of connections to one of the two databases. Whoever serves callers holds it and gives each a
/// [`Db`](super::conn::Db).
#[derive(Clone, Debug)]
pub enum Pool {
    /// For production, any number of replicas.
    Postgres(PgPool, Arc<Server>),
    /// For one machine.
    Sqlite(SqlitePool),
}

impl Pool {
    /// A pool for `postgres://…` or `sqlite://…`; of SQLite four connections are the most. Connects when first used, so a
    /// database that is down is no error here.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn connect_lazy(url: &str, max_connections: u32) -> Result<Self> {
        if url.starts_with("sqlite:") {
            return sqlite(url, max_connections);
        }
        let (pool, server) = postgres::open(url, max_connections).map_err(unreadable)?;
        Ok(Self::Postgres(pool, server))
    }

    /// Brings the schema up to date, one process at a time.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Postgres(pool, _) => migrations::postgres(&pool.connect_options()).await,
            Self::Sqlite(pool) => migrations::sqlite(pool).await,
        }
    }

    /// One connection to the same database that no caller of this pool can take. A memory database has only the one.
    pub(super) fn beside(&self) -> Self {
        match self {
            Self::Postgres(_, server) => Self::Postgres(server.probe().clone(), Arc::clone(server)),
            Self::Sqlite(pool) if pool.options().get_min_connections() > 0 => self.clone(),
            Self::Sqlite(pool) => {
                let options = pool.connect_options().as_ref().clone().busy_timeout(PROBE_WAITS);
                Self::Sqlite(SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options))
            }
        }
    }

    /// Connections of the pool: open, and idle among them.
    pub(crate) fn connections(&self) -> (u32, usize) {
        match self {
            Self::Postgres(pool, _) => (pool.size(), pool.num_idle()),
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
        }
    }

    /// Closes the pool, letting running statements end, but not waiting long for them.
    pub async fn close(&self) {
        let closed = match self {
            Self::Postgres(pool, server) => {
                let both = async { tokio::join!(pool.close(), server.probe().close()) };
                tokio::time::timeout(CLOSE_WITHIN, both).await.is_ok()
            }
            Self::Sqlite(pool) => tokio::time::timeout(CLOSE_WITHIN, pool.close()).await.is_ok(),
        };
        if !closed {
            warn!("connections to the database did not close in time");
        }
    }
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::Broken { what: "database.url cannot be read".into(), source: Some(Box::new(error)) }
}

fn sqlite(url: &str, max_connections: u32) -> Result<Pool> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(unreadable)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Costs an fsync for each commit: a millisecond or so on a disk with a cache of its own, some ten on others. With NORMAL a
        // power cut forgets the last commits: codes that were spent and refresh tokens that were revoked would be good again.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(5));
    let pool = if url.contains(":memory:") || url.contains("mode=memory") {
        // Each connection would be a database of its own, gone when it rests too long.
        pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None)
    } else {
        pool.max_connections(max_connections.min(MOST_SQLITE_CONNECTIONS))
    };
    Ok(Pool::Sqlite(pool.connect_lazy_with(options)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_read_is_an_error_not_a_panic() {
        assert!(Pool::connect_lazy("postgres://[broken", 1).is_err());
        assert!(Pool::connect_lazy("nonsense", 1).is_err());
    }
}
