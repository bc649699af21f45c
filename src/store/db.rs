//! The two pools behind one name, transactions, and the migrations.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::{Error, Result, on};

/// How long a request waits for a connection before it is told to come back.
const ACQUIRE: Duration = Duration::from_millis(1_500);

/// A connection that rested longer is asked whether it still lives before it is used: under load that costs nothing, and
/// after a restart of the database no request meets a dead connection.
const RESTED: Duration = Duration::from_secs(1);

/// A pool of connections to one of the two databases.
#[derive(Clone, Debug)]
pub enum Db {
    /// For production, any number of replicas.
    Postgres(PgPool),
    /// For one machine.
    Sqlite(SqlitePool),
}

/// A transaction; dropped without [`Tx::commit`], it is rolled back.
pub enum Tx {
    /// On Postgres, READ COMMITTED.
    Postgres(Transaction<'static, Postgres>),
    /// On SQLite, BEGIN IMMEDIATE: two writers queue instead of failing half-way.
    Sqlite(Transaction<'static, Sqlite>),
}

impl Db {
    /// A pool for `postgres://…` or `sqlite://…`. Connects when first used, so a database that is down is no error here.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn connect_lazy(url: &str, max_connections: u32) -> Result<Self> {
        if url.starts_with("sqlite:") { sqlite(url) } else { postgres(url, max_connections) }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        const SQL: &str = "SELECT 1";
        on!(self, pool => sqlx::query(SQL).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The server's version, as Postgres counts it (170002 is 17.2); SQLite comes with us.
    pub async fn server_version(&self) -> Result<Option<i32>> {
        const SQL: &str = "SELECT current_setting('server_version_num')::int4";
        match self {
            Self::Postgres(pool) => Ok(Some(sqlx::query_scalar(SQL).fetch_one(pool).await?)),
            Self::Sqlite(pool) => {
                sqlx::query("SELECT 1").execute(pool).await?;
                Ok(None)
            }
        }
    }

    /// Brings the schema up to date, one process at a time.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Postgres(pool) => migrator(POSTGRES).run(pool).await?,
            Self::Sqlite(pool) => migrator(SQLITE).run(pool).await?,
        }
        Ok(())
    }

    /// Connections of the pool: open, and idle among them.
    pub fn connections(&self) -> (u32, usize) {
        on!(self, pool => (pool.size(), pool.num_idle()))
    }

    /// Closes the pool, letting running statements end.
    pub async fn close(&self) {
        on!(self, pool => pool.close().await);
    }
}

impl Tx {
    /// Begins a transaction.
    pub async fn begin(db: &Db) -> Result<Self> {
        Ok(match db {
            Db::Postgres(pool) => Self::Postgres(pool.begin().await?),
            Db::Sqlite(pool) => Self::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
        })
    }

    /// Makes it durable.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Postgres(tx) => tx.commit().await?,
            Self::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::Broken { what: "database.url cannot be read".into(), source: Some(Box::new(error)) }
}

fn postgres(url: &str, max_connections: u32) -> Result<Db> {
    let options = PgConnectOptions::from_str(url)
        .map_err(unreadable)?
        .application_name("kakao-auth")
        // No statement of ours takes longer unless something is wrong; then the connection is better used by others.
        .options([("statement_timeout", "5s"), ("idle_in_transaction_session_timeout", "10s")]);
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options);
    Ok(Db::Postgres(pool))
}

fn sqlite(url: &str) -> Result<Db> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(unreadable)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(5));
    let pool = if url.contains(":memory:") || url.contains("mode=memory") {
        // Each connection would be a database of its own, gone when it rests too long.
        pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None)
    } else {
        pool.max_connections(4)
    };
    Ok(Db::Sqlite(pool.connect_lazy_with(options)))
}

/// Number, name and text of each migration, in order.
type Step = (i64, &'static str, &'static str);

const POSTGRES: &[Step] = &[
    (1, "first", include_str!("../../migrations/postgres/0001_first.sql")),
    (2, "sessions", include_str!("../../migrations/postgres/0002_sessions.sql")),
    (3, "revocations", include_str!("../../migrations/postgres/0003_revocations.sql")),
    (4, "clients", include_str!("../../migrations/postgres/0004_clients.sql")),
    (5, "kakao", include_str!("../../migrations/postgres/0005_kakao.sql")),
];
const SQLITE: &[Step] = &[
    (1, "first", include_str!("../../migrations/sqlite/0001_first.sql")),
    (2, "sessions", include_str!("../../migrations/sqlite/0002_sessions.sql")),
    (3, "revocations", include_str!("../../migrations/sqlite/0003_revocations.sql")),
    (4, "clients", include_str!("../../migrations/sqlite/0004_clients.sql")),
    (5, "kakao", include_str!("../../migrations/sqlite/0005_kakao.sql")),
];

fn migrator(steps: &'static [Step]) -> Migrator {
    let migrations = steps
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(
                *version,
                Cow::Borrowed(*name),
                MigrationType::Simple,
                sqlx::SqlStr::from_static(sql),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_file_is_compiled_in_for_both_databases() {
        for (folder, steps) in [("postgres", POSTGRES), ("sqlite", SQLITE)] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let compiled: Vec<String> =
                steps.iter().map(|(n, name, _)| format!("{n:04}_{name}.sql")).collect();
            assert_eq!(files, compiled);
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_an_error_not_a_panic() {
        assert!(Db::connect_lazy("postgres://[broken", 1).is_err());
        assert!(Db::connect_lazy("nonsense", 1).is_err());
    }
}
