//! `GET, POST /oauth/logout` (OpenID Connect RP-Initiated Logout 1.0).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{page, read, redirect, run};
use crate::flow::logout::{LoggedOut, Logout, logout};
use crate::flow::{Error, Params};

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    end(&request, &state, read::query(&request)?).await
}

pub(super) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    end(&request, &state, read::form(&request, payload).await?).await
}

async fn end(request: &HttpRequest, state: &State, params: Params) -> Result<HttpResponse, Reply> {
    let session = state.cookies().read_session(request);
    let logged_out = run::detached(state, run::DEADLINE, |deps, mut db| async move {
        logout(&deps, &mut db, Logout { params: &params, session }).await
    });
    let mut response = match logged_out.await? {
        LoggedOut::Confirm { token } => return Ok(page::confirm_logout(request, &token)),
        LoggedOut::Done { to: Some(to) } => redirect::see_other(&to),
        LoggedOut::Done { to: None } => page::logged_out(request),
    };
    let removal = state.cookies().session_removal();
    response
        .add_removal_cookie(&removal)
        .map_err(|_| Reply::Failed(Error::broken("a cookie could not be removed")))?;
    Ok(response)
}
