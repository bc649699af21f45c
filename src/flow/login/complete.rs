//! Completes a login: the one place that makes user, grant and browser session, whoever vouches for the user (Kakao to a
//! browser, Kakao to an app's SDK, or an earlier login in this browser) and whether the grant begins with a code or live.

use std::time::Duration;

use tracing::{info, warn};

use crate::domain::session::{BrowserSession, NewBrowserSession};
use crate::domain::{
    AttemptId, AuthorizationCode, Beginning, BrowserSessionId, Client, CodeBinding, Consent, Grant, GrantId,
    GrantRequest, KakaoAccessToken, KakaoId, KakaoRefreshToken, NewCode, NewGrant, Profile, SessionCookie,
    Timestamp, UserId,
};
use crate::flow::Deps;
use crate::flow::error::chain;
use crate::flow::kakao::tokens;
use crate::keys;
use crate::store::browser_sessions::BySession;
use crate::store::logins::{self, NewLogin, Recorded};
use crate::store::{Db, browser_sessions};

/// What Kakao told about a person, and when.
pub(crate) struct Identity {
    /// Kakao's member number.
    pub(crate) kakao_id: KakaoId,
    /// What the person shares.
    pub(crate) profile: Profile,
    /// What the person agreed to.
    pub(crate) consent: Consent,
    /// When the person logged in at Kakao, as its ID token says; `None`: Kakao did not say.
    pub(crate) auth_time: Option<Timestamp>,
    /// When Kakao was asked for the profile.
    pub(crate) read_at: Timestamp,
    /// When Kakao vouched for the person: what ends logins after that ends this one too.
    pub(crate) vouched_at: Timestamp,
    /// Kakao's access token, and how long it lives.
    pub(crate) access_token: Option<(KakaoAccessToken, Duration)>,
    /// Kakao's refresh token, and how long it lives if Kakao said so. An SDK's stays with its app: a refresh here would kill
    /// the app's.
    pub(crate) refresh_token: Option<(KakaoRefreshToken, Option<Duration>)>,
}

/// Who vouches for the user.
pub(crate) enum Voucher<'a> {
    Kakao(&'a Identity, Option<SessionToBegin<'a>>),
    /// An earlier login in this browser.
    Session(BrowserSession),
}

/// The session that a login begins in a browser.
pub(crate) struct SessionToBegin<'a> {
    /// Its cookie.
    pub(crate) cookie: &'a SessionCookie,
    /// The cookie of the session that it takes the place of.
    pub(crate) replaces: Option<&'a SessionCookie>,
}

/// What is to be granted.
pub(crate) struct ToGrant<'a> {
    /// The client, whose life times count.
    pub(crate) client: &'a Client,
    /// What it asked for and may have.
    pub(crate) request: GrantRequest,
    /// The code with which the grant begins; without one it is live at once.
    pub(crate) code: Option<(&'a AuthorizationCode, CodeBinding)>,
    /// The attempt that led here.
    pub(crate) attempt: Option<AttemptId>,
    /// The browser or app, as it names itself.
    pub(crate) user_agent: Option<String>,
}

/// What became of a login.
pub(crate) enum Completed {
    /// It stands, with this grant.
    Granted(Grant),
    /// The operator keeps this user out.
    UserDisabled,
    /// The person's logins were ended after this one was vouched for.
    LoginsEnded,
    /// Too many codes of the user wait at the client.
    TooManyCodes,
}

/// Completes a login.
pub(crate) async fn complete(
    deps: &Deps,
    db: &mut Db,
    voucher: Voucher<'_>,
    to_grant: ToGrant<'_>,
) -> Result<Completed, keys::Error> {
    let (client, now) = (to_grant.client, deps.clock.now());
    let (auth_time, logged_in_at) = match &voucher {
        Voucher::Kakao(identity, _) => (identity.auth_time, identity.vouched_at),
        Voucher::Session(session) => (session.auth_time, session.logged_in_at),
    };
    let (beginning, expires_at) = if let Some((code, binding)) = to_grant.code {
        // It may never be exchanged: until then the grant lives no longer than the code.
        let expires_at = now + client.lifetimes.code;
        (Beginning::Code(NewCode { hash: code.fingerprint(), expires_at, binding }), expires_at)
    } else {
        let idle_expires_at = now + client.lifetimes.refresh_idle;
        (Beginning::Live { idle_expires_at }, now + client.lifetimes.refresh_absolute)
    };
    let grant = NewGrant {
        id: GrantId::generate(),
        request: to_grant.request,
        beginning,
        attempt: to_grant.attempt,
        auth_time,
        logged_in_at,
        created_at: now,
        expires_at,
        user_agent: to_grant.user_agent,
    };
    let completed = match voucher {
        Voucher::Kakao(identity, session) => by_kakao(deps, db, grant, identity, session).await?,
        Voucher::Session(session) => {
            match browser_sessions::grant(db, &session, &grant, now + deps.policy.session.idle).await? {
                BySession::Granted(grant) => Completed::Granted(grant),
                BySession::TooManyCodes => Completed::TooManyCodes,
                BySession::Ended => Completed::LoginsEnded,
            }
        }
    };
    match &completed {
        Completed::Granted(grant) => {
            info!(user = %grant.user, client = %client.id, grant = %grant.id, "logged in");
        }
        Completed::UserDisabled => info!(client = %client.id, "a disabled user was refused"),
        Completed::LoginsEnded => {
            info!(client = %client.id, "the user's logins were ended during this login");
        }
        Completed::TooManyCodes => {
            warn!(client = %client.id, "too many codes of a user wait at this client");
        }
    }
    Ok(completed)
}

async fn by_kakao(
    deps: &Deps,
    db: &mut Db,
    grant: NewGrant,
    identity: &Identity,
    browser: Option<SessionToBegin<'_>>,
) -> Result<Completed, keys::Error> {
    let (now, session) = (grant.created_at, BrowserSessionId::generate());
    let encrypted = identity.refresh_token.as_ref();
    let encrypted = encrypted.map(|(token, _)| tokens::encrypt_refresh_token(deps, identity.kakao_id, token));
    let encrypted = encrypted.transpose()?;
    let lives = identity.refresh_token.as_ref().and_then(|(_, lives)| *lives);
    let login = NewLogin {
        user: UserId::generate(),
        kakao_id: identity.kakao_id,
        profile: &identity.profile,
        kakao_refresh_token: encrypted.as_deref(),
        kakao_refresh_expires_at: lives.map(|lives| now + lives),
        consent: &identity.consent,
        session: browser.as_ref().map(|browser| NewBrowserSession {
            id: session,
            token: browser.cookie.fingerprint(),
            idle_expires_at: now + deps.policy.session.idle,
            expires_at: now + deps.policy.session.absolute,
        }),
        read_at: identity.read_at,
        grant,
    };
    let grant = match logins::record(db, &login).await? {
        Recorded::Granted(grant) => grant,
        Recorded::Disabled => return Ok(Completed::UserDisabled),
        Recorded::Ended => return Ok(Completed::LoginsEnded),
        Recorded::TooManyCodes => return Ok(Completed::TooManyCodes),
    };
    if let Some((token, lives)) = &identity.access_token {
        tokens::cache(deps, grant.user, token, *lives).await;
    }
    if let Some(old) = browser.and_then(|browser| browser.replaces)
        && let Err(error) = browser_sessions::replace(db, &old.fingerprint(), session, grant.user, now).await
    {
        // The login stands; the session from before ends by itself.
        warn!(cause = chain(&error), "the browser's earlier session was not ended");
    }
    Ok(Completed::Granted(grant))
}
