//! `GET, POST /oauth/userinfo` (OpenID Connect Core §5.3).

use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{caller, run};
use crate::flow;

pub(super) async fn answer(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let caller = caller::user(&request, &state).await?;
    let claims = run::attached(&state, async |_, db| flow::userinfo(db, &caller).await).await?;
    Ok(HttpResponse::Ok().json(claims))
}
