//! The cookies of a browser: their names, attributes and limits.

use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::{AttemptId, SessionCookie};
use crate::flow::Error;
use crate::flow::login::attempt::{ATTEMPT_TTL, cookie_name};

/// Attempts that one browser may have under way: each has a cookie.
const MOST_ATTEMPTS: usize = 6;

/// The most bytes that the attempts of one browser may take up in its `Cookie` header: proxies refuse longer headers than
/// 8 kB, with whatever else the host has set.
const MOST_BYTES: usize = 6000;

/// How much longer a cookie stays than its attempt, so that a person who took too long reads just that.
const AFTER_ATTEMPT: Duration = Duration::from_mins(1);

/// How long an attempt's cookie stays after its callback. A repeated callback finds it for as long as its code may
/// live; after that the page says to start again.
const COMPLETED_ATTEMPT_TTL: Duration = Duration::from_mins(1);

/// Makes cookies: with https they are Secure and named `__Host-…`, so that no neighbouring domain can set them (RFC 6265bis
/// §4.1.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    https: bool,
}

impl Cookies {
    pub(super) const fn new(https: bool) -> Self {
        Self { https }
    }

    /// Where there is no https, a name that no app on another port of the same host will have.
    const fn session_name(self) -> &'static str {
        if self.https { "__Host-session" } else { "kakao-auth-session" }
    }

    /// The value of the browser session's cookie.
    pub(super) fn read_session(self, request: &HttpRequest) -> Option<SessionCookie> {
        read(request, self.session_name()).map(SessionCookie::new)
    }

    /// The browser session's cookie. Lax, because Strict would not come along from a client's link.
    pub(super) fn session(self, value: &SessionCookie, ttl: Duration) -> Cookie<'static> {
        self.build(self.session_name().to_owned(), value.reveal().to_owned(), ttl)
    }

    /// Removes the browser session's cookie.
    pub(super) fn session_removal(self) -> Cookie<'static> {
        self.removal(self.session_name().to_owned())
    }

    fn prefix(self) -> &'static str {
        if self.https { "__Host-" } else { "" }
    }

    fn attempt_name(self, attempt: AttemptId) -> String {
        format!("{}{}", self.prefix(), cookie_name(attempt))
    }

    /// The sealed attempt that this browser holds.
    pub(super) fn read_attempt(self, request: &HttpRequest, attempt: AttemptId) -> Option<String> {
        read(request, &self.attempt_name(attempt))
    }

    /// The value of the cookie of the attempt that a form names.
    pub(super) fn read_attempt_named(self, request: &HttpRequest, attempt: &str) -> Option<String> {
        read(request, &format!("{}login-{attempt}", self.prefix()))
    }

    /// Adds the cookie of an attempt that begins with this response, and removes those of older ones that it leaves no room
    /// for.
    ///
    /// # Errors
    /// When the cookie could not be set: without it the attempt could not be completed.
    pub(super) fn begin_attempt(
        self,
        request: &HttpRequest,
        response: &mut HttpResponse,
        attempt: AttemptId,
        sealed: String,
    ) -> Result<(), Error> {
        let broken = |_| -> Error { Error::broken("a cookie could not be set") };
        let cookie = self.attempt(attempt, sealed);
        response.add_cookie(&cookie).map_err(broken)?;
        for old in self.surplus_attempts(request, &cookie) {
            response.add_removal_cookie(&old).map_err(broken)?;
        }
        Ok(())
    }

    /// The cookie of an attempt that has begun. Lax, because Strict would not survive the way back from Kakao.
    fn attempt(self, attempt: AttemptId, sealed: String) -> Cookie<'static> {
        self.build(self.attempt_name(attempt), sealed, ATTEMPT_TTL + AFTER_ATTEMPT)
    }

    /// The cookie of an attempt that was completed.
    pub(super) fn completed_attempt(self, attempt: AttemptId, sealed: String) -> Cookie<'static> {
        self.build(self.attempt_name(attempt), sealed, COMPLETED_ATTEMPT_TTL)
    }

    /// Removes the attempts that a browser may not keep beside a new one, because they are too many or too large: the
    /// oldest, which browsers send first (RFC 6265 §5.4).
    fn surplus_attempts(self, request: &HttpRequest, new: &Cookie<'_>) -> Vec<Cookie<'static>> {
        let prefix = format!("{}login-", self.prefix());
        let Ok(cookies) = request.cookies() else { return Vec::new() };
        let attempts = cookies.iter().filter(|cookie| cookie.name().starts_with(&prefix));
        let attempts: Vec<&Cookie<'_>> = attempts.filter(|cookie| cookie.name() != new.name()).collect();
        let (mut kept, mut bytes) = (1, sent_bytes(new));
        // From the newest on, until one does not fit: what is older than that one goes too.
        let fitting = attempts.iter().rev().take_while(|cookie| {
            kept += 1;
            bytes += sent_bytes(cookie);
            kept <= MOST_ATTEMPTS && bytes <= MOST_BYTES
        });
        let surplus = attempts.len() - fitting.count();
        attempts[..surplus].iter().map(|cookie| self.removal(cookie.name().to_owned())).collect()
    }

    /// The same attributes, else browsers keep the cookie.
    fn removal(self, name: String) -> Cookie<'static> {
        self.build(name, String::new(), Duration::ZERO)
    }

    fn build(self, name: String, value: String, ttl: Duration) -> Cookie<'static> {
        Cookie::build(name, value)
            .path("/")
            .http_only(true)
            .secure(self.https)
            .same_site(SameSite::Lax)
            .max_age(time::Duration::try_from(ttl).unwrap_or(time::Duration::MAX))
            .finish()
    }
}

