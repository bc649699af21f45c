//! Logs a person out of this browser (OpenID Connect RP-Initiated Logout 1.0): the session and every login that came of it.
//!
//! A genuine ID token shows that the client means this person, and which login: its browser session ends, whether this request
//! carries that browser's cookie or not. Without one the person is asked first, because any page could link here. Whatever is
//! wrong with the way back, the logout itself takes place.

use serde::{Deserialize, Serialize};
use tracing::info;

use super::id_token_hint::{self, Hint};
use super::params::Repeated;
use super::refusal::RequestRefusal;
use super::token::end::end;
use super::{Deps, Error, Params};
use crate::domain::audit::LogoutReach;
use crate::domain::session::BrowserSession;
use crate::domain::{
    AuditEvent, BrowserSessionId, Client, EndReason, Fingerprint, LogoutConfirmation, SessionCookie, UserId,
};
use crate::keys;
use crate::store::{self, Db, Tx, audit, browser_sessions, grants};

/// What the browser and the client show.
pub(crate) struct Logout<'a> {
    /// The parameters.
    pub(crate) params: &'a Params,
    /// The browser's session cookie.
    pub(crate) session: Option<SessionCookie>,
}

/// What came of it.
pub(crate) enum LoggedOut {
    /// The person is logged out.
    Done(Done),
    /// Ask the person first.
    Confirm(Confirmation),
    /// The person was asked and stays logged in.
    Stayed {
        /// The app that the person came from.
        app: Option<App>,
    },
    /// Neither a hint nor a session cookie says who is meant: nothing was ended.
    Nobody(Nobody),
}

/// How a logout goes on.
pub(crate) struct Done {
    /// Where to send the browser: to the client, if it said where, by way of Kakao, if it said so.
    pub(crate) to: Option<String>,
    /// The person answered our page: its form leads nowhere but here, in some browsers not even by a redirect.
    pub(crate) by_form: bool,
    /// The session of the cookie that came along is over.
    pub(crate) cookie_is_dead: bool,
    /// The client named an address that is not registered for it.
    pub(crate) address_unknown: bool,
}

/// What the page asks, and what its form sends back.
pub(crate) struct Confirmation {
    /// Known to this browser alone.
    pub(crate) token: String,
    /// The name of the app that the request names.
    pub(crate) app: Option<String>,
    /// Kakao is to be asked too.
    pub(crate) kakao: bool,
    /// The rest of the request.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// A request that says of nobody who is meant.
pub(crate) struct Nobody {
    /// The same request as a query: browsers leave the cookie out of a POST from another site, and not out of a GET.
    pub(crate) query: String,
    /// On to Kakao's own logout, if it was asked for.
    pub(crate) to: Option<String>,
    /// The way back, for whoever wants it: nobody has confirmed it.
    pub(crate) app: Option<App>,
}

/// An app, and an address of it.
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) href: String,
}

/// The parameters that are read, none of which may stand twice.
const KNOWN: [&str; 8] = [
    "id_token_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "kakao",
    "confirm",
    "stay",
    "ui_locales",
];

/// Those that a request keeps from one page to the next.
const KEPT: [&str; 5] = ["client_id", "post_logout_redirect_uri", "state", "kakao", "ui_locales"];

/// As much of an address as the log is told.
const LOGGED: usize = 300;

