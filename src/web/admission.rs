//! Each request on its way in: onto the runtime of the service, and within the bounds of the process.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tokio::runtime::Handle;

use super::http_refusal::HttpRefusal;
use super::reply::Family;
use super::state::AppState;

/// A future that is polled, and dropped, on a runtime other than that of its thread.
struct OnRuntime<'a, F> {
    runtime: &'a Handle,
    /// Until it is dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for OnRuntime<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let runtime = self.runtime;
        let _entered = runtime.enter();
        match &mut self.future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for OnRuntime<'_, F> {
    fn drop(&mut self) {
        // A caller hung up: what is under way gives its connections back by tasks.
        let runtime = self.runtime;
        let _entered = runtime.enter();
        drop(self.future.take());
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
    let answer = OnRuntime { runtime: traffic.runtime(), future: Some(Box::pin(next.call(request))) };
    let mut answer = answer.await?;
    if traffic.closes() {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

/// Refuses a request beyond what the process takes on at a time.
pub(super) async fn within_bounds(
    family: Family,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request.app_data::<web::Data<AppState>>().cloned();
    let admitted = state.map(|state| state.traffic.admit()).transpose();
    match admitted {
        Ok(_permit) => next.call(request).await,
        Err(busy) => {
            let (request, _) = request.into_parts();
            let response = family.show(&request, HttpRefusal::from(busy).into());
            Ok(ServiceResponse::new(request, response))
        }
    }
}
