//! The one way to run a flow: on a handle of its own to the database, within its deadline, and with lateness and panics
//! told like any other failure.
//!
//! actix drops a handler whose connection was reset at its next await. A flow that only reads may be dropped with it
//! ([`attached`]); one that spends something must not be cut in half, so it has a task of its own and ends even when
//! nobody waits for it any more ([`detached`]).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::Instrument;

use super::reply::Reply;
use super::state::State;
use crate::flow::{Deps, Error};
use crate::store::Db;

/// How long a caller waits for a flow that needs our own stores alone.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// How long a caller waits for a flow that asks Kakao, or waits for another request that does. Each call to Kakao has its
/// own deadline (`kakao.timeout`); the rest is for the stores around it.
pub(super) const KAKAO_DEADLINE: Duration = Duration::from_secs(12);

/// Runs a flow that only reads.
pub(super) async fn attached<T, E>(
    state: &State,
    flow: impl AsyncFnOnce(&Deps, &mut Db) -> Result<T, E>,
) -> Result<T, Reply>
where
    Reply: From<E>,
{
    let mut db = state.db();
    // Nothing of what the panic left is looked at again.
    let flow = AssertUnwindSafe(flow(&state.deps, &mut db)).catch_unwind();
    match tokio::time::timeout(DEADLINE, flow).await {
        Ok(Ok(outcome)) => Ok(outcome?),
        Ok(Err(_)) => Err(panicked()),
        Err(_) => Err(late()),
    }
}

/// Runs a flow that ends even when the caller hangs up or the deadline passes.
pub(super) async fn detached<T, E, F>(
    state: &State,
    deadline: Duration,
    flow: impl FnOnce(Arc<Deps>, Db) -> F,
) -> Result<T, Reply>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    Reply: From<E>,
{
    let task = tokio::spawn(flow(Arc::clone(&state.deps), state.db()).in_current_span());
    match tokio::time::timeout(deadline, task).await {
        Ok(Ok(outcome)) => Ok(outcome?),
        Ok(Err(_)) => Err(panicked()),
        Err(_) => Err(late()),
    }
}

fn panicked() -> Reply {
    Reply::Failed(Error::broken("a flow panicked"))
}

fn late() -> Reply {
    Reply::Failed(Error::unavailable("a flow took longer than its caller waits"))
}
