//! What all requests of a process have in common: the runtime that they stand on, how many connections there are, and how
//! they end with the process.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tokio::runtime::Handle;

use super::state::AppState;

/// How often the end of connections or flows is looked for when the process ends.
const LOOK: Duration = Duration::from_millis(20);

/// Shared by all workers.
pub(crate) struct Traffic {
    /// The runtime of the service, not that of a worker.
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    flows: Arc<()>,
    closing: AtomicBool,
}

/// A connection that is open.
pub(crate) struct Connection(Arc<AtomicUsize>);

/// A flow that is to end even when its caller is gone.
pub(super) struct UnderWay {
    _counted: Arc<()>,
}

impl Traffic {
    /// On the runtime that this is called on.
    pub(crate) fn new() -> Self {
        Self {
            runtime: Handle::current(),
            connections: Arc::default(),
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
    pub(super) fn flow(&self) -> UnderWay {
        UnderWay { _counted: Arc::clone(&self.flows) }
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
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Polls a request on the runtime of the service: what it opens, spawns or waits for belongs to that one.
///
/// Each worker of actix has a runtime of its own, which ends with the worker: an idle one ends first. A connection to the
/// database, Redis or Kakao that a request opened there would die under the requests of other workers that use it later.
pub(crate) async fn serve<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let Some(state) = request.app_data::<web::Data<AppState>>().cloned() else {
        return next.call(request).await;
    };
    let traffic = &state.traffic;
    let mut answer = pin!(next.call(request));
    let mut answer = poll_fn(|context| {
        let _entered = traffic.runtime.enter();
        answer.as_mut().poll(context)
    })
    .await?;
    if traffic.closing.load(Ordering::Relaxed) {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}
