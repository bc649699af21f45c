//! `GET /kakao/logout`: the logout redirect URI that is registered at Kakao.

use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{logout_page, read, redirect};
use crate::flow::logout::after_kakao;

/// Kakao has ended its session, or the person chose to keep it.
pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let params = read::query(&request).ok();
    let kakao_state = params.as_ref().and_then(|params| params.one("state").ok()?);
    Ok(match after_kakao(&state.deps, kakao_state) {
        Some(to) => redirect::see_other(&to),
        None => logout_page::logged_out(&request, false),
    })
}
