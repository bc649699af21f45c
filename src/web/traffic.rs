//! The connections and requests of a process: the runtime that they stand on, how many there may be, and how they end with
//! the process. `admission` has each request pass here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::warn;

/// How often the end of connections or flows is looked for when the process ends.
const LOOK: Duration = Duration::from_millis(20);

const SHED: &str = "kakao_auth_shed_total";

/// Says what the counter means.
pub(crate) fn describe_metrics() {
    describe_counter!(SHED, "requests refused (503) because a bound of this process was reached, by bound");
}

/// How much one process takes on at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections, beyond which requests are refused.
    pub(crate) connections: usize,
    /// Requests under way. Half of them may wait for Kakao, and half may still be sending their bodies.
    pub(crate) requests: usize,
}

/// Shared by all workers.
pub(crate) struct Traffic {
    /// The runtime of the service, not that of a worker.
    runtime: Handle,
    bounds: Bounds,
    connections: Arc<AtomicUsize>,
    requests: Arc<Semaphore>,
    at_kakao: Arc<Semaphore>,
    bodies: Bodies,
    flows: Arc<()>,
    closing: AtomicBool,
}

/// A connection that is open.
pub(crate) struct Connection(Arc<AtomicUsize>);

/// A bound is reached.
#[derive(Debug)]
pub(super) struct Busy;

/// A flow that is to end even when its caller is gone.
pub(super) struct UnderWay {
    _counted: Arc<()>,
    _at_kakao: Option<OwnedSemaphorePermit>,
}

impl Traffic {
    /// On the runtime that this is called on.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let half = bounds.requests.div_ceil(2);
        Self {
            runtime: Handle::current(),
            bounds,
            connections: Arc::default(),
            requests: Arc::new(Semaphore::new(bounds.requests)),
            at_kakao: Arc::new(Semaphore::new(half)),
            bodies: Bodies { most: half, next: AtomicU64::new(0), under_way: Mutex::default() },
            flows: Arc::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// Counts a connection until it is dropped.
    pub(crate) fn connection(&self) -> Connection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connection(Arc::clone(&self.connections))
    }

    /// Counts a flow until it is dropped.
    ///
    /// # Errors
    /// When it would ask Kakao and too many do: a Kakao that hangs must leave room for what does not need it.
    pub(super) fn flow(&self, asks_kakao: bool) -> Result<UnderWay, Busy> {
        let at_kakao = if asks_kakao {
            Some(Arc::clone(&self.at_kakao).try_acquire_owned().map_err(|_| shed("kakao"))?)
        } else {
            None
        };
        Ok(UnderWay { _counted: Arc::clone(&self.flows), _at_kakao: at_kakao })
    }

    /// Waits for a body that is on its way.
    ///
    /// # Errors
    /// When so many are that it has to give way: the oldest does, since those of honest callers take no time.
    pub(super) async fn body<T>(&self, collect: impl Future<Output = T>) -> Result<T, Busy> {
        let (number, displaced) = self.bodies.begin();
        let _ends = BodyEnds { bodies: &self.bodies, number };
        tokio::select! {
            biased;
            collected = collect => Ok(collected),
            Ok(()) = displaced => Err(shed("bodies")),
        }
    }

    /// The runtime of the service.
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// From now on each answer is the last of its connection.
    pub(crate) fn close_connections(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Waits until no connection is open.
    pub(crate) async fn connections_end(&self) {
        while self.connections.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until no flow is under way, also of those whose callers are gone.
    pub(crate) async fn flows_end(&self) {
        while Arc::strong_count(&self.flows) > 1 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether answers close their connections: the process ends, or so many are open that none is kept for later.
    pub(super) fn closes(&self) -> bool {
        let crowded = self.connections.load(Ordering::Relaxed) > self.bounds.connections / 2;
        crowded || self.closing.load(Ordering::Relaxed)
    }

    /// Lets a request in until the permit is dropped.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, Busy> {
        if self.connections.load(Ordering::Relaxed) > self.bounds.connections {
            return Err(shed("connections"));
        }
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| shed("requests"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn shed(bound: &'static str) -> Busy {
    counter!(SHED, "bound" => bound).increment(1);
    warn!(target: "kakao_auth::sampled", code = bound, "a request was refused: a bound of server.max_* is reached");
    Busy
}

/// Bodies that are on their way. An attacker's stay for as long as they may; so at the bound the oldest gives way to the newest.
struct Bodies {
    most: usize,
    next: AtomicU64,
    under_way: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
}

struct BodyEnds<'a> {
    bodies: &'a Bodies,
    number: u64,
}

impl Bodies {
    fn begin(&self) -> (u64, oneshot::Receiver<()>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (displace, displaced) = oneshot::channel();
        let mut under_way = self.lock();
        if under_way.len() >= self.most
            && let Some((_, oldest)) = under_way.pop_first()
        {
            // It may have ended this moment.
            let _ = oldest.send(());
        }
        under_way.insert(number, displace);
        (number, displaced)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BodyEnds<'_> {
    fn drop(&mut self) {
        self.bodies.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn at_the_bound_the_oldest_body_gives_way_to_the_newest() {
        let traffic = Traffic::new(Bounds { connections: 10, requests: 4 });
        let slow = || Box::pin(traffic.body(pending::<()>()));
        let (mut first, mut second) = (slow(), slow());
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert_eq!(traffic.body(async { 7 }).await.unwrap(), 7, "one that is there at once");
        assert!(matches!((&mut first).now_or_never(), Some(Err(Busy))), "two may be on their way");
        assert!((&mut second).now_or_never().is_none(), "the other one may stay");
        drop((first, second));
        assert!(traffic.bodies.lock().is_empty(), "nothing stays behind");
    }
}
