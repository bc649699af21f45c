//! `GET /kakao/callback`: the redirect URI that is registered at Kakao.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};

use super::authorize::{attempt_cookie, cookie_name};
use super::{Shared, error, page, read};
use crate::flow::{Callback, Error, Finished, finish_login};

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
    let callback = Callback::read(&site.deps, &params, read::user_agent(&request), |attempt| {
        sealed = read::cookie(&request, &cookie_name(site.https, attempt));
        sealed.clone()
    });
    let callback = match callback {
        Ok(callback) => callback,
        Err(refusal) => return page::refused(&request, &refusal.into()),
    };
    let attempt = callback.id;
    let flow = {
        let site = Arc::clone(&site);
        tokio::spawn(tracing::Instrument::in_current_span(
            async move { finish_login(&site.deps, callback).await },
        ))
    };
    let Finished { back, outcome } = match tokio::time::timeout(DEADLINE, flow).await {
        Ok(Ok(finished)) => finished,
        Ok(Err(_)) => return page::refused(&request, &Error::Broken("a login panicked".to_owned())),
        Err(_) => return page::refused(&request, &Error::Unavailable("a login took too long".to_owned())),
    };
    let mut response = match outcome {
        Ok(code) => error::with_code(&site, &code, &back),
        Err(failure) => error::failed_login(&site, failure, &back),
    };
    let cookie = attempt_cookie(site.https, attempt, sealed.unwrap_or_default(), COOKIE_STAYS);
    if response.add_cookie(&cookie).is_err() {
        tracing::warn!("the attempt's cookie could not be shortened");
    }
    response
}
