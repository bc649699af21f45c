//! `DELETE /v1/me/sessions/{id}`

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::GrantId;
use crate::domain::access::ACCOUNT;
use crate::flow::refusal::AccountRefusal;
use crate::flow::sessions;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, run};

pub(in crate::web) async fn delete(
    request: HttpRequest,
    state: State,
    id: Path<String>,
) -> Result<HttpResponse, Reply> {
    let caller = caller::user(&request, &state, ACCOUNT).await?;
    let id = GrantId(id.parse().map_err(|_| AccountRefusal::NotFound)?);
    run::detached(&state, run::DEADLINE, |deps, mut db| async move {
        sessions::end_one(&deps, &mut db, &caller, id).await
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
