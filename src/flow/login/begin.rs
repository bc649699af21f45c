//! Begins a login: finds the client, proves the redirect URI, checks the rest, and sends the person to Kakao, or back at once if
//! the browser's session is enough.
//!
//! Until the redirect URI is proven, a refusal is a page of ours; from then on it goes back to the client
//! (RFC 6749 §4.1.2.1). [`AuthorizeError`] carries where to, so that no handler can send one to an unproven URI.

use metrics::counter;

use super::attempt::{self, SealedAttempt, keys_of};
use super::complete::{Completed, ToGrant, Voucher, complete};
use super::confirm::{self, Button, Question, Reason};
use super::request::{self, AuthorizationRequest, ClientResponseTarget};
use super::resume;
use crate::domain::pkce::CodeChallenge;
use crate::domain::session::{BrowserSession, Prompt, Verdict, judge};
use crate::domain::{AttemptId, AuthorizationCode, Client, Locale, LoginAttempt, SessionCookie, UserId};
use crate::flow::gauges::LOGINS;
use crate::flow::refusal::AuthorizeRefusal;
use crate::flow::{Deps, Error, Params, id_token_hint};
use crate::kakao::Authorize;
use crate::keys::attempt::new_seed;
use crate::keys::code;
use crate::store::{Db, browser_sessions};

/// A login that has begun, or is complete already.
pub(crate) enum Begun {
    /// The person must go to Kakao.
    AtKakao {
        /// Where to send the browser.
        location: String,
        /// Names the attempt's cookie.
        attempt: AttemptId,
        /// The sealed attempt: the cookie's value.
        sealed: String,
    },
    /// The person must be asked first.
    Ask(Question),
    /// The browser's session was enough.
    Done {
        /// The one-time code.
        code: AuthorizationCode,
        /// Where it goes.
        target: ClientResponseTarget,
    },
}

/// What the browser shows with a request.
#[derive(Default)]
pub(crate) struct FromBrowser {
    pub(crate) language: Option<String>,
    /// Its name for itself: people recognise their devices by it.
    pub(crate) user_agent: Option<String>,
    /// Its session cookie.
    pub(crate) session: Option<SessionCookie>,
}

/// A refusal at the authorization endpoint, and where it may go.
#[derive(Debug)]
pub(crate) struct AuthorizeError {
    /// What is wrong.
    pub(crate) error: Error<AuthorizeRefusal>,
    /// Present once the redirect URI is proven: the refusal goes there.
    pub(crate) target: Option<ClientResponseTarget>,
}

