//! `GET /kakao/callback`: the redirect URI that is registered at Kakao.

use actix_web::cookie::Cookie;
use actix_web::{HttpRequest, HttpResponse};

use super::begun;
use super::reply::Reply;
use super::state::State;
use super::{page, read, redirect, run};
use crate::domain::Limit;
use crate::flow::login::begin::retry_interactively;
use crate::flow::login::callback::{KakaoResponse, LoggedIn};
use crate::flow::login::resume::{self, BackTo, WayBack};
use crate::flow::refusal::{CallbackRefusal, LoginRefusal};
use crate::flow::{Callback, Error, Finished, Params, finish_login, limits};

pub(super) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    let params = read::query(&request)?;
    let cookies = state.cookies();
    let mut sealed = None;
    let callback = Callback::read(&state.deps, &params, read::browser(&request, cookies), |attempt| {
        sealed = cookies.read_attempt(&request, attempt);
        sealed.clone()
    });
    let callback = callback.map_err(|refusal| refused(&request, &state, &params, refusal))?;
    if callback.needs_interaction() {
        let begun = retry_interactively(&state.deps, &callback.attempt)?;
        return begun::respond(&request, &state, begun);
    }
    let attempt = callback.id;
    let caller = State::caller(&request, Some(callback.attempt.request.client.as_str()));
    let Finished { target, outcome } =
        run::detached(&state, run::KAKAO_DEADLINE, |deps, mut db| async move {
            if let KakaoResponse::Error(_) = callback.response {
                limits::count(&deps, Limit::CallbackError, &caller).await?;
                return Ok::<_, Error>(Box::pin(finish_login(&deps, &mut db, callback)).await);
            }
            let finishing = finish_login(&deps, &mut db, callback);
            let unknown = Finished::code_was_unknown;
            Ok(Box::pin(limits::guard(&deps, Limit::CallbackCode, &caller, finishing, unknown)).await?)
        })
        .await?;
    let mut response = match outcome {
        Ok(LoggedIn { code, session }) => {
            let mut response = redirect::code(&request, &code, &target);
            set(&mut response, &cookies.session(&session, state.deps.policy.session.absolute));
            response
        }
        Err(error) => redirect::error(&request, &error.into(), &target),
    };
    set(&mut response, &cookies.completed_attempt(attempt, sealed.unwrap_or_default()));
    Ok(response)
}

/// A login that this browser has lost can be resumed; anything else is told as it is.
fn refused(request: &HttpRequest, state: &State, params: &Params, refusal: CallbackRefusal) -> Reply {
    match refusal {
        CallbackRefusal::AttemptUnknown | CallbackRefusal::AttemptExpired => {
            let back = resume::way_back(&state.deps, params);
            let back = back.map(|WayBack { client, to }| match to {
                BackTo::Beginning(href) => page::LinkBack { client, href, begins: true },
                BackTo::RedirectUri(target) => {
                    let told = LoginRefusal::StartAgain.into();
                    let href = redirect::error_location(request, &told, &target);
                    page::LinkBack { client, href, begins: false }
                }
            });
            Reply::Built(page::lost(request, &refusal.into(), back.as_ref()))
        }
        CallbackRefusal::Contradictory => refusal.into(),
    }
}

/// The login is done: without a cookie it goes on all the same.
fn set(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    if response.add_cookie(cookie).is_err() {
        tracing::warn!(name = cookie.name(), "a cookie could not be set");
    }
}
