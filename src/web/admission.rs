//! Each request on its way in: onto the runtime of the service, and within the bounds of the process.

use std::future::poll_fn;
use std::pin::pin;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::http_refusal::HttpRefusal;
use super::reply::Family;
use super::state::AppState;

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
        let _entered = traffic.runtime().enter();
        answer.as_mut().poll(context)
    })
    .await?;
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
