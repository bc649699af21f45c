//! `GET /kakao/callback`: the redirect URI that is registered at Kakao.

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::{HttpRequest, HttpResponse};

use super::authorize::{attempt_cookie, cookie_name, send, session_cookie};
use super::{Shared, page, read, redirect};
use crate::flow::begin_login::retry_interactively;
use crate::flow::finish_login::LoggedIn;
use crate::flow::login::resume;
use crate::flow::{Callback, Error, Finished, Refusal, finish_login};

/// A repeated callback finds its cookie for as long as its code may live; after that the page says to start again.
const COOKIE_STAYS: u64 = 60;

/// Kakao has its own deadline; this one is for the store around it.
const DEADLINE: Duration = Duration::from_secs(12);

pub(super) async fn get(request: HttpRequest, site: Shared) -> HttpResponse {
    let params = match read::query(&request) {
        Ok(params) => params,
        Err(refusal) => return page::refused(&request, &refusal.into()),
    };
    let mut sealed = None;
    let callback = Callback::read(&site.deps, &params, read::browser(&request, site.https), |attempt| {
        sealed = read::cookie(&request, &cookie_name(site.https, attempt));
        sealed.clone()
    });
    let callback = match callback {
        Ok(callback) => callback,
        Err(refusal @ (Refusal::AttemptUnknown | Refusal::AttemptExpired)) => {
            let resume = resume::link(&site.deps, &params);
            return page::lost(&request, &refusal.into(), resume.as_ref());
        }
        Err(refusal) => return page::refused(&request, &refusal.into()),
    };
    if callback.needs_interaction() {
        let state = params.one("state").ok().flatten();
        return match retry_interactively(&site.deps, &callback.attempt, state) {
            Ok(begun) => send(&request, &site, begun),
            Err(error) => page::refused(&request, &error),
        };
    }
    let attempt = callback.id;
    let flow = {
        let site = Arc::clone(&site);
        tokio::spawn(tracing::Instrument::in_current_span(async move {
            finish_login(&site.deps, &mut site.db(), callback).await
        }))
    };
    let Finished { target, outcome } = match tokio::time::timeout(DEADLINE, flow).await {
        Ok(Ok(finished)) => finished,
        Ok(Err(panic)) => return page::refused(&request, &Error::broken(panic)),
        Err(_) => return page::refused(&request, &Error::unavailable("a login took too long")),
    };
    let mut response = match outcome {
        Ok(LoggedIn { code, session }) => {
            let mut response = redirect::with_code(&request, &site, &code, &target);
            let seconds = site.deps.policy.session.absolute.as_secs();
            set(&mut response, &session_cookie(site.https, &session, seconds));
            response
        }
        Err(error) => redirect::back_to_client(&request, &site, &error, &target),
    };
    set(&mut response, &attempt_cookie(site.https, attempt, sealed.unwrap_or_default(), COOKIE_STAYS));
    response
}

fn set(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    if response.add_cookie(cookie).is_err() {
        tracing::warn!(name = cookie.name(), "a cookie could not be set");
    }
}
