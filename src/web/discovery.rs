//! `GET /.well-known/openid-configuration`, `GET /.well-known/oauth-authorization-server` (OpenID Connect Discovery, RFC 8414).

use actix_web::{HttpRequest, HttpResponse};

use super::documents::{Documents, document};
use super::reply::Reply;
use super::state::State;

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let Documents { body, etag, cache_control } = &state.documents;
    Ok(document(&request, cache_control, etag, "application/json", body))
}
