//! Owns the tables. Stands on `domain` alone; `sqlx` is at home here.
//!
//! One table per file; the SQL of a function stands beside it as a `const`, one text for Postgres and SQLite. Time is a
//! parameter. Check-then-act is always one conditional statement.

mod db;
mod error;
mod types;

pub mod accounts;
pub mod assertions;
pub mod attempts;
pub mod audit;
pub mod grants;
pub mod import;
pub mod kakao_links;
pub mod leases;
pub mod logins;
pub mod logout_outbox;
pub mod revocations;
pub mod sessions;
pub mod signing_keys;
pub mod sweep;
pub mod users;
pub mod webhook_events;

pub use db::{Db, Tx};
pub use error::{Error, Result};

/// Runs the same expression on whichever pool it is.
macro_rules! on {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Postgres($pool) => $body,
            $crate::store::Db::Sqlite($pool) => $body,
        }
    };
}

/// Runs the same expression on whichever transaction it is.
macro_rules! on_tx {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx {
            $crate::store::Tx::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::store::Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

/// Reads the columns of a row by name into a struct, for both databases.
macro_rules! row {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        struct $name { $($field: $type),* }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: sqlx::Row::try_get(row, stringify!($field))?),* })
            }
        }

        impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: sqlx::Row::try_get(row, stringify!($field))?),* })
            }
        }
    };
}

use {on, on_tx, row};