/// Ends the browser's session, or asks for a confirmation.
pub(crate) async fn logout(
    deps: &Deps,
    db: &mut Db,
    request: Logout<'_>,
) -> Result<LoggedOut, Error<RequestRefusal>> {
    let Logout { params, session: cookie } = request;
    params.refuse_repeated(&KNOWN)?;
    let asked = Asked::read(deps, params)?;
    let session = match &cookie {
        None => None,
        Some(cookie) => browser_sessions::find_live(db, &cookie.fingerprint(), deps.clock.now()).await?,
    };
    let mut done = Done { to: None, by_form: false, cookie_is_dead: true, address_unknown: false };
    match (&asked.hint, session, &cookie) {
        (Some(hint), session, _) => {
            end_by_hint(deps, db, hint, session).await?;
            done.cookie_is_dead = session.is_none_or(|session| session.user == hint.sub);
        }
        (None, Some(session), Some(cookie)) => {
            if params.one("stay")?.is_some() {
                return Ok(LoggedOut::Stayed { app: asked.client.and_then(beginning) });
            }
            let token = LogoutConfirmation::new(confirmation(cookie));
            if !params.one("confirm")?.is_some_and(|given| token.matches(given)) {
                return Ok(LoggedOut::Confirm(asked.confirmation(&token)?));
            }
            end_session(deps, db, session.user, session.id).await?;
            done.by_form = true;
        }
        (None, ..) => return Ok(LoggedOut::Nobody(asked.nobody(deps)?)),
    }
    done.address_unknown = asked.address == Address::Unknown;
    if done.address_unknown {
        asked.log_address();
    }
    done.to = asked.redirect(deps)?;
    Ok(LoggedOut::Done(done))
}

/// A request, as far as it can be believed.
struct Asked<'a> {
    params: &'a Params,
    hint: Option<Hint>,
    /// The client of the hint, else the one that the request names.
    client: Option<&'a Client>,
    address: Address,
}

/// Where the client wants the browser.
#[derive(PartialEq, Eq)]
enum Address {
    NotGiven,
    /// Registered for the client, with the client's `state`.
    Registered(String),
    /// Not registered for it, or it is not known which client asks: it is not followed.
    Unknown,
}

impl<'a> Asked<'a> {
    fn read(deps: &'a Deps, params: &'a Params) -> Result<Self, Repeated> {
        let named = params.one("client_id")?;
        let hint = params.one("id_token_hint")?.and_then(|text| id_token_hint::read(deps, text));
        // Of another client than the request names, it shows nothing (RP-Initiated Logout §2).
        let hint = hint.filter(|hint| named.is_none_or(|named| named == hint.client));
        let id = hint.as_ref().map(|hint| hint.client.as_str()).or(named);
        let client = id.and_then(|id| deps.clients.find(id)).map(AsRef::as_ref);
        let address = Address::read(params, client)?;
        Ok(Self { params, hint, client, address })
    }

    fn kept(&self) -> Result<Vec<(&'static str, String)>, Repeated> {
        let mut kept = Vec::new();
        for name in KEPT {
            kept.extend(self.params.one(name)?.map(|value| (name, value.to_owned())));
        }
        Ok(kept)
    }

    fn confirmation(&self, token: &LogoutConfirmation) -> Result<Confirmation, Repeated> {
        Ok(Confirmation {
            token: token.reveal().to_owned(),
            app: self.client.map(|client| client.name.clone()),
            kakao: self.wants_kakao()?,
            fields: self.kept()?,
        })
    }

    fn nobody(&self, deps: &Deps) -> Result<Nobody, Error<RequestRefusal>> {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.kept()?).finish();
        let app = match (&self.address, self.client) {
            (Address::Registered(to), Some(client)) => {
                Some(App { name: client.name.clone(), href: to.clone() })
            }
            _ => None,
        };
        let to = if self.wants_kakao()? { self.redirect(deps)? } else { None };
        Ok(Nobody { query, to, app })
    }

    fn wants_kakao(&self) -> Result<bool, Repeated> {
        Ok(self.params.one("kakao")? == Some("true"))
    }

    /// `kakao=true` ends the Kakao account's session in this browser too; Kakao sends it back to us, and we on to the client.
    fn redirect(&self, deps: &Deps) -> Result<Option<String>, Error<RequestRefusal>> {
        let target = match &self.address {
            Address::Registered(to) => Some(to),
            Address::NotGiven | Address::Unknown => None,
        };
        if !self.wants_kakao()? {
            return Ok(target.cloned());
        }
        let state = match target {
            None => None,
            Some(to) => Some(deps.keys.encrypt_logout_state(
                &serde_json::to_vec(&PostLogoutTarget { to: to.clone() }).map_err(keys::Error::from)?,
            )?),
        };
        Ok(Some(deps.kakao.logout_url(state.as_deref())))
    }

    fn log_address(&self) {
        let client = self.client.map(|client| client.id.as_str());
        let uri = self.params.one("post_logout_redirect_uri").ok().flatten().unwrap_or_default();
        let uri: String = uri.chars().take(LOGGED).collect();
        info!(target: "kakao_auth::sampled", code = "post_logout_redirect_uri_unknown", client, uri, "refused");
    }
}

