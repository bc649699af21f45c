//! `GET /v1/users/{id}`

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};

use crate::flow::users;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

pub(in crate::web) async fn get(
    request: HttpRequest,
    state: State,
    id: Path<String>,
) -> Result<HttpResponse, Reply> {
    caller::client_itself(&request, &state, "users:read")?;
    let id = read::user_id(&id)?;
    let user = run::attached(&state, async |_, db| users::profile(db, id).await).await?;
    Ok(HttpResponse::Ok().json(user))
}
