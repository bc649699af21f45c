//! What the store says when it cannot: try again later, or a mistake of ours.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::error::DatabaseError;

/// The result of a store function.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, is overloaded, read-only or full: trying again later helps.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something that cannot be: a mistake of ours, or a row that somebody changed by hand.
    #[error("{what}")]
    Broken {
        /// What was being done, or which row of which table is impossible.
        what: String,
        /// The database's word.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    /// A row that cannot be: names table, column and row.
    pub(super) fn impossible(table: &str, column: &str, row: &dyn std::fmt::Display) -> Self {
        Self::Broken { what: format!("{table}.{column} of row {row} is impossible"), source: None }
    }
}

/// The database did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Silent(Duration);

impl Error {
    /// No answer came in this time: whether the statement took effect is not known.
    pub(super) fn silent(limit: Duration) -> Self {
        Self::Unavailable(Box::new(Silent(limit)))
    }

    /// Whether it is that no answer came in time.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable(source) if source.is::<Silent>())
    }

    /// Whether it is one of the connection rather than of the statement: nothing more can be expected of that connection.
    pub(super) fn is_of_connection(&self) -> bool {
        match self.of_sqlx() {
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => true,
            Some(_) => self.code().is_some_and(|code| ENDED.iter().any(|prefix| code.starts_with(prefix))),
            None => self.is_silence(),
        }
    }

    /// Whether it is that somebody else held a lock for too long: `lock_not_available`; BUSY, LOCKED.
    pub(super) fn is_of_a_lock(&self) -> bool {
        let Some(error) = self.of_sqlx().and_then(sqlx::Error::as_database_error) else { return false };
        match sqlite_code(error) {
            Some(code) => matches!(code, 5 | 6),
            None => error.code().as_deref() == Some("55P03"),
        }
    }

    /// What the database calls it: a SQLSTATE, or SQLite's number.
    pub(super) fn code(&self) -> Option<Cow<'_, str>> {
        self.of_sqlx()?.as_database_error()?.code()
    }

    fn of_sqlx(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Unavailable(source) | Self::Broken { source: Some(source), .. } => source.downcast_ref(),
            Self::Broken { source: None, .. } => None,
        }
    }
}

/// What a server of Postgres, or a pooler before it, says of a connection that leads nowhere: it is broken, its server only
/// reads (a standby, or a primary that no longer is one), is shut down, or has crashed.
const ENDED: [&str; 5] = ["08", "25006", "57P01", "57P02", "57P03"];

/// SQLSTATE classes and codes (PostgreSQL, Appendix A) after which the same statement may succeed later: connection
/// trouble, insufficient resources (disk full, too many connections), operator intervention (shutdown, start-up, a
/// statement that was cancelled), a standby that only reads, a lost race for a row; and a password that was changed and is
/// not here yet.
const LATER: [&str; 8] = ["08", "28", "53", "57", "25006", "40001", "40P01", "55P03"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let later = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_)
            // The reply was cut off in the middle: the connection is gone.
            | sqlx::Error::Protocol(_) => true,
            sqlx::Error::Database(database) => passes(database.as_ref()),
            _ => false,
        };
        if later {
            Self::Unavailable(Box::new(error))
        } else {
            Self::Broken { what: "a statement failed".into(), source: Some(Box::new(error)) }
        }
    }
}

fn passes(error: &dyn DatabaseError) -> bool {
    if let Some(code) = sqlite_code(error) {
        // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
        return matches!(code, 5 | 6 | 8 | 10 | 13 | 14);
    }
    error.code().is_some_and(|code| LATER.iter().any(|prefix| code.starts_with(prefix)))
}

/// The primary result code of SQLite, which is the low byte; none if it is Postgres that speaks.
fn sqlite_code(error: &dyn DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => error.into(),
            other => Self::Broken {
                what: "the migrations do not fit this database".into(),
                source: Some(Box::new(other)),
            },
        }
    }
}