/// Begins a login from the parameters of an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).
///
/// Nothing is stored of an attempt: an abandoned one costs nothing. `confirmed`: the person has pressed the button of
/// [`Begun::Ask`] for it.
pub(crate) async fn begin_login(
    deps: &Deps,
    db: &mut Db,
    params: &Params,
    browser: &FromBrowser,
    confirmed: bool,
) -> Result<Begun, AuthorizeError> {
    let page = |refusal: AuthorizeRefusal| AuthorizeError { error: refusal.into(), target: None };
    let client = request::find_client(&deps.clients, params).map_err(page)?;
    let target = ClientResponseTarget::prove(client, params).map_err(page)?;
    let begun = match AuthorizationRequest::read(params, deps.policy.issuer.as_str(), client, &target) {
        Ok(request) => {
            let asking = Asking { client, target: &target, params, browser, confirmed };
            judge_and_begin(deps, db, request, &asking).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    begun.map_err(|error| AuthorizeError { error, target: Some(target) })
}

/// Who asks: a client whose redirect URI is proven, from a browser.
struct Asking<'a> {
    client: &'a Client,
    target: &'a ClientResponseTarget,
    params: &'a Params,
    browser: &'a FromBrowser,
    /// Whether the person has said yes to this request.
    confirmed: bool,
}

async fn judge_and_begin(
    deps: &Deps,
    db: &mut Db,
    mut request: AuthorizationRequest<'_>,
    asking: &Asking<'_>,
) -> Result<Begun, Error<AuthorizeRefusal>> {
    let Asking { client, target, browser, .. } = *asking;
    let reason = Reason::of(deps, client, &target.redirect_uri);
    if request.authn.prompt_none && reason == Some(Reason::Unassured) {
        return Err(AuthorizeRefusal::InteractionRequired.into());
    }
    request.authn.user = expected_user(deps, &request)?;
    let session = find_session(deps, db, browser).await?;
    let verdict = judge(&request.authn, session, deps.clock.now());
    if let Some(reason) = reason.filter(|_| !asking.confirmed && !request.authn.prompt_none) {
        let button = if matches!(verdict, Verdict::UseSession(_)) { Button::Continue } else { Button::Kakao };
        let question = confirm::ask(deps, client, asking.params, &target.redirect_uri, (reason, button))?;
        return Ok(Begun::Ask(question));
    }
    let prompt = match verdict {
        Verdict::UseSession(session) => {
            if let Some(code) = grant_by_session(deps, db, &request, session, asking).await? {
                return Ok(Begun::Done { code, target: target.clone() });
            }
            // It ended just now, or the user is kept out: Kakao's way finds out.
            if request.authn.prompt_none {
                return Err(AuthorizeRefusal::LoginRequired.into());
            }
            if request.authn.max_age.is_some() { Prompt::Login } else { Prompt::Any }
        }
        Verdict::AskKakao(prompt) => prompt,
        Verdict::LoginRequired => return Err(AuthorizeRefusal::LoginRequired.into()),
    };
    begin_at_kakao(deps, &request, prompt, asking)
}

/// The user of `id_token_hint`.
fn expected_user(
    deps: &Deps,
    request: &AuthorizationRequest<'_>,
) -> Result<Option<UserId>, AuthorizeRefusal> {
    let Some(text) = request.id_token_hint else { return Ok(None) };
    match id_token_hint::read(deps, text) {
        Some(hint) => Ok(Some(hint.sub)),
        // Who is meant is not known, so nobody can be said to be logged in (OpenID Connect Core §3.1.2.1).
        None if request.authn.prompt_none => Err(AuthorizeRefusal::LoginRequired),
        None => Ok(None),
    }
}

fn begin_at_kakao(
    deps: &Deps,
    request: &AuthorizationRequest<'_>,
    prompt: Prompt,
    asking: &Asking<'_>,
) -> Result<Begun, Error<AuthorizeRefusal>> {
    let Asking { target, browser, .. } = *asking;
    let prompt_none = deps.policy.kakao.in_app_login
        && prompt == Prompt::Any
        && request.authn.prompt.is_none()
        && browser.is_kakaotalk();
    let attempt = LoginAttempt {
        request: request.grant.clone(),
        binding: request.binding.clone(),
        state: target.state.clone(),
        seed: new_seed()?,
        expected: request.authn.user,
        oldest_login: request.authn.oldest_login().map(|oldest| oldest.as_secs()),
        mode: target.mode,
        prompt_none,
        login_hint: request.login_hint.filter(|_| prompt_none).map(str::to_owned),
        began_at: deps.clock.now(),
        locale: Locale::choose(request.ui_locales, browser.language.as_deref()),
    };
    let at_kakao = AtKakao {
        prompt: if prompt_none { Some("none") } else { prompt.name() },
        login_hint: request.login_hint,
        consent_items: &request.consent_items,
    };
    send_to_kakao(deps, &attempt, &at_kakao)
}

/// Sends a person to a page of Kakao's whom Kakao could not log in without one: the same request, as a new attempt.
pub(crate) fn retry_interactively(
    deps: &Deps,
    attempt: &LoginAttempt,
) -> Result<Begun, Error<AuthorizeRefusal>> {
    let attempt = LoginAttempt { seed: new_seed()?, prompt_none: false, ..attempt.clone() };
    // Only a request that asked for no page and no consent was tried without one.
    let at_kakao = AtKakao { prompt: None, login_hint: attempt.login_hint.as_deref(), consent_items: &[] };
    send_to_kakao(deps, &attempt, &at_kakao)
}

impl FromBrowser {
    /// KakaoTalk's own browser, in which Kakao documents a login without a page (`prompt=none`).
    pub(super) fn is_kakaotalk(&self) -> bool {
        self.user_agent.as_deref().is_some_and(|name| name.contains("KAKAOTALK"))
    }
}

/// The browser's session, if it has one that lives.
async fn find_session(
    deps: &Deps,
    db: &mut Db,
    browser: &FromBrowser,
) -> Result<Option<BrowserSession>, Error<AuthorizeRefusal>> {
    match &browser.session {
        None => Ok(None),
        Some(cookie) => Ok(browser_sessions::find_live(db, &cookie.fingerprint(), deps.clock.now()).await?),
    }
}

/// Makes a grant and its code out of a session; `None` if the session has ended meanwhile.
async fn grant_by_session(
    deps: &Deps,
    db: &mut Db,
    request: &AuthorizationRequest<'_>,
    session: BrowserSession,
    asking: &Asking<'_>,
) -> Result<Option<AuthorizationCode>, Error<AuthorizeRefusal>> {
    let code = code::generate()?;
    let to_grant = ToGrant {
        client: asking.client,
        request: request.grant.clone(),
        code: Some((&code, request.binding.clone())),
        attempt: None,
        user_agent: asking.browser.user_agent.clone(),
    };
    let completed = complete(deps, db, Voucher::Session(session), to_grant).await?;
    match completed {
        Completed::Granted(_) => {}
        Completed::TooManyCodes => return Err(AuthorizeRefusal::TooManyCodes.into()),
        Completed::UserDisabled | Completed::LoginsEnded => return Ok(None),
    }
    counter!(LOGINS, "outcome" => "by_session").increment(1);
    Ok(Some(code))
}

/// What Kakao is to know of a request beyond the attempt itself.
struct AtKakao<'a> {
    prompt: Option<&'static str>,
    login_hint: Option<&'a str>,
    consent_items: &'a [String],
}

fn send_to_kakao(
    deps: &Deps,
    attempt: &LoginAttempt,
    at_kakao: &AtKakao<'_>,
) -> Result<Begun, Error<AuthorizeRefusal>> {
    let SealedAttempt { id, cookie } = attempt::seal(&deps.keys, attempt)?;
    let keys = keys_of(&deps.keys, attempt);
    let challenge = CodeChallenge::of(keys.verifier().reveal());
    let state = resume::state_with(&deps.keys, keys.state().reveal().to_owned(), attempt)?;
    let location = deps.kakao.authorize_url(&Authorize {
        state: &state,
        nonce: &keys.nonce(),
        challenge: challenge.as_str(),
        prompt: at_kakao.prompt,
        login_hint: at_kakao.login_hint,
        more_scopes: at_kakao.consent_items,
    });
    Ok(Begun::AtKakao { location, attempt: id, sealed: cookie })
}
