//! Logs a person out of this browser (OpenID Connect RP-Initiated Logout 1.0): the session and every login that came of it.
//!
//! A genuine ID token shows that the client means this person; without one the person is asked first, because any page
//! could link here.

use serde::{Deserialize, Serialize};
use tracing::info;

use super::id_token_hint::{self, Hint};
use super::refusal::{LogoutRefusal, RequestRefusal};
use super::token::end::end;
use super::{Deps, Error, Params};
use crate::domain::audit::LogoutReach;
use crate::domain::{
    AuditEvent, BrowserSessionId, EndReason, Fingerprint, LogoutConfirmation, SessionCookie, UserId,
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

/// What is left to do.
pub(crate) enum LoggedOut {
    /// The person is logged out: on to the client, if it said where, by way of Kakao, if it said so.
    Done {
        /// Where to send the browser.
        to: Option<String>,
    },
    /// Ask the person first. The form sends this back.
    Confirm {
        /// Known to this browser alone.
        token: String,
    },
}

/// The parameters that are read, none of which may stand twice.
const KNOWN: [&str; 7] =
    ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "kakao", "confirm", "ui_locales"];

/// Ends the browser's session, or asks for a confirmation.
pub(crate) async fn logout(
    deps: &Deps,
    db: &mut Db,
    request: Logout<'_>,
) -> Result<LoggedOut, Error<LogoutRefusal>> {
    let Logout { params, session: cookie } = request;
    params.refuse_repeated(&KNOWN)?;
    let hint = match params.one("id_token_hint")? {
        None => None,
        Some(text) => Some(id_token_hint::read(deps, text).ok_or(RequestRefusal::HintInvalid)?),
    };
    let target = target(deps, params, hint.as_ref())?;
    let now = deps.clock.now();
    let session = match &cookie {
        None => None,
        Some(cookie) => browser_sessions::find_live(db, &cookie.fingerprint(), now).await?,
    };
    if let Some(hint) = &hint {
        if let Some(session) = session.filter(|session| session.user == hint.sub) {
            end_session(deps, db, session.user, session.id).await?;
        }
        // The login of the hint, should it be of another browser or from before this one's session.
        if deps.clients.find(&hint.client).is_some()
            && let Some(grant) = grants::find(db, hint.sid).await?
            && grant.user == hint.sub
        {
            end(deps, db, &grant, EndReason::LoggedOut).await?;
        }
    } else if let (Some(session), Some(cookie)) = (session, &cookie) {
        let token = confirmation(cookie);
        if !params.one("confirm")?.is_some_and(|given| LogoutConfirmation::new(token.as_str()).matches(given))
        {
            return Ok(LoggedOut::Confirm { token });
        }
        end_session(deps, db, session.user, session.id).await?;
    }
    Ok(LoggedOut::Done { to: logout_redirect(deps, params, target)? })
}

/// Where the client wants the browser. Only a genuine hint shows which client it is that asks.
fn target(deps: &Deps, params: &Params, hint: Option<&Hint>) -> Result<Option<String>, LogoutRefusal> {
    if let (Some(hint), Some(client)) = (hint, params.one("client_id")?)
        && hint.client != client
    {
        return Err(RequestRefusal::HintInvalid.into());
    }
    let (Some(uri), Some(hint)) = (params.one("post_logout_redirect_uri")?, hint) else { return Ok(None) };
    let client = deps.clients.find(&hint.client).ok_or(RequestRefusal::ClientUnknown)?;
    if !client.post_logout_redirect_uris.iter().any(|registered| registered.matches(uri)) {
        return Err(LogoutRefusal::PostLogoutUriUnknown);
    }
    Ok(Some(match params.one("state")? {
        None => uri.to_owned(),
        Some(state) => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("state", state);
            format!("{uri}{}{}", if uri.contains('?') { '&' } else { '?' }, query.finish())
        }
    }))
}

/// `kakao=true` ends the Kakao account's session in this browser too; Kakao sends it back to us, and we on to the client.
fn logout_redirect(
    deps: &Deps,
    params: &Params,
    target: Option<String>,
) -> Result<Option<String>, Error<LogoutRefusal>> {
    if params.one("kakao")? != Some("true") {
        return Ok(target);
    }
    let state = match target {
        None => None,
        Some(to) => Some(deps.keys.encrypt_logout_state(
            &serde_json::to_vec(&PostLogoutTarget { to }).map_err(keys::Error::from)?,
        )?),
    };
    Ok(Some(deps.kakao.logout_url(state.as_deref())))
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

/// Ends a browser session of a user and the grants that came of it.
pub(super) async fn end_session(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    session: BrowserSessionId,
) -> Result<(), store::Error> {
    let ending = deps.ending(EndReason::LoggedOut);
    let mut tx = Tx::begin(db).await?;
    let grants = browser_sessions::end(&mut tx, session, &ending).await?;
    let reach = LogoutReach::BrowserSession;
    audit::record(&mut tx, ending.at, &AuditEvent::UserLoggedOut { user, reach, grants }).await?;
    tx.commit().await?;
    deps.signals.revocations.ring();
    info!(%user, ?reach, grants, "logged out");
    Ok(())
}
