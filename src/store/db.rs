//! The two databases behind one name: the pool, the handle that a caller gets of it, transactions, and the migrations.
//!
//! A connection is passed, never taken: a statement runs on the [`Conn`] that it is given. While a [`Tx`] is open it
//! borrows its caller's only [`Db`], so that neither a second connection (which a full pool would not give, while everybody
//! waits for one with the first in hand) nor a second transaction can be had.
//!
//! Nobody waits for the database without a limit of our own (`patience`), since a server that has fallen silent keeps none;
//! and a connection that did not answer in time is dropped, never used again (`postgres`).

mod conn;
mod demand;
mod migrations;
mod patience;
mod pool;
mod postgres;

pub(crate) use conn::LONGEST_TX;
pub use conn::{Conn, Db, Tx};
pub(super) use conn::{Lent, on};
pub(super) use patience::within;
pub use pool::Pool;
