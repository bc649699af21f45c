//! Owns the tables. Stands on `domain` alone; `sqlx` is at home here.
//!
//! A file owns what is done with one thing: mostly a table, sometimes some columns of one (`kakao_links`, `accounts`) or
//! several that are written together (`logins`). The SQL of a function stands beside it as a `const`, one text for Postgres
//! and SQLite. Time is a parameter, and so is the connection: `&mut Conn`, or `&mut Tx` where a statement is only right
//! beside others. Check-then-act is always one conditional statement.

mod db;
mod error;
mod profile;
mod standing;
mod statement;
mod types;

pub mod accounts;
pub mod assertions;
pub mod attempts;
pub(crate) mod audit;
pub mod browser_sessions;
pub mod grants;
pub(crate) mod import;
pub mod kakao_links;
pub mod leases;
pub mod logins;
pub mod outbox;
pub(crate) mod revocations;
pub mod signing_keys;
pub mod sweep;
pub mod users;

pub(crate) use db::LONGEST_TX;
pub use db::{Conn, Db, Pool, Tx};
pub(crate) use error::{Error, Result};

/// Reads the columns of a row by name into a struct, for both databases. What stands behind `;` reads several columns itself.
macro_rules! row {
    ($name:ident { $($field:ident: $type:ty),* $(,)? $(; $nested:ident: $reads:ty)? }) => {
        struct $name { $($field: $type,)* $($nested: $reads)? }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                Ok(Self {
                    $($field: sqlx::Row::try_get(row, stringify!($field))?,)*
                    $($nested: sqlx::FromRow::from_row(row)?)?
                })
            }
        }

        impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                Ok(Self {
                    $($field: sqlx::Row::try_get(row, stringify!($field))?,)*
                    $($nested: sqlx::FromRow::from_row(row)?)?
                })
            }
        }
    };
}

use db::on;
use row;
