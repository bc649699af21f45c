//! `GET, DELETE /v1/me/sessions`

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::domain::access::ACCOUNT;
use crate::flow::refusal::RequestRefusal;
use crate::flow::sessions::{self, Which};
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

pub(in crate::web) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let caller = caller::user(&request, &state, ACCOUNT).await?;
    let sessions = run::attached(&state, async |deps, db| sessions::list(deps, db, &caller).await).await?;
    Ok(HttpResponse::Ok().json(json!({ "sessions": sessions })))
}

/// All of them, or with `?keep=current` all but the caller's.
pub(in crate::web) async fn delete(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let caller = caller::user(&request, &state, ACCOUNT).await?;
    let params = read::query(&request)?;
    let which = match params.one("keep")? {
        None => Which::All,
        Some("current") => Which::Others,
        Some(_) => {
            return Err(RequestRefusal::ParameterInvalid("keep", "it must be current, or absent").into());
        }
    };
    run::detached(&state, run::DEADLINE, |deps, mut db| async move {
        sessions::end_many(&deps, &mut db, &caller, which).await
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
