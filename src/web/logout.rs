//! `GET, POST /oauth/logout` (OpenID Connect RP-Initiated Logout 1.0).

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::logout_page as page;
use super::reply::Reply;
use super::state::State;
use super::{read, redirect, run};
use crate::flow::logout::{Done, LoggedOut, Logout, Nobody, logout};
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
    let has_cookie = session.is_some();
    let logged_out = run::detached(state, run::DEADLINE, |deps, mut db| async move {
        logout(&deps, &mut db, Logout { params: &params, session }).await
    });
    let (mut response, cookie_is_dead) = match logged_out.await? {
        LoggedOut::Confirm(confirmation) => return Ok(page::confirm(request, &confirmation)),
        LoggedOut::Stayed { app } => return Ok(page::stayed(request, app.as_ref())),
        LoggedOut::Nobody(nobody) if !has_cookie && request.method() == Method::POST => {
            return Ok(redirect::see_other(&format!("{}?{}", request.path(), nobody.query)));
        }
        LoggedOut::Nobody(Nobody { to: Some(to), .. }) => (redirect::see_other(&to), true),
        LoggedOut::Nobody(Nobody { app, .. }) => (page::nobody(request, app.as_ref()), true),
        LoggedOut::Done(done) => (after(request, &done), done.cookie_is_dead),
    };
    // A cookie that did not come along may be of a session that lives.
    if has_cookie && cookie_is_dead {
        let removal = state.cookies().session_removal();
        response
            .add_removal_cookie(&removal)
            .map_err(|_| Reply::Failed(Error::broken("a cookie could not be removed")))?;
    }
    Ok(response)
}

fn after(request: &HttpRequest, done: &Done) -> HttpResponse {
    match &done.to {
        // Chromium holds redirects of a form against the `form-action` of its page, and Kakao's own are not ours to list.
        Some(to) if done.by_form => page::moving_on(request, to),
        Some(to) => redirect::see_other(to),
        None => page::logged_out(request, done.address_unknown),
    }
}
