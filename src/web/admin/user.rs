//! `DELETE /v1/admin/users/{id}`

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};

use super::SCOPE;
use crate::flow;
use crate::flow::delete_account::By;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

pub(in crate::web) async fn delete(
    request: HttpRequest,
    state: State,
    id: Path<String>,
) -> Result<HttpResponse, Reply> {
    let caller = caller::client_itself(&request, &state, SCOPE)?;
    let user = read::user_id(&id)?;
    run::detached(&state, run::DEADLINE, |deps, mut db| async move {
        flow::delete_account(&deps, &mut db, user, By::Operator(Some(caller.client))).await
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
