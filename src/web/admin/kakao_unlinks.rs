//! `GET /v1/admin/kakao-unlinks`, `POST /v1/admin/kakao-unlinks/{id}/retry`: deleted accounts that Kakao does not know of yet.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::SCOPE;
use crate::flow::admin::kakao_unlinks;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

pub(in crate::web) async fn list(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    caller::client_itself(&request, &state, SCOPE)?;
    let pending = run::attached(&state, async |_, db| kakao_unlinks::pending(db).await).await?;
    Ok(HttpResponse::Ok().json(json!({ "unlinks": pending })))
}

pub(in crate::web) async fn retry(
    request: HttpRequest,
    state: State,
    id: Path<String>,
) -> Result<HttpResponse, Reply> {
    caller::client_itself(&request, &state, SCOPE)?;
    let user = read::user_id(&id)?;
    run::attached(&state, async |deps, db| kakao_unlinks::revive(deps, db, user).await).await?;
    Ok(HttpResponse::NoContent().finish())
}
