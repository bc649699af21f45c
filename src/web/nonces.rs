//! `POST /v1/nonces`

use actix_web::HttpResponse;

use super::reply::Reply;
use super::state::State;
use crate::flow::nonces;

pub(super) async fn post(state: State) -> Result<HttpResponse, Reply> {
    Ok(HttpResponse::Created().json(nonces::issue(&state.deps)?))
}
