//! Owns logs, request spans and the recorder of metrics. Stands on nothing of ours; `tracing-actix-web` and the exporter of
//! metrics are at home here.
//!
//! The span of a request is written by hand: the usual one records the query string, and with it codes and states.

pub(crate) mod metrics;
mod sampling;

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::{Span, debug, info};
use tracing_actix_web::RootSpanBuilder;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use uuid::Uuid;

use sampling::{SAMPLED, Sampling};

/// The header of the request id, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a caller sends is no error of ours: this target has a line of level ERROR for each request that is no HTTP.
const QUIET: &str = "actix_http::h1=off";

/// Starts logging: JSON, one object a line, or pretty for people.
///
/// # Errors
/// When logging was started before.
pub fn init(json: bool, level: &str) -> Result<(), TryInitError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")));
    let registry = tracing_subscriber::registry().with(filter).with(Sampling::default());
    if json {
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false);
        registry.with(lines).try_init()
    } else {
        registry.with(tracing_subscriber::fmt::layer().with_target(false)).try_init()
    }
}

/// The id of a request: the caller's, if it is one, else ours.
#[derive(Clone)]
pub(crate) struct RequestId(Arc<str>);

struct Began(Instant);

/// The id that this request goes by in logs, headers and error bodies.
pub(crate) fn request_id(request: &HttpRequest) -> Arc<str> {
    request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0)).unwrap_or_default()
}

/// Gives each request its id, and the id to the response.
///
/// A caller's id is taken over when it is 1 to 64 characters of `A-Z a-z 0-9 . _ -`: anything else could forge log lines.
pub(crate) async fn identify<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let given =
        request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_id(id));
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let header = HeaderValue::from_str(&id);
    request.extensions_mut().insert(RequestId(id.into()));
    request.extensions_mut().insert(Began(Instant::now()));
    let mut response = next.call(request).await?;
    if let Ok(header) = header {
        response.headers_mut().insert(REQUEST_ID, header);
    }
    Ok(response)
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The span of a request: its id, method and route pattern. Never a path that no route has, a query, or a header.
pub(crate) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0)).unwrap_or_default();
        let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
        tracing::info_span!("request", request_id = &*id, method = %request.method(), route)
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let (status, began) = match outcome {
            Ok(response) => {
                let began = response.request().extensions().get::<Began>().map(|began| began.0);
                (response.status().as_u16(), began)
            }
            Err(error) => (error.as_response_error().status_code().as_u16(), None),
        };
        let milliseconds = began.map_or(0.0, |began| began.elapsed().as_secs_f64() * 1_000.0);
        span.in_scope(|| {
            if status < 400 {
                debug!(status, milliseconds, "answered");
            } else {
                info!(target: SAMPLED, status, milliseconds, "answered");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn a_caller_s_id_cannot_forge_a_log_line() {
        assert!(is_id("0195-abc_D.e"));
        for bad in ["", "a b", "a\nb", "a\"b", "한", &"x".repeat(65)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }
}
