//! Whose pages may read an answer (Fetch Standard §3.3).

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tracing::info;

use super::asked::Asked;
use super::reply::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::state::AppState;
use crate::telemetry::REQUEST_ID;

/// How long a browser may remember what a preflight said, seconds.
const PREFLIGHT_SECONDS: usize = 600;

/// For the pages of all these origins: a preflight does not say of which client it is.
pub(super) fn of(methods: Vec<Method>, origins: Vec<String>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|text| origins.iter().any(|known| known == text))
        })
        .allowed_methods(methods)
        .allowed_headers([header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION])
        .expose_headers([
            REQUEST_ID,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
        ])
        .block_on_origin_mismatch(false)
        .max_age(PREFLIGHT_SECONDS)
}

/// Takes the answer for one client from the pages of another, and logs which origin may not read an answer.
pub(super) async fn for_the_client<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let request = response.request();
    let origin =
        request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (Some(origin), Some(state)) = (origin, request.app_data::<web::Data<AppState>>().cloned()) else {
        return Ok(response);
    };
    let asked = Asked::of(request).client;
    let client = asked.as_deref().and_then(|id| state.deps.clients.find(id));
    if client.is_some_and(|client| !client.allowed_origins.contains(&origin)) {
        response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    }
    let refused = !response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if refused && origin != state.deps.policy.issuer.origin() {
        let origin: String = origin.chars().take(256).collect();
        info!(target: "kakao_auth::sampled", origin, client_id = asked, "an origin that allowed_origins does not list was refused (CORS)");
    }
    Ok(response)
}
