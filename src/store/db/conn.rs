//! The handle that a caller gets of the database, and its transactions.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Sqlite, SqliteConnection, Transaction};

use super::patience::Patience;
use super::pool::Pool;
use super::postgres::Pooled;
use crate::domain::Initiator;
use crate::store::error::{Error, Result};

/// Runs the same expression on whichever database it is: lends it a `&mut PgConnection` or `&mut SqliteConnection`, for as
/// long as the caller may wait. With two expressions, each database has its own.
macro_rules! on {
    ($conn:expr, $lent:ident => $body:expr) => {
        $crate::store::db::on!($conn, postgres $lent => $body, sqlite $lent => $body)
    };
    ($conn:expr, postgres $pg:ident => $on_postgres:expr, sqlite $lite:ident => $on_sqlite:expr) => {
        match $conn.lend().await? {
            $crate::store::db::Lent::Postgres(mut lent) => {
                let limit = lent.limit();
                let $pg = lent.connection();
                let outcome = $crate::store::db::within(limit, async { $on_postgres }).await;
                lent.done(outcome)
            }
            $crate::store::db::Lent::Sqlite(mut lent) => {
                let $lite = lent.connection();
                let outcome: ::sqlx::Result<_> = async { $on_sqlite }.await;
                outcome.map_err($crate::store::Error::from)
            }
        }
    };
}

pub(in crate::store) use on;

/// A transaction that took longer is rolled back, not committed. What it says about the time would be too old by then: the
/// revocation feed counts on what was written in it being visible soon after.
pub(crate) const LONGEST_TX: Duration = Duration::from_secs(20);

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
    patience: Patience,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Postgres(Pooled),
    Sqlite(Transaction<'static, Sqlite>),
}

impl Pool {
    /// The way to the database for one caller that is the service itself: a step of a job. Takes no connection yet.
    pub fn handle(&self) -> Db {
        self.handle_for(Initiator::Service)
    }

    /// The same for a request or a command. What they do is recorded as theirs, and they wait for as long as they may.
    pub fn handle_for(&self, initiator: Initiator) -> Db {
        let patience = Patience::of(&initiator);
        Db(Conn { pool: self.clone(), initiator, patience, open: None })
    }

    /// The way to the database on a connection that no other caller can take, with a request's patience: for readiness.
    pub(crate) fn probe(&self) -> Db {
        let patience = Patience::of_request();
        Db(Conn { pool: self.beside(), initiator: Initiator::Service, patience, open: None })
    }
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
            Pool::Postgres(pool, server) => {
                Open::Postgres(Pooled::begin(pool, server, &mut conn.patience).await?)
            }
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
            Some(Open::Postgres(tx)) => tx.commit(&mut self.0.patience).await?,
            Some(Open::Sqlite(tx)) => tx.commit().await?,
            None => {}
        }
        Ok(())
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        // Rolls back what was not committed.
        if let Some(Open::Postgres(tx)) = self.0.open.take() {
            tx.roll_back();
        }
    }
}

impl Conn {
    /// Whether the database answers.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        const SQL: &str = "SELECT 1";
        on!(self, c => sqlx::query(SQL).execute(c).await.map(drop))
    }

    /// The server's version, as Postgres counts it (170002 is 17.2); SQLite comes with us.
    pub(crate) async fn server_version(&mut self) -> Result<Option<i32>> {
        const SQL: &str = "SELECT current_setting('server_version_num')::int4";
        on!(self,
            postgres c => sqlx::query_scalar(SQL).fetch_one(c).await.map(Some),
            sqlite c => sqlx::query("SELECT 1").execute(c).await.map(|_| None))
    }

    /// Whether it leads to Postgres, whose statements can do more at once.
    pub(in crate::store) fn is_postgres(&self) -> bool {
        matches!(self.pool, Pool::Postgres(..))
    }

    /// For whom it works.
    pub(in crate::store) const fn initiator(&self) -> &Initiator {
        &self.initiator
    }

    /// Lends a connection for one statement; [`on`] is the only way to it.
    pub(in crate::store) async fn lend(&mut self) -> Result<Lent<'_>> {
        let Self { pool, patience, open, .. } = self;
        match open {
            Some(Open::Postgres(tx)) if tx.is_lost() => {
                Err(Error::Unavailable("the connection of this transaction was lost".into()))
            }
            Some(Open::Postgres(tx)) => Ok(Lent::Postgres(OnPostgres::new(Held::Open(tx), patience))),
            Some(Open::Sqlite(tx)) => Ok(Lent::Sqlite(OnSqlite::Open(tx))),
            None => match pool {
                Pool::Postgres(pool, server) => {
                    let pooled = Pooled::acquire(pool, server, patience).await?;
                    Ok(Lent::Postgres(OnPostgres::new(Held::Own(pooled), patience)))
                }
                Pool::Sqlite(pool) => Ok(Lent::Sqlite(OnSqlite::Pooled(pool.acquire().await?))),
            },
        }
    }
}

/// A connection for one statement, of either database.
pub(in crate::store) enum Lent<'c> {
    Postgres(OnPostgres<'c>),
    Sqlite(OnSqlite<'c>),
}

/// A connection of the pool, or that of the open transaction.
enum Held<'c> {
    Own(Pooled),
    Open(&'c mut Pooled),
}

/// A connection of Postgres for one statement, and for how long.
pub(in crate::store) struct OnPostgres<'c> {
    held: Held<'c>,
    patience: &'c mut Patience,
    began: Instant,
}

impl<'c> OnPostgres<'c> {
    fn new(held: Held<'c>, patience: &'c mut Patience) -> Self {
        Self { held, patience, began: Instant::now() }
    }

    fn pooled(&mut self) -> &mut Pooled {
        match &mut self.held {
            Held::Own(pooled) => pooled,
            Held::Open(pooled) => pooled,
        }
    }

    pub(in crate::store) fn limit(&self) -> Duration {
        self.patience.limit()
    }

    pub(in crate::store) fn connection(&mut self) -> &mut PgConnection {
        self.pooled()
    }

    /// The statement is over: the connection goes back, or is dropped.
    pub(in crate::store) fn done<T>(mut self, outcome: Result<T>) -> Result<T> {
        self.patience.spend(self.began.elapsed());
        self.pooled().judged(outcome)
    }
}

/// A connection of SQLite for one statement. SQLite waits for a lock for a time of its own, and cannot fall silent.
pub(in crate::store) enum OnSqlite<'c> {
    Pooled(PoolConnection<Sqlite>),
    Open(&'c mut Transaction<'static, Sqlite>),
}

impl OnSqlite<'_> {
    pub(in crate::store) fn connection(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Open(tx) => tx,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_was_open_for_too_long_is_rolled_back() {
        let mut db = Pool::connect_lazy("sqlite::memory:", 1).unwrap().handle();
        let mut tx = Tx::begin(&mut db).await.unwrap();
        tx.ping().await.unwrap();
        tx.1 -= LONGEST_TX + Duration::from_secs(1);
        assert!(matches!(tx.commit().await, Err(Error::Unavailable(_))));
        Tx::begin(&mut db).await.unwrap().commit().await.unwrap();
    }
}
