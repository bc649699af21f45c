//! The response to a login that has begun: on to Kakao with the cookie of the attempt, or to the client with a code.

use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{login_page, redirect};
use crate::flow::login::begin::Begun;

/// Sends the browser there.
pub(super) fn respond(request: &HttpRequest, state: &State, begun: Begun) -> Result<HttpResponse, Reply> {
    let (location, attempt, sealed) = match begun {
        Begun::Done { code, target } => return Ok(redirect::code(request, &code, &target)),
        Begun::Ask(question) => return login_page::respond(request, state, question),
        Begun::AtKakao { location, attempt, sealed } => (location, attempt, sealed),
    };
    let mut response = redirect::see_other(&location);
    state.cookies().begin_attempt(request, &mut response, attempt, sealed)?;
    Ok(response)
}
