//! Connections of Postgres: how they are made, found dead, and given back.
//!
//! sqlx waits without end for a connection that is given back to answer once more, and counts it as in use until then. So
//! nothing gives one back but [`Pooled`], which waits shortly. A connection whose statement took too long, or that says the
//! server is going away, is dropped: it is not asked anything again, and the pool opens another.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres};

use super::demand::Demand;
use super::patience::{Patience, within};
use crate::store::error::{Error, Result};

/// How long a caller waits for a connection before it is told to come back.
const ACQUIRE: Duration = Duration::from_millis(1_500);

/// A connection that rested longer is asked whether it still lives before it is used: under load that costs nothing.
const RESTED: Duration = Duration::from_millis(500);

/// How long such a connection has to answer. Then another is opened.
const ANSWERS_WITHIN: Duration = Duration::from_millis(200);

/// How long a connection has to become usable again when it is given back; whoever hung up may have left a statement.
const GIVEN_BACK_WITHIN: Duration = Duration::from_millis(500);

/// A connection that nobody used for so long is closed.
const IDLE: Duration = Duration::from_mins(1);

/// The server's own limits for what runs outside a transaction, once for each new connection, so that no statement pays a
/// round trip for them. Not by start-up parameters: a pooler refuses those, or drops them without a word. Behind a pooler that
/// gives each transaction another session, they hold for the sessions that they happen to reach, which are all ours, since
/// a pooler shares them by user and database alone; `ALTER ROLE … SET` makes that certain. Transactions have their own
/// limits ([`Patience::begin`]), and the caller's do not depend on the server.
const SESSION: &str = "SET statement_timeout = '5s'; SET lock_timeout = '250ms'; \
                       SET idle_in_transaction_session_timeout = '10s'";

/// What is known of all connections of a pool.
#[derive(Debug, Default)]
struct Watch {
    trouble: Mutex<Trouble>,
    demand: Demand,
}

/// When connections last gave trouble. Those that were idle then may lead to the same place.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    /// One was closed, or said that its server is going away or only reads.
    failed: Option<Instant>,
    /// One did not answer in time.
    silent: Option<Instant>,
}

/// What to do with an idle connection.
#[derive(Debug, PartialEq, Eq)]
enum Idle {
    Use,
    Ask,
    Close,
}

impl Watch {
    fn note(&self, error: &Error) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let which = if error.is_silence() { &mut trouble.silent } else { &mut trouble.failed };
        *which = Some(Instant::now());
    }

    /// A connection that was idle when another failed may answer and still lead to a server that only reads.
    fn judge(&self, idle_for: Duration) -> Idle {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let meanwhile = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() <= idle_for);
        if meanwhile(trouble.failed) {
            Idle::Close
        } else if meanwhile(trouble.silent) || idle_for > RESTED {
            Idle::Ask
        } else {
            Idle::Use
        }
    }
}

/// What belongs to the one server of a pool, beside its connections.
#[derive(Debug)]
pub struct Server {
    watch: Arc<Watch>,
    /// For readiness: one connection that no caller can take.
    probe: PgPool,
}

impl Server {
    /// The connection beside those of the pool.
    pub(super) const fn probe(&self) -> &PgPool {
        &self.probe
    }
}

fn options(url: &str) -> sqlx::Result<PgConnectOptions> {
    // Our numbers are whole, and a pooler refuses this start-up parameter.
    Ok(PgConnectOptions::from_str(url)?.application_name("kakao-auth").extra_float_digits(None))
}

/// A pool, and what belongs to its server.
pub(super) fn open(url: &str, max_connections: u32) -> sqlx::Result<(PgPool, Arc<Server>)> {
    let (options, watch) = (options(url)?, Arc::new(Watch::default()));
    let pool = pool(options.clone(), max_connections, &watch);
    let probe = self::pool(options, 1, &watch);
    Ok((pool, Arc::new(Server { watch, probe })))
}

fn pool(options: PgConnectOptions, max_connections: u32, watch: &Arc<Watch>) -> PgPool {
    let watch = Arc::clone(watch);
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
        .before_acquire(move |connection, meta| Box::pin(is_usable(connection, meta, Arc::clone(&watch))))
        .connect_lazy_with(options)
}

