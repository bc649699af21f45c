//! `GET /.well-known/jwks.json`: the public keys (RFC 7517).

use actix_web::{HttpRequest, HttpResponse};

use super::documents::document;
use super::reply::Reply;
use super::state::State;
use crate::flow;

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let jwks = flow::jwks(&state.deps);
    let cache_control = &state.documents.cache_control;
    Ok(document(&request, cache_control, jwks.etag(), "application/jwk-set+json", jwks.body()))
}
