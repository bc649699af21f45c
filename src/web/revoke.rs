//! `POST /oauth/revoke` (RFC 7009).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{caller, read, run};
use crate::domain::AnyToken;
use crate::flow::refusal::RequestRefusal;
use crate::flow::{self};

pub(super) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    let params = read::form(&request, payload).await?;
    let client = caller::client(&request, &state, &params).await?;
    let shown = AnyToken::new(params.one("token")?.ok_or(RequestRefusal::ParameterMissing("token"))?);
    run::detached(&state, run::DEADLINE, |deps, mut db| async move {
        flow::revoke(&deps, &mut db, &client, &shown).await
    })
    .await?;
    Ok(HttpResponse::Ok().finish())
}
