//! Who calls: the user or the client of an access token, or the client of a form.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::reply::Reply;
use super::state::{State, address};
use super::{asked, read, run};
use crate::domain::{Client, Limit};
use crate::flow::bearer::service;
use crate::flow::limits::{self, Caller};
use crate::flow::refusal::RequestRefusal;
use crate::flow::{self, Bearer, Params, Service};

/// The user of the access token that came with the request, which must hold this scope.
pub(super) async fn user(request: &HttpRequest, state: &State, scope: &'static str) -> Result<Bearer, Reply> {
    let token = read::bearer(request)?;
    let bearer = run::attached(state, async |deps, db| flow::bearer(deps, db, &token, scope).await).await?;
    asked::note_client(request, &bearer.client);
    Ok(bearer)
}

/// The client that acts for itself by the access token that came with the request, which must hold this scope.
pub(super) fn client_itself(
    request: &HttpRequest,
    state: &State,
    scope: &'static str,
) -> Result<Service, Reply> {
    Ok(service(&state.deps, &read::bearer(request)?, scope)?)
}

/// The answer to a request that failed: what was refused, or to wait if too many failed.
pub(super) async fn failed(state: &State, limit: Limit, caller: &Caller, reply: Reply) -> Reply {
    if !reply.is_refusal() {
        return reply;
    }
    match limits::count(&state.deps, limit, caller).await {
        Ok(()) => reply,
        Err(refusal) => refusal.into(),
    }
}

/// The client of a form, once it has proven who it is.
pub(super) async fn client(
    request: &HttpRequest,
    state: &State,
    params: &Params,
) -> Result<Arc<Client>, Reply> {
    if params.any_repeated() {
        return Err(RequestRefusal::ParameterRepeated("a parameter").into());
    }
    let address = address(request);
    let credentials = read::credentials(request, params)?;
    run::attached(state, async |deps, db| flow::authenticate_client(deps, db, &credentials, address).await)
        .await
}
