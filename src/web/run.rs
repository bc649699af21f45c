//! The one way to run a flow: on a handle of its own to the database, within its deadline, and with lateness and panics
//! told like any other failure.
//!
//! actix drops a handler whose connection was reset at its next await. A flow that only reads may be dropped with it
//! ([`attached`]); one that spends something must not be cut in half, so it has a task of its own and ends even when
//! nobody waits for it any more ([`detached`]): on the runtime of the service (`admission::serve`), which does not end before
//! such a flow has.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, TryFutureExt};
use tracing::Instrument;

use super::http_refusal::HttpRefusal;
use super::reply::Reply;
use super::state::State;
use crate::flow::token::unanswered::HEARD_WITHIN;
use crate::flow::{Deps, Error};
use crate::store::Db;

/// How long a caller waits for a flow that needs our own stores alone.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

// A refresh or exchange that its caller no longer waits for has to notice that.
const _: () = assert!(HEARD_WITHIN.as_nanos() < DEADLINE.as_nanos());

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
    // On the heap: a handler that still waits for its body would hold room for the flow, tens of kilobytes a connection.
    let flow = Box::pin(flow(&state.deps, &mut db));
    // Nothing of what the panic left is looked at again.
    let flow = AssertUnwindSafe(flow).catch_unwind();
    within(DEADLINE, flow.map_err(|payload| message_of(&*payload).to_owned())).await
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
    let under_way = state.traffic.flow(deadline >= KAKAO_DEADLINE).map_err(HttpRefusal::from)?;
    let flow = flow(Arc::clone(&state.deps), state.db());
    let flow = async move {
        let _under_way = under_way;
        flow.await
    };
    let task = tokio::spawn(flow.in_current_span());
    within(deadline, task.map_err(|panic| panic.to_string())).await
}

/// The outcome of a flow, or what stands for one: `flow` fails with the message of a panic.
async fn within<T, E>(
    deadline: Duration,
    flow: impl Future<Output = Result<Result<T, E>, String>>,
) -> Result<T, Reply>
where
    Reply: From<E>,
{
    match tokio::time::timeout(deadline, flow).await {
        Ok(Ok(outcome)) => Ok(outcome?),
        Ok(Err(panic)) => Err(Reply::Failed(Error::broken(format!("a flow panicked: {panic}")))),
        Err(_) => Err(Reply::Failed(Error::unavailable("a flow took longer than its caller waits"))),
    }
}

/// What `panic!` was given.
fn message_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::chain;

    async fn outcome_of(flow: impl Future<Output = Result<Result<u8, Error>, String>>) -> Result<u8, Error> {
        within(Duration::from_secs(5), flow).await.map_err(|reply| match reply {
            Reply::Failed(error) => error,
            _ => unreachable!("a flow builds no reply"),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_flow_is_unavailable_and_one_in_time_is_not() {
        let after = async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(Ok(7))
        };
        assert_eq!(outcome_of(after(4)).await.unwrap(), 7);
        assert!(matches!(outcome_of(after(6)).await, Err(Error::Unavailable(_))));
    }

    #[tokio::test]
    async fn a_flow_that_panics_is_broken_and_its_message_goes_to_the_log() {
        let one = async { if true { panic!("of {}", "one") } else { Ok(Ok(7)) } };
        let one = AssertUnwindSafe(one).catch_unwind().map(|outcome| match outcome {
            Ok(outcome) => outcome,
            Err(payload) => Err(message_of(&*payload).to_owned()),
        });
        let other = tokio::spawn(async { if true { panic!("of another") } else { Ok(7) } });
        for (outcome, message) in [
            (outcome_of(one).await, "of one"),
            (outcome_of(other.map_err(|e| e.to_string())).await, "of another"),
        ] {
            let Err(Error::Broken(source)) = outcome else { panic!("{outcome:?}") };
            assert!(chain(source.as_ref()).contains(message), "{source}");
        }
    }
}
