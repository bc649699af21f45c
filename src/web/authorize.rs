//! `GET, POST /oauth/authorize` (RFC 6749 §3.1, OpenID Connect Core §3.1.2).

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::read::{self, Unread};
use super::{Shared, page, redirect, reply};
use crate::domain::{AttemptId, Secret};
use crate::flow::begin_login::{AuthorizeError, Begun, begin_login};
use crate::flow::login::attempt::{self, ATTEMPT_TTL};
use crate::flow::{Error, Params};

/// Attempts that one browser may have under way: each has a cookie, and proxies refuse requests with too many.
const MOST_ATTEMPTS: usize = 6;

pub(super) async fn get(request: HttpRequest, site: Shared) -> HttpResponse {
    match read::query(&request) {
        Ok(params) => begin(&request, &site, &params).await,
        Err(refusal) => page::refused(&request, &refusal.into()),
    }
}

pub(super) async fn post(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    match read::form(&request, payload).await {
        Ok(params) => begin(&request, &site, &params).await,
        Err(Unread::Refused(refusal)) => page::refused(&request, &refusal.into()),
        Err(unread) => reply::unread(&request, &unread),
    }
}

async fn begin(request: &HttpRequest, site: &Shared, params: &Params) -> HttpResponse {
    let browser = read::browser(request, site.https);
    let mut db = site.db();
    let flow = begin_login(&site.deps, &mut db, params, &browser);
    match tokio::time::timeout(super::DEADLINE, flow).await {
        Ok(Ok(begun)) => send(request, site, begun),
        Ok(Err(AuthorizeError { error, target: None })) => page::refused(request, &error),
        Ok(Err(AuthorizeError { error, target: Some(target) })) => {
            redirect::back_to_client(request, site, &error, &target)
        }
        Err(_) => page::refused(request, &Error::unavailable("a flow took too long")),
    }
}

/// To Kakao with the attempt's cookie, or back to the client with the code.
pub(super) fn send(request: &HttpRequest, site: &Shared, begun: Begun) -> HttpResponse {
    let (location, attempt, sealed) = match begun {
        Begun::Done { code, target } => return redirect::with_code(request, site, &code, &target),
        Begun::AtKakao { location, attempt, sealed } => (location, attempt, sealed),
    };
    let mut response = redirect::redirect(&location);
    let cookie = attempt_cookie(site.https, attempt, sealed, ATTEMPT_TTL.as_secs());
    let mut failed = response.add_cookie(&cookie).is_err();
    for old in surplus_attempts(request, site.https) {
        failed |= response.add_removal_cookie(&old).is_err();
    }
    if failed { page::refused(request, &Error::broken("a cookie could not be set")) } else { response }
}

/// `__Host-session`; where there is no https a name that no app on another port of the same host will have.
pub(super) fn session_cookie_name(https: bool) -> &'static str {
    if https { "__Host-session" } else { "kakao-auth-session" }
}

/// The session's cookie. Lax, because Strict would not come along from a client's link.
pub(super) fn session_cookie(https: bool, value: &Secret, seconds: u64) -> Cookie<'static> {
    cookie(session_cookie_name(https).to_owned(), value.reveal().to_owned(), https, seconds)
}

/// Removes a cookie: the same attributes, else browsers keep it.
pub(super) fn removal(name: String, https: bool) -> Cookie<'static> {
    cookie(name, String::new(), https, 0)
}

fn cookie(name: String, value: String, https: bool, seconds: u64) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .secure(https)
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
        .finish()
}

/// `__Host-login-<attempt>`, or `login-<attempt>` where there is no https.
pub(super) fn cookie_name(https: bool, attempt: AttemptId) -> String {
    format!("{}{}", if https { "__Host-" } else { "" }, attempt::cookie_name(attempt))
}

/// The attempt's cookie. Lax, because Strict would not survive the way back from Kakao.
pub(super) fn attempt_cookie(
    https: bool,
    attempt: AttemptId,
    sealed: String,
    seconds: u64,
) -> Cookie<'static> {
    cookie(cookie_name(https, attempt), sealed, https, seconds)
}

/// The attempts beyond those a browser may keep. Browsers send older cookies first (RFC 6265 §5.4).
fn surplus_attempts(request: &HttpRequest, https: bool) -> Vec<Cookie<'static>> {
    let prefix = if https { "__Host-login-" } else { "login-" };
    let Ok(cookies) = request.cookies() else { return Vec::new() };
    let attempts: Vec<&Cookie<'_>> =
        cookies.iter().filter(|cookie| cookie.name().starts_with(prefix)).collect();
    let surplus = attempts.len().saturating_sub(MOST_ATTEMPTS - 1);
    attempts[..surplus].iter().map(|cookie| removal(cookie.name().to_owned(), https)).collect()
}
