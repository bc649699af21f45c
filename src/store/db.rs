//! The two databases behind one name: the pool, the handle that a caller gets of it, transactions, and the migrations.
//!
//! A connection is passed, never taken: a statement runs on the [`Conn`] that it is given. While a [`Tx`] is open it
//! borrows its caller's only [`Db`], so that neither a second connection (which a full pool would not give, while everybody
//! waits for one with the first in hand) nor a second transaction can be had.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Database, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::error::{Error, Result};
use crate::domain::Initiator;

/// Runs the same expression on whichever database it is: lends it a `&mut PgConnection` or `&mut SqliteConnection`.
macro_rules! on {
    ($conn:expr, $lent:ident => $body:expr) => {
        match $conn.lend().await? {
            $crate::store::db::Lent::Postgres(mut lent) => {
                let $lent = &mut *lent;
                $body
            }
            $crate::store::db::Lent::Sqlite(mut lent) => {
                let $lent = &mut *lent;
                $body
            }
        }
    };
}

pub(super) use on;

/// How long a request waits for a connection before it is told to come back.
const ACQUIRE: Duration = Duration::from_millis(1_500);

/// A connection that rested longer is asked whether it still lives before it is used: under load that costs nothing, and
/// after a restart of the database no request meets a dead connection.
const RESTED: Duration = Duration::from_secs(1);

/// A transaction that took longer is rolled back, not committed. What it says about the time would be too old by then: the
/// revocation feed counts on what was written in it being visible soon after.
pub(crate) const LONGEST_TX: Duration = Duration::from_secs(20);

/// SQLite writes one after the other: more connections than these would only wait for each other.
const MOST_SQLITE_CONNECTIONS: u32 = 4;

/// A pool of connections to one of the two databases. Whoever serves callers holds it and gives each a [`Db`].
#[derive(Clone, Debug)]
pub enum Pool {
    /// For production, any number of replicas.
    Postgres(PgPool),
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
        if url.starts_with("sqlite:") { sqlite(url, max_connections) } else { postgres(url, max_connections) }
    }

    /// The way to the database for one caller that is the service itself: a step of a job. Takes no connection yet.
    pub fn handle(&self) -> Db {
        self.handle_for(Initiator::Service)
    }

    /// The same for a request or a command. What they do is recorded as theirs.
    pub fn handle_for(&self, initiator: Initiator) -> Db {
        Db(Conn { pool: self.clone(), initiator, open: None })
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
    pub(crate) fn connections(&self) -> (u32, usize) {
        match self {
            Self::Postgres(pool) => (pool.size(), pool.num_idle()),
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
        }
    }

    /// Closes the pool, letting running statements end.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite(pool) => pool.close().await,
        }
    }

    /// A connection for one statement: every statement outside a transaction comes by here.
    async fn acquire(&self) -> Result<Lent<'static>> {
        Ok(match self {
            Self::Postgres(pool) => Lent::Postgres(Held::Pooled(pool.acquire().await?)),
            Self::Sqlite(pool) => Lent::Sqlite(Held::Pooled(pool.acquire().await?)),
        })
    }
}

/// One caller's way to the database, and its only one: it cannot be cloned. Outside a [`Tx`] each statement takes a
/// connection of the pool and gives it back.
#[derive(Debug)]
pub struct Db(Conn);

/// What a statement runs on: the open transaction if there is one, else a connection of the pool. Store functions take
/// `&mut Conn`, to which `&mut Db` and `&mut Tx` are coerced.
#[derive(Debug)]
pub struct Conn {
    pool: Pool,
    initiator: Initiator,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// A transaction; dropped without [`Tx::commit`], it is rolled back. On Postgres READ COMMITTED; on SQLite BEGIN IMMEDIATE,
/// so that two writers queue instead of failing half-way.
///
/// Statements run on it as on the handle that it borrows:
///
/// ```
/// # async fn flow(db: &mut kakao_auth::store::Db, user: kakao_auth::domain::UserId) -> Result<(), Box<dyn std::error::Error>> {
/// use kakao_auth::store::{Tx, users};
/// let mut tx = Tx::begin(db).await?;
/// users::find(&mut tx, user).await?;
/// Ok(tx.commit().await?)
/// # }
/// ```
///
/// While it is open, that handle cannot be used beside it:
///
/// ```compile_fail,E0499
/// # async fn flow(db: &mut kakao_auth::store::Db, user: kakao_auth::domain::UserId) -> Result<(), Box<dyn std::error::Error>> {
/// use kakao_auth::store::{Tx, users};
/// let tx = Tx::begin(db).await?;
/// users::find(db, user).await?; // would take a second connection
/// Ok(tx.commit().await?)
/// # }
/// ```
///
/// Nor can a second transaction begin, even if the first is never used again:
///
/// ```compile_fail,E0499
/// # async fn flow(db: &mut kakao_auth::store::Db) -> Result<(), Box<dyn std::error::Error>> {
/// use kakao_auth::store::Tx;
/// let _tx = Tx::begin(db).await?;
/// Ok(Tx::begin(db).await?.commit().await?)
/// # }
/// ```
#[derive(Debug)]
pub struct Tx<'db>(&'db mut Conn, Instant);