impl Address {
    fn read(params: &Params, client: Option<&Client>) -> Result<Self, Repeated> {
        let Some(uri) = params.one("post_logout_redirect_uri")? else { return Ok(Self::NotGiven) };
        let registered = client.is_some_and(|client| {
            client.post_logout_redirect_uris.iter().any(|registered| registered.matches(uri))
        });
        if !registered {
            return Ok(Self::Unknown);
        }
        Ok(Self::Registered(match params.one("state")? {
            None => uri.to_owned(),
            Some(state) => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("state", state);
                format!("{uri}{}{}", if uri.contains('?') { '&' } else { '?' }, query.finish())
            }
        }))
    }
}

/// Where a client's own login begins, which leads a person who is logged in back into it.
fn beginning(client: &Client) -> Option<App> {
    let href = client.initiate_login_uri.clone()?;
    Some(App { name: client.name.clone(), href })
}

/// Where to go once Kakao has sent the browser back, sealed, so that nobody else's address comes out of it.
#[derive(Serialize, Deserialize)]
struct PostLogoutTarget {
    to: String,
}

/// Opens the `state` that came back from Kakao's logout.
pub(crate) fn after_kakao(deps: &Deps, state: Option<&str>) -> Option<String> {
    let target: PostLogoutTarget = serde_json::from_slice(&deps.keys.decrypt_logout_state(state?)?).ok()?;
    Some(target.to)
}

/// Only this browser can make it: the cookie is not readable for pages.
fn confirmation(cookie: &SessionCookie) -> String {
    Fingerprint::of(format!("confirm logout {}", cookie.reveal()).as_bytes()).to_hex()
}

/// Ends the browser session that the hint's login belongs to, and that of this browser if it is the same user's.
async fn end_by_hint(
    deps: &Deps,
    db: &mut Db,
    hint: &Hint,
    here: Option<BrowserSession>,
) -> Result<(), store::Error> {
    let of_grant = browser_sessions::of_grant(db, hint.sub, hint.sid).await?;
    let here = here.filter(|session| session.user == hint.sub).map(|session| session.id);
    for session in of_grant.into_iter().chain(here.filter(|here| Some(*here) != of_grant)) {
        end_session(deps, db, hint.sub, session).await?;
    }
    // A login of an app has no browser session.
    if of_grant.is_none()
        && let Some(grant) = grants::find(db, hint.sid).await?
        && grant.user == hint.sub
    {
        end(deps, db, &grant, EndReason::LoggedOut).await?;
    }
    Ok(())
}

/// Ends a browser session of a user and the grants that came of it, and records that unless nothing was left to end.
pub(super) async fn end_session(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    session: BrowserSessionId,
) -> Result<(), store::Error> {
    let ending = deps.ending(EndReason::LoggedOut);
    let mut tx = Tx::begin(db).await?;
    let Some(grants) = browser_sessions::end(&mut tx, session, &ending).await? else { return Ok(()) };
    let reach = LogoutReach::BrowserSession;
    audit::record(&mut tx, ending.at, &AuditEvent::UserLoggedOut { user, reach, grants: Some(grants) })
        .await?;
    tx.commit().await?;
    deps.signals.revocations.ring();
    info!(%user, ?reach, grants, "logged out");
    Ok(())
}
