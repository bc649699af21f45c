//! Asks the person before a login: a page with one button that names the app. It stands before every login of a client that
//! wants it (`login_page`), and wherever nothing but the person's word says that whoever gets the code is the client (RFC 8252
//! §8.6): on this machine, at a private scheme, or at an address that a pattern matched.
//!
//! The form holds the request, encrypted, and fits one cookie of the browser that was asked: no other site and no program can
//! press the button, and nothing is stored on the server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::attempt::ATTEMPT_TTL;
use crate::domain::{AttemptId, Client, Timestamp};
use crate::flow::refusal::AuthorizeRefusal;
use crate::flow::{Deps, Params};
use crate::keys::attempt::new_seed;
use crate::keys::{self, Purpose};

/// The fields of the form.
pub(crate) const ATTEMPT_FIELD: &str = "login_attempt";
pub(crate) const REQUEST_FIELD: &str = "login_request";

/// Why a person is asked before a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The client wants it.
    LoginPage,
    /// Nothing else says who gets the code.
    Unassured,
}

impl Reason {
    /// Whether a login of this client that ends at this redirect URI, which is one of its own, needs the person's word.
    pub(super) fn of(deps: &Deps, client: &Client, redirect_uri: &str) -> Option<Self> {
        if client.needs_confirmation(redirect_uri, deps.policy.issuer.is_local()) {
            Some(Self::Unassured)
        } else {
            client.login_page.then_some(Self::LoginPage)
        }
    }
}

/// Who logs the person in once the button is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Button {
    /// Kakao.
    Kakao,
    /// The browser's session.
    Continue,
}

/// A page to show before a login.
pub(crate) struct Question {
    /// The client's name.
    pub(crate) client: String,
    pub(crate) button: Button,
    /// Whether the app runs where nobody can tell which app it is.
    pub(crate) unassured: bool,
    /// Names the cookie.
    pub(crate) attempt: AttemptId,
    /// The cookie's value.
    pub(crate) cookie: String,
    /// The encrypted request.
    pub(crate) request: String,
    /// The schemes to which pressing the button may lead.
    pub(crate) schemes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    #[serde(rename = "q")]
    query: String,
    #[serde(rename = "a")]
    at: Timestamp,
}

/// The page for a request.
pub(super) fn ask(
    deps: &Deps,
    client: &Client,
    params: &Params,
    redirect_uri: &str,
    (reason, button): (Reason, Button),
) -> Result<Question, keys::Error> {
    let cookie = new_seed()?;
    let asked = Asked { query: params.to_query(), at: deps.clock.now() };
    let json = serde_json::to_vec(&asked).map_err(keys::Error::from)?;
    let request = deps.keys.master.encrypt(Purpose::LoginRequest, cookie.as_bytes(), &json)?;
    let scheme_of = |uri: &str| uri.split(':').next().unwrap_or_default().to_owned();
    let mut schemes = vec!["https".to_owned(), deps.kakao.page_scheme().to_owned(), scheme_of(redirect_uri)];
    schemes.sort_unstable();
    schemes.dedup();
    Ok(Question {
        client: client.name.clone(),
        button,
        unassured: reason == Reason::Unassured,
        attempt: AttemptId::of_state(&cookie),
        cookie,
        request: URL_SAFE_NO_PAD.encode(request),
        schemes,
    })
}

/// The request to which the person said yes, if this is the form of such a page; `cookie` is the value of the browser's cookie
/// of this name.
///
/// # Errors
/// When the browser was not asked, or too long ago.
pub(crate) fn confirmed(
    deps: &Deps,
    form: &Params,
    cookie: impl FnOnce(&str) -> Option<String>,
) -> Result<Option<Params>, AuthorizeRefusal> {
    let (Some(attempt), Some(request)) = (form.one(ATTEMPT_FIELD)?, form.one(REQUEST_FIELD)?) else {
        return Ok(None);
    };
    let open = || {
        let cookie = cookie(attempt).filter(|cookie| AttemptId::of_state(cookie).to_string() == attempt)?;
        let sealed = URL_SAFE_NO_PAD.decode(request).ok()?;
        let json = deps.keys.master.decrypt(Purpose::LoginRequest, cookie.as_bytes(), &sealed)?;
        let asked: Asked = serde_json::from_slice(&json).ok()?;
        let in_time = deps.clock.now().since(asked.at) <= ATTEMPT_TTL;
        Params::read(asked.query.as_bytes()).ok().filter(|_| in_time)
    };
    open().map(Some).ok_or(AuthorizeRefusal::ConfirmationInvalid)
}