impl<'db> Tx<'db> {
    /// Begins a transaction.
    pub async fn begin(db: &'db mut Db) -> Result<Self> {
        let (conn, began) = (&mut db.0, Instant::now());
        conn.open = Some(match &conn.pool {
            Pool::Postgres(pool) => Open::Postgres(pool.begin().await?),
            Pool::Sqlite(pool) => Open::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
        });
        Ok(Self(conn, began))
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When the database does not, and when it was open for longer than `LONGEST_TX`.
    pub async fn commit(self) -> Result<()> {
        if self.1.elapsed() > LONGEST_TX {
            return Err(Error::Unavailable("a transaction was open for too long".into()));
        }
        match self.0.open.take() {
            Some(Open::Postgres(tx)) => tx.commit().await?,
            Some(Open::Sqlite(tx)) => tx.commit().await?,
            None => {}
        }
        Ok(())
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        // Rolls back what was not committed.
        self.0.open = None;
    }
}

impl Conn {
    /// Whether the database answers.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        const SQL: &str = "SELECT 1";
        on!(self, c => sqlx::query(SQL).execute(c).await.map(drop))?;
        Ok(())
    }

    /// The server's version, as Postgres counts it (170002 is 17.2); SQLite comes with us.
    pub(crate) async fn server_version(&mut self) -> Result<Option<i32>> {
        const SQL: &str = "SELECT current_setting('server_version_num')::int4";
        match self.lend().await? {
            Lent::Postgres(mut c) => Ok(Some(sqlx::query_scalar(SQL).fetch_one(&mut *c).await?)),
            Lent::Sqlite(mut c) => {
                sqlx::query("SELECT 1").execute(&mut *c).await?;
                Ok(None)
            }
        }
    }

    /// Whether it leads to Postgres, whose statements can do more at once.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// For whom it works.
    pub(super) const fn initiator(&self) -> &Initiator {
        &self.initiator
    }

    /// Lends a connection for one statement; [`on`] is the short way.
    pub(super) async fn lend(&mut self) -> Result<Lent<'_>> {
        match &mut self.open {
            Some(Open::Postgres(tx)) => Ok(Lent::Postgres(Held::Open(&mut **tx))),
            Some(Open::Sqlite(tx)) => Ok(Lent::Sqlite(Held::Open(&mut **tx))),
            None => self.pool.acquire().await,
        }
    }
}

/// A connection for one statement, of either database.
pub(super) enum Lent<'c> {
    Postgres(Held<'c, Postgres>),
    Sqlite(Held<'c, Sqlite>),
}

/// A connection of the pool, which goes back when this is dropped, or that of the open transaction.
pub(super) enum Held<'c, D: Database> {
    Pooled(PoolConnection<D>),
    Open(&'c mut D::Connection),
}

impl<D: Database> Deref for Held<'_, D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Open(connection) => connection,
        }
    }
}

impl<D: Database> DerefMut for Held<'_, D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Open(connection) => connection,
        }
    }
}

impl Deref for Db {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl DerefMut for Db {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}

impl Deref for Tx<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.0
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.0
    }
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::Broken { what: "database.url cannot be read".into(), source: Some(Box::new(error)) }
}

fn postgres(url: &str, max_connections: u32) -> Result<Pool> {
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
    Ok(Pool::Postgres(pool))
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

/// Number, name and text of each migration, in order.
type Step = (i64, &'static str, &'static str);

const POSTGRES: &[Step] = &[(1, "first", include_str!("../../migrations/postgres/0001_first.sql"))];
const SQLITE: &[Step] = &[(1, "first", include_str!("../../migrations/sqlite/0001_first.sql"))];

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

    #[tokio::test]
    async fn a_transaction_that_was_open_for_too_long_is_rolled_back() {
        let mut db = Pool::connect_lazy("sqlite::memory:", 1).unwrap().handle();
        let mut tx = Tx::begin(&mut db).await.unwrap();
        tx.ping().await.unwrap();
        tx.1 -= LONGEST_TX + Duration::from_secs(1);
        assert!(matches!(tx.commit().await, Err(Error::Unavailable(_))));
        Tx::begin(&mut db).await.unwrap().commit().await.unwrap();
    }

    #[test]
    fn a_url_that_cannot_be_read_is_an_error_not_a_panic() {
        assert!(Pool::connect_lazy("postgres://[broken", 1).is_err());
        assert!(Pool::connect_lazy("nonsense", 1).is_err());
    }
}
