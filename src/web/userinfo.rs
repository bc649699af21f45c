//! `GET, POST /oauth/userinfo` (OpenID Connect Core §5.3).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{caller, read, run};
use crate::flow;

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    answer(&request, &state).await
}

pub(super) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    read::no_second_token(&request, payload).await?;
    answer(&request, &state).await
}

async fn answer(request: &HttpRequest, state: &State) -> Result<HttpResponse, Reply> {
    let caller = caller::user(request, state, "openid").await?;
    let claims = run::attached(state, async |_, db| flow::userinfo(db, &caller).await).await?;
    Ok(HttpResponse::Ok().json(claims))
}
