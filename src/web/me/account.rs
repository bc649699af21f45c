//! `GET, DELETE /v1/me`

use actix_web::{HttpRequest, HttpResponse};

use crate::domain::access::ACCOUNT;
use crate::flow;
use crate::flow::bearer::require_fresh_login;
use crate::flow::delete_account::By;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, run};

/// What the token's scopes tell, and what is the service's own.
pub(in crate::web) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let caller = caller::user(&request, &state, "openid").await?;
    let me = run::attached(&state, async |_, db| flow::userinfo::me(db, &caller).await).await?;
    Ok(HttpResponse::Ok().json(me))
}

/// The account goes, here and at Kakao, if the person logged in lately.
pub(in crate::web) async fn delete(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let caller = caller::user(&request, &state, ACCOUNT).await?;
    run::attached(&state, async |deps, db| require_fresh_login(deps, db, &caller).await).await?;
    let user = caller.user;
    run::detached(&state, run::DEADLINE, |deps, mut db| async move {
        flow::delete_account(&deps, &mut db, user, By::Person).await
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