/// Whether an idle connection can be used.
async fn is_usable(
    connection: &mut PgConnection,
    meta: PoolConnectionMetadata,
    watch: Arc<Watch>,
) -> sqlx::Result<bool> {
    match watch.judge(meta.idle_for) {
        Idle::Use => Ok(true),
        Idle::Close => Ok(false),
        Idle::Ask => match within(ANSWERS_WITHIN, connection.ping()).await {
            Ok(()) => Ok(true),
            Err(error) => {
                watch.note(&error);
                Ok(false)
            }
        },
    }
}

/// Somebody wants a connection, from asking for it to giving it back.
#[derive(Debug)]
struct Wanted(Arc<Server>);

impl Wanted {
    fn of(server: &Arc<Server>) -> Self {
        server.watch.demand.rise(Instant::now());
        Self(Arc::clone(server))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.watch.demand.fall(Instant::now());
    }
}

/// A connection of the pool, which gets it back when this is dropped, or opens another.
#[derive(Debug)]
pub(super) struct Pooled {
    connection: PoolConnection<Postgres>,
    state: State,
    pool: PgPool,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between transactions.
    Usable,
    /// A transaction is open.
    InTransaction,
    /// It failed, or did not answer in time.
    Lost,
}

impl Pooled {
    pub(super) async fn acquire(
        pool: &PgPool,
        server: &Arc<Server>,
        patience: &mut Patience,
    ) -> Result<Self> {
        let wanted = Wanted::of(server);
        let connection = patience.within(pool.acquire()).await?;
        Ok(Self { connection, state: State::Usable, pool: pool.clone(), wanted })
    }

    /// Opens a transaction. A connection that turns out to be dead is no reason to fail: nothing was done on it yet.
    pub(super) async fn begin(pool: &PgPool, server: &Arc<Server>, patience: &mut Patience) -> Result<Self> {
        let mut first = Self::acquire(pool, server, patience).await?;
        match first.open_transaction(patience).await {
            Ok(()) => Ok(first),
            Err(error) if error.is_of_connection() => {
                drop(first);
                let mut second = Self::acquire(pool, server, patience).await?;
                second.open_transaction(patience).await?;
                Ok(second)
            }
            Err(error) => Err(error),
        }
    }

    async fn open_transaction(&mut self, patience: &mut Patience) -> Result<()> {
        // From before: of a BEGIN that was sent and not answered, nobody knows what became of it.
        self.state = State::InTransaction;
        let sql = patience.begin();
        let begun = patience.within(self.connection.execute(sql)).await;
        self.judged(begun).map(drop)
    }

    /// Commits its transaction.
    pub(super) async fn commit(mut self, patience: &mut Patience) -> Result<()> {
        let done = patience.within(self.connection.execute("COMMIT")).await;
        self.judged(done)?;
        self.state = State::Usable;
        Ok(())
    }

    /// Rolls its transaction back, without its caller.
    pub(super) fn roll_back(self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && self.state == State::InTransaction
        {
            runtime.spawn(self.rolled_back());
        }
    }

    async fn rolled_back(mut self) {
        if within(GIVEN_BACK_WITHIN, self.connection.execute("ROLLBACK")).await.is_ok() {
            self.state = State::Usable;
        }
        drop(self);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The outcome of something that was done on it. After a failure of the connection itself nothing is done on it again.
    pub(super) fn judged<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && error.is_of_connection()
        {
            self.state = State::Lost;
            self.wanted.0.watch.note(error);
        }
        outcome
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let needed = self.wanted.0.watch.demand.needed(Instant::now());
        // Takes the connection out. If what is given back here is dropped, so is the connection, and the pool may open another.
        let returning = self.connection.return_to_pool();
        if self.state == State::Usable
            && self.pool.size() <= needed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(GIVEN_BACK_WITHIN, returning));
        }
    }
}

impl Deref for Pooled {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_closed_or_asked_if_another_gave_trouble_meanwhile() {
        let watch = Watch::default();
        let (long, short) = (Duration::from_mins(1), Duration::ZERO);
        assert_eq!((watch.judge(long), watch.judge(short)), (Idle::Ask, Idle::Use));
        let briefly = Duration::from_millis(400);
        assert_eq!(watch.judge(briefly), Idle::Use);
        watch.note(&Error::silent(briefly));
        assert_eq!(watch.judge(briefly), Idle::Ask, "it may be as silent");
        watch.note(&sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()).into());
        assert_eq!((watch.judge(briefly), watch.judge(long)), (Idle::Close, Idle::Close));
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(watch.judge(short), Idle::Use, "it was used since");
    }
}
