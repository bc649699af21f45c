//! `GET, POST /oauth/authorize` (RFC 6749 §3.1, OpenID Connect Core §3.1.2).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::begun;
use super::reply::Reply;
use super::state::State;
use super::{read, run};
use crate::domain::Limit;
use crate::flow::login::begin::{Begun, begin_login};
use crate::flow::login::confirm;
use crate::flow::{Params, limits};

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    begin(&request, &state, &read::query(&request)?, false).await
}

pub(super) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    let form = read::form(&request, payload).await?;
    let cookie = |attempt: &str| state.cookies().read_attempt_named(&request, attempt);
    match confirm::confirmed(&state.deps, &form, cookie)? {
        Some(asked) => begin(&request, &state, &asked, true).await,
        None => begin(&request, &state, &form, false).await,
    }
}

async fn begin(
    request: &HttpRequest,
    state: &State,
    params: &Params,
    confirmed: bool,
) -> Result<HttpResponse, Reply> {
    let browser = read::browser(request, state.cookies());
    let caller = State::caller(request, params.one("client_id").ok().flatten());
    let begun =
        run::attached(state, async |deps, db| begin_login(deps, db, params, &browser, confirmed).await).await;
    // What the person confirmed was counted when the page was asked for.
    if !confirmed && !matches!(begun, Ok(Begun::Done { .. })) {
        limits::count(&state.deps, Limit::Authorize, &caller).await?;
    }
    begun::respond(request, state, begun?)
}
