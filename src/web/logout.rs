//! `GET, POST /oauth/logout` (OpenID Connect RP-Initiated Logout 1.0), and `GET /kakao/logout`, where Kakao's own logout ends.

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::authorize::{removal, session_cookie_name};
use super::read::{self, Unread};
use super::{Shared, detached, page, redirect, reply};
use crate::domain::Secret;
use crate::flow::logout::{LoggedOut, Logout, after_kakao, logout};
use crate::flow::{Error, Params};

pub(super) async fn get(request: HttpRequest, site: Shared) -> HttpResponse {
    match read::query(&request) {
        Ok(params) => answer(&request, &site, params).await,
        Err(refusal) => page::refused(&request, &refusal.into()),
    }
}

pub(super) async fn post(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    match read::form(&request, payload).await {
        Ok(params) => answer(&request, &site, params).await,
        Err(Unread::Refused(refusal)) => page::refused(&request, &refusal.into()),
        Err(unread) => reply::unread(&request, &unread),
    }
}

async fn answer(request: &HttpRequest, site: &Shared, params: Params) -> HttpResponse {
    let name = session_cookie_name(site.https);
    let session = read::cookie(request, name).map(Secret::new);
    let outcome = {
        let site = Arc::clone(site);
        detached(async move { logout(&site.deps, &mut site.db(), Logout { params: &params, session }).await })
            .await
    };
    match outcome.and_then(|outcome| outcome) {
        Ok(LoggedOut::Confirm { token }) => page::confirm_logout(request, &token),
        Ok(LoggedOut::Done { to }) => {
            let mut response = match to {
                Some(to) => redirect::redirect(&to),
                None => page::logged_out(request),
            };
            if response.add_removal_cookie(&removal(name.to_owned(), site.https)).is_err() {
                return page::refused(request, &Error::broken("a cookie could not be removed"));
            }
            response
        }
        Err(error) => page::refused(request, &error),
    }
}

/// Kakao has ended its session, or the person chose to keep it.
pub(super) async fn back_from_kakao(request: HttpRequest, site: Shared) -> HttpResponse {
    let state = read::query(&request).ok().and_then(|params| params.one("state").ok()?.map(str::to_owned));
    match after_kakao(&site.deps, state.as_deref()) {
        Some(to) => redirect::redirect(&to),
        None => page::logged_out(&request),
    }
}
