//! `POST /v1/nonces`

use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use crate::domain::Limit;
use crate::flow::{limits, nonces};

pub(super) async fn post(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    limits::count(&state.deps, Limit::Nonce, &State::caller(&request, None)).await?;
    Ok(HttpResponse::Created().json(nonces::issue(&state.deps)?))
}