/// What a cookie adds to the `Cookie` header, with what stands between two of them.
fn sent_bytes(cookie: &Cookie<'_>) -> usize {
    cookie.name().len() + "=".len() + cookie.value().len() + "; ".len()
}

fn read(request: &HttpRequest, name: &str) -> Option<String> {
    request.cookie(name).map(|cookie| cookie.value().to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_oldest_attempts_beyond_the_limit_are_removed_and_nothing_else() {
        let new = |size: usize| Cookie::new("__Host-login-new", "n".repeat(size));
        let sent = |sizes: &[usize]| {
            let values = sizes.iter().map(|size| "x".repeat(*size));
            let attempts = values.enumerate().map(|(number, value)| format!("__Host-login-{number}={value}"));
            let other = ["__Host-session=s".to_owned(), "login-0=of-another-port".to_owned()];
            let header = other.into_iter().chain(attempts).collect::<Vec<_>>().join("; ");
            TestRequest::default().insert_header(("Cookie", header)).to_http_request()
        };
        let removed = |sizes: &[usize], size| {
            let cookies = Cookies::new(true).surplus_attempts(&sent(sizes), &new(size));
            cookies.iter().map(|cookie| cookie.name().to_owned()).collect::<Vec<_>>()
        };
        let all = ["__Host-login-0", "__Host-login-1", "__Host-login-2"];
        // With the new one there are at most six …
        assert!(removed(&[1; 5], 1).is_empty());
        assert_eq!(removed(&[1; 6], 1), all[..1]);
        assert_eq!(removed(&[1; 8], 1), all);
        // … and they are no larger than the limit, to the byte: what is not value is 17 of each, 19 of the new one.
        assert!(removed(&[MOST_BYTES - 17 - 19 - 500], 500).is_empty());
        assert_eq!(removed(&[MOST_BYTES - 17 - 19 - 499], 500), all[..1]);
        assert_eq!(
            removed(&[1, 3900, 1], 3000),
            all[..2],
            "what is older than one that does not fit goes too"
        );
    }

    #[test]
    fn an_attempts_cookie_outlives_the_attempt() {
        let cookie = Cookies::new(true).attempt(AttemptId::of_state("s"), "x".into());
        assert!(
            cookie.max_age().unwrap()
                >= time::Duration::try_from(ATTEMPT_TTL).unwrap() + time::Duration::MINUTE
        );
    }

    #[test]
    fn a_removal_has_the_attributes_of_the_cookie() {
        for https in [true, false] {
            let cookies = Cookies::new(https);
            let (set, removed) = (
                cookies.session(&SessionCookie::new("s"), Duration::from_mins(1)),
                cookies.session_removal(),
            );
            assert_eq!(set.name(), removed.name());
            assert_eq!((set.path(), set.secure()), (removed.path(), removed.secure()));
            assert_eq!((set.http_only(), set.same_site()), (removed.http_only(), removed.same_site()));
            assert_eq!(removed.max_age(), Some(time::Duration::ZERO));
        }
    }
}

#[cfg(test)]
mod fuzz {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn cookies() {
        let attempt = AttemptId::of_state("state");
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(header) = HeaderValue::from_bytes(bytes) else { return };
            let request = TestRequest::default().insert_header(("cookie", header)).to_http_request();
            for secure in [true, false] {
                let cookies = Cookies::new(secure);
                cookies.read_session(&request);
                cookies.read_attempt(&request, attempt);
                let new = cookies.attempt(attempt, "v".repeat(3_900));
                for gone in cookies.surplus_attempts(&request, &new) {
                    assert!(gone.name().contains("login-"), "no cookie of another kind is removed");
                }
            }
        });
    }
}
