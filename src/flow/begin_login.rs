//! Begins a login: finds the client, proves the redirect URI, checks the rest, and sends the person to Kakao.
//!
//! Until the redirect URI is proven, a refusal is a page of ours; from then on it goes back to the client
//! (RFC 6749 §4.1.2.1). [`AuthorizeError`] carries where to, so that no handler can send one to an unproven URI.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use tracing::info;

use super::params::Repeated;
use super::{Deps, Error, Params, Refusal, id_token_hint};
use crate::domain::consent::{is_item, items};
use crate::domain::pkce::CodeChallenge;
use crate::domain::session::{Page, Session, Verdict, Wish, judge};
use crate::domain::{
    AttemptId, Client, GrantId, GrantType, Locale, LoginAttempt, NewGrant, ResponseMode, Restart, Scope,
    Secret,
};
use crate::kakao::Authorize;
use crate::keys::{Purpose, random};
use crate::store::Db;
use crate::store::sessions;

/// How long a person may take at Kakao, seconds. Also the life of the attempt's cookie.
pub const ATTEMPT_SECONDS: u64 = 600;

/// The longest `state` or `nonce` we carry: more would not fit into the attempt's cookie.
const LONGEST_ECHO: usize = 2048;

/// The largest sealed attempt that browsers keep in a cookie (RFC 6265 §6.1: 4096 bytes with its name).
const LARGEST_COOKIE: usize = 3900;

/// All parameters that mean something here; any of them twice is an error (RFC 6749 §3.1).
const KNOWN: [&str; 20] = [
    "state",
    "response_type",
    "response_mode",
    "scope",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "display",
    "login_hint",
    "ui_locales",
    "claims",
    "claims_locales",
    "id_token_hint",
    "acr_values",
    "request",
    "request_uri",
    "registration",
    "kakao_scope",
];

/// What else of a request begins again with it.
const AGAIN: [&str; 5] = ["prompt", "max_age", "id_token_hint", "login_hint", "ui_locales"];

/// The longest restart that goes into Kakao's `state`: a longer one is left out rather than a URL risked.
const LONGEST_RESTART: usize = 1500;

/// How long a lost login can be begun again from its callback.
const RESTART_SECONDS: u64 = 86_400;

/// How many consent items one request may name.
const MOST_ITEMS: usize = 20;

/// A login that has begun, or is done already.
pub enum Begun {
    /// The person must go to Kakao.
    AtKakao {
        /// Where to send the browser.
        location: String,
        /// Names the attempt's cookie.
        attempt: AttemptId,
        /// The sealed attempt: the cookie's value.
        sealed: String,
    },
    /// The browser's session was enough.
    Done {
        /// The one-time code.
        code: Secret,
        /// Where it goes.
        back: Back,
    },
}

/// What the browser shows with a request.
#[derive(Default)]
pub struct FromBrowser {
    /// `Accept-Language`
    pub language: Option<String>,
    /// Its name for itself: people recognise their devices by it.
    pub user_agent: Option<String>,
    /// Its session cookie.
    pub session: Option<Secret>,
}

/// A refusal at the authorization endpoint, and where it may go.
#[derive(Debug)]
pub struct AuthorizeError {
    /// What is wrong.
    pub error: Error,
    /// Present once the redirect URI is proven: the refusal goes there.
    pub back: Option<Back>,
}

/// A proven way back to a client.
#[derive(Clone, Debug)]
pub struct Back {
    /// The redirect URI, as requested.
    pub redirect_uri: String,
    /// The client's `state`.
    pub state: Option<String>,
    /// How the answer travels.
    pub mode: ResponseMode,
}

/// Names of the attempt's cookie, which its seal is bound to.
pub fn cookie_context(attempt: AttemptId) -> String {
    format!("login-{attempt}")
}

/// Begins a login from the parameters of an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).
///
/// Nothing is stored of an attempt: an abandoned one costs nothing.
pub async fn begin_login(
    deps: &Deps,
    db: &mut Db,
    params: &Params,
    browser: &FromBrowser,
) -> Result<Begun, AuthorizeError> {
    let page = |error: Error| AuthorizeError { error, back: None };
    let client = find_client(deps, params).map_err(|refusal| page(refusal.into()))?;
    let redirect_uri = prove_redirect_uri(client, params).map_err(|refusal| page(refusal.into()))?;

    let state = params.get("state");
    let mode = match params.get("response_mode") {
        Some("form_post") => ResponseMode::FormPost,
        _ => ResponseMode::Query,
    };
    let back = Back { redirect_uri: redirect_uri.to_owned(), state: state.map(str::to_owned), mode };
    let refuse = |error: Error| AuthorizeError { error, back: Some(back.clone()) };

    let proven = Proven { client, back: &back, browser };
    let ask = check(deps, client, params).map_err(|refusal| refuse(refusal.into()))?;
    let session = find_session(deps, db, browser).await.map_err(refuse)?;
    let page = match judge(&ask.wish, session, deps.clock.now()) {
        Verdict::UseSession(session) => {
            match grant_by_session(deps, db, &proven, &ask, session).await.map_err(refuse)? {
                Some(code) => return Ok(Begun::Done { code, back }),
                // It ended just now, or the user is kept out: Kakao's way finds out.
                None if ask.wish.silent => return Err(refuse(Refusal::LoginRequired.into())),
                None => Page::Any,
            }
        }
        Verdict::AskKakao(page) => page,
        Verdict::LoginRequired => return Err(refuse(Refusal::LoginRequired.into())),
    };
    let shown = Shown {
        page,
        silent: deps.in_app_login && ask.wish.page.is_none() && page == Page::Any && browser.is_kakaotalk(),
        locale: Locale::choose(params.get("ui_locales"), browser.language.as_deref()),
    };
    send_to_kakao(deps, &proven, ask, &shown).map_err(refuse)
}

/// Sends a person to Kakao's page whom Kakao could not log in without one: the same request, as a new attempt.
/// `state` is what came back from Kakao: the request as it was.
pub fn with_page(deps: &Deps, attempt: &LoginAttempt, state: Option<&str>) -> Result<Begun, Error> {
    let restart = state.and_then(|state| open_restart(deps, state));
    let asked = restart.map(|restart| restart.query).unwrap_or_default();
    let asked = Params::read(asked.as_bytes()).unwrap_or_default();
    let attempt = LoginAttempt {
        kakao_state: URL_SAFE_NO_PAD.encode(random::<32>()?),
        seed: URL_SAFE_NO_PAD.encode(random::<32>()?),
        silent: false,
        ..attempt.clone()
    };
    let wishes =
        Wishes { prompt: None, login_hint: asked.get("login_hint"), more_scopes: &[], again: again(&asked) };
    seal_and_send(deps, &attempt, &wishes)
}

/// How a login whose cookie is lost can begin again.
pub struct Again {
    /// The client's name, for the person.
    pub client: String,
    /// Where to go.
    pub href: String,
}

/// Reads the restart out of the `state` that came back from Kakao. Nothing of it is trusted: it leads to the beginning, where
/// everything is proven anew.
pub fn begin_again(deps: &Deps, state: Option<&str>) -> Option<Again> {
    let restart = open_restart(deps, state?)?;
    let too_old = deps.clock.now().since(restart.began_at) > std::time::Duration::from_secs(RESTART_SECONDS);
    let client = deps.clients.find(restart.client.as_str()).filter(|_| !too_old)?;
    let href = match &client.initiate_login_uri {
        // In another browser only the client itself can begin: its own state and verifier are not here.
        Some(uri) => {
            let iss = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("iss", &deps.issuer)
                .finish();
            format!("{uri}{}{iss}", if uri.contains('?') { '&' } else { '?' })
        }
        None => format!("{}/oauth/authorize?{}", deps.issuer, restart.query),
    };
    Some(Again { client: client.name.clone(), href })
}

fn open_restart(deps: &Deps, state: &str) -> Option<Restart> {
    let (_, sealed) = state.split_once('.')?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    serde_json::from_slice(&deps.keys.master.open(Purpose::Restart, b"", &sealed)?).ok()
}

/// The part of Kakao's `state` that names the attempt; the rest is the restart.
pub(super) fn secret_part(state: &str) -> &str {
    state.split_once('.').map_or(state, |(secret, _)| secret)
}

impl FromBrowser {
    /// KakaoTalk's own browser, in which Kakao documents a login without a page (`prompt=none`).
    fn is_kakaotalk(&self) -> bool {
        self.user_agent.as_deref().is_some_and(|name| name.contains("KAKAOTALK"))
    }
}

/// The browser's session, if it has one that lives.
async fn find_session(deps: &Deps, db: &mut Db, browser: &FromBrowser) -> Result<Option<Session>, Error> {
    match &browser.session {
        None => Ok(None),
        Some(cookie) => Ok(sessions::find_live(db, &cookie.fingerprint(), deps.clock.now()).await?),
    }
}

/// Makes a grant and its code out of a session; `None` if the session has ended meanwhile.
async fn grant_by_session(
    deps: &Deps,
    db: &mut Db,
    proven: &Proven<'_>,
    ask: &Ask<'_>,
    session: Session,
) -> Result<Option<Secret>, Error> {
    let Proven { client, back, browser } = proven;
    let now = deps.clock.now();
    let code = Secret::new(format!("kac_{}", URL_SAFE_NO_PAD.encode(random::<32>()?)));
    let grant = NewGrant {
        id: GrantId::generate(),
        client: client.id.clone(),
        scope: ask.scope.clone(),
        attempt: None,
        code: code.fingerprint(),
        code_expires_at: now + client.lifetimes.code,
        redirect_uri: back.redirect_uri.clone(),
        challenge: ask.challenge.clone(),
        nonce: ask.nonce.map(str::to_owned),
        auth_time: session.auth_time,
        expires_at: now + client.lifetimes.refresh_absolute,
        resource: ask.resource.clone(),
        user_agent: browser.user_agent.clone(),
    };
    let idle = now + deps.session_idle;
    let made = sessions::grant(db, session.id, &grant, now, idle).await?;
    if made {
        info!(user = %session.user, client = %client.id, grant = %grant.id, "logged in by the browser's session");
    }
    Ok(made.then_some(code))
}

fn find_client<'a>(deps: &'a Deps, params: &Params) -> Result<&'a Arc<Client>, Refusal> {
    let id = params.one("client_id").map_err(|Repeated(name)| Refusal::TargetRepeated(name))?;
    deps.clients.find(id.ok_or(Refusal::ClientMissing)?).ok_or(Refusal::ClientUnknown)
}

/// RFC 9700 §2.1: exact comparison with what was registered.
fn prove_redirect_uri<'a>(client: &Client, params: &'a Params) -> Result<&'a str, Refusal> {
    let requested = params.one("redirect_uri").map_err(|Repeated(name)| Refusal::TargetRepeated(name))?;
    let requested = requested.ok_or(Refusal::RedirectUriMissing)?;
    client.has_redirect_uri(requested).then_some(requested).ok_or(Refusal::RedirectUriUnknown)
}

/// Who asks: a client whose redirect URI is proven, from a browser.
struct Proven<'a> {
    client: &'a Client,
    back: &'a Back,
    browser: &'a FromBrowser,
}

/// What the person is to see at Kakao.
struct Shown {
    page: Page,
    /// Kakao is first asked to log in without any page.
    silent: bool,
    locale: Locale,
}

/// What a checked request asks for.
struct Ask<'a> {
    scope: Scope,
    nonce: Option<&'a str>,
    challenge: Option<CodeChallenge>,
    wish: Wish,
    login_hint: Option<&'a str>,
    again: Vec<(&'static str, &'a str)>,
    resource: Vec<String>,
    more_scopes: Vec<String>,
}

/// The rules of the authorization endpoint, in the order in which a client developer meets them.
fn check<'a>(deps: &Deps, client: &Client, params: &'a Params) -> Result<Ask<'a>, Refusal> {
    if let Some(name) = params.repeated(&KNOWN) {
        return Err(Refusal::ParameterRepeated(name));
    }
    refuse_request_objects(params)?;
    require_code_response(client, params)?;
    refuse_long(params, "state")?;
    refuse_long(params, "nonce")?;
    let challenge = read_challenge(client, params)?;
    let scope = read_scope(client, params)?;
    if let Some(claims) = params.get("claims")
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims).is_err()
    {
        return Err(Refusal::ParameterInvalid("claims", "it must be a JSON object"));
    }
    let mut wish = read_wish(deps, params)?;
    let more_scopes = read_kakao_scope(params)?;
    if !more_scopes.is_empty() {
        if wish.silent {
            return Err(Refusal::ConsentNeedsPage);
        }
        // The browser's session knows nothing of what Kakao would ask.
        wish.page = wish.page.or(Some(Page::Any));
    }
    let resource = params.resources();
    client.audience_of(&[], &resource).ok_or(Refusal::ResourceUnknown)?;
    Ok(Ask {
        scope,
        nonce: params.get("nonce"),
        challenge,
        wish,
        login_hint: params.get("login_hint"),
        again: again(params),
        resource,
        more_scopes,
    })
}

fn again(params: &Params) -> Vec<(&'static str, &str)> {
    AGAIN.iter().filter_map(|name| Some((*name, params.get(name)?))).collect()
}

/// Consent items to ask for beyond the configured ones.
fn read_kakao_scope(params: &Params) -> Result<Vec<String>, Refusal> {
    let items = items(params.get("kakao_scope").unwrap_or_default());
    if items.len() > MOST_ITEMS || !items.iter().all(|item| is_item(item)) {
        return Err(Refusal::ParameterInvalid(
            "kakao_scope",
            "it must name up to 20 consent items of Kakao, such as talk_message, separated by spaces",
        ));
    }
    Ok(items)
}

/// OpenID Connect Core §3.1.2.6: refused by name, never fetched, never silently ignored.
fn refuse_request_objects(params: &Params) -> Result<(), Refusal> {
    for (name, refusal) in [
        ("request", Refusal::RequestObject),
        ("request_uri", Refusal::RequestUri),
        ("registration", Refusal::Registration),
    ] {
        if params.get(name).is_some() {
            return Err(refusal);
        }
    }
    Ok(())
}

fn require_code_response(client: &Client, params: &Params) -> Result<(), Refusal> {
    match params.get("response_type") {
        None => return Err(Refusal::ParameterMissing("response_type")),
        Some("code") => {}
        Some(_) => return Err(Refusal::ResponseTypeUnsupported),
    }
    if !matches!(params.get("response_mode"), None | Some("query" | "form_post")) {
        return Err(Refusal::ParameterInvalid("response_mode", "it must be query or form_post"));
    }
    if client.may(GrantType::AuthorizationCode) { Ok(()) } else { Err(Refusal::GrantNotAllowed) }
}

fn refuse_long(params: &Params, name: &'static str) -> Result<(), Refusal> {
    if params.get(name).is_some_and(|value| value.len() > LONGEST_ECHO) {
        return Err(Refusal::ParameterInvalid(name, "it is longer than 2048 bytes"));
    }
    Ok(())
}

/// RFC 7636 §4.3: S256 only; a challenge without a method would mean `plain`.
fn read_challenge(client: &Client, params: &Params) -> Result<Option<CodeChallenge>, Refusal> {
    match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (Some(challenge), Some("S256")) => CodeChallenge::parse(challenge).map(Some).map_err(|_| {
            Refusal::ParameterInvalid("code_challenge", "it must be 43 to 128 unreserved characters")
        }),
        (Some(_), _) => Err(Refusal::ChallengeMethodUnsupported),
        (None, Some(_)) => Err(Refusal::ParameterMissing("code_challenge")),
        (None, None) if client.require_pkce || client.is_public() => Err(Refusal::ChallengeMissing),
        (None, None) => Ok(None),
    }
}

/// Unknown scopes and those the client may not have are dropped; the token response tells what is left
/// (RFC 6749 §3.3, OpenID Connect Core §3.1.2.1).
fn read_scope(client: &Client, params: &Params) -> Result<Scope, Refusal> {
    let Some(asked) = params.get("scope") else {
        // OpenID Connect begins only where it is asked for.
        return Ok(client.scopes.iter().filter(|token| *token != "openid").collect());
    };
    let scope = Scope::parse(asked).map_err(|_| Refusal::ScopeInvalid)?.within(&client.scopes);
    if scope.is_empty() { Err(Refusal::ScopeInvalid) } else { Ok(scope) }
}

/// OpenID Connect Core §3.1.2.1.
fn read_wish(deps: &Deps, params: &Params) -> Result<Wish, Refusal> {
    let mut wish = Wish::default();
    if let Some(text) = params.get("max_age") {
        let seconds: u32 = text
            .parse()
            .map_err(|_| Refusal::ParameterInvalid("max_age", "it must be a whole number of seconds"))?;
        wish.max_age = Some(std::time::Duration::from_secs(seconds.into()));
    }
    for word in params.get("prompt").unwrap_or_default().split_ascii_whitespace() {
        // The strictest page wins: a fresh login shows accounts too.
        let page = match word {
            "none" => {
                wish.silent = true;
                continue;
            }
            "login" => Page::Login,
            "select_account" => Page::SelectAccount,
            "create" => Page::Create,
            "consent" => Page::Any,
            _ => {
                return Err(Refusal::ParameterInvalid(
                    "prompt",
                    "known values are none, login, consent, select_account and create",
                ));
            }
        };
        wish.page = match wish.page {
            Some(earlier) if earlier != Page::Any && page != Page::Login => Some(earlier),
            _ => Some(page),
        };
    }
    if wish.silent && wish.page.is_some() {
        return Err(Refusal::ParameterInvalid("prompt", "none cannot stand beside another value"));
    }
    if let Some(text) = params.get("id_token_hint") {
        wish.user = Some(id_token_hint::read(deps, text).ok_or(Refusal::HintInvalid)?.sub);
    }
    Ok(wish)
}

fn send_to_kakao(deps: &Deps, proven: &Proven<'_>, ask: Ask<'_>, shown: &Shown) -> Result<Begun, Error> {
    let Proven { client, back, .. } = proven;
    let Shown { page, silent, locale } = *shown;
    let kakao_state = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let seed = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let attempt = LoginAttempt {
        client: client.id.clone(),
        redirect_uri: back.redirect_uri.clone(),
        scope: ask.scope,
        state: back.state.clone(),
        nonce: ask.nonce.map(str::to_owned),
        challenge: ask.challenge,
        kakao_state,
        seed,
        resource: ask.resource,
        expected: ask.wish.user,
        mode: back.mode,
        silent,
        began_at: deps.clock.now(),
        locale,
    };
    let prompt = if silent { Some("none") } else { page.kakao_prompt() };
    let wishes =
        Wishes { prompt, login_hint: ask.login_hint, more_scopes: &ask.more_scopes, again: ask.again };
    seal_and_send(deps, &attempt, &wishes)
}

/// What Kakao is to know of a request beyond the attempt itself.
struct Wishes<'a> {
    prompt: Option<&'a str>,
    login_hint: Option<&'a str>,
    more_scopes: &'a [String],
    again: Vec<(&'static str, &'a str)>,
}

fn seal_and_send(deps: &Deps, attempt: &LoginAttempt, wishes: &Wishes<'_>) -> Result<Begun, Error> {
    let attempt_id = AttemptId::of_state(&attempt.kakao_state);
    let json = serde_json::to_vec(attempt).map_err(Error::broken)?;
    let context = cookie_context(attempt_id);
    let sealed =
        URL_SAFE_NO_PAD.encode(deps.keys.master.seal(Purpose::LoginCookie, context.as_bytes(), &json)?);
    if sealed.len() > LARGEST_COOKIE {
        return Err(Refusal::ParameterInvalid(
            "state",
            "state, nonce and redirect_uri together are too long",
        )
        .into());
    }
    let challenge = CodeChallenge::of(kakao_verifier(attempt).reveal());
    let mut state = attempt.kakao_state.clone();
    if let Some(restart) = restart(deps, attempt, wishes)? {
        state.push('.');
        state.push_str(&restart);
    }
    let location = deps.kakao.authorize_url(&Authorize {
        state: &state,
        nonce: &kakao_nonce(attempt),
        challenge: challenge.as_str(),
        prompt: wishes.prompt,
        login_hint: wishes.login_hint,
        more_scopes: wishes.more_scopes,
    });
    Ok(Begun::AtKakao { location, attempt: attempt_id, sealed })
}

/// The request once more, sealed: Kakao has no business with a client's state.
fn restart(deps: &Deps, attempt: &LoginAttempt, wishes: &Wishes<'_>) -> Result<Option<String>, Error> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("client_id", attempt.client.as_str())
        .append_pair("redirect_uri", &attempt.redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", attempt.scope.as_str());
    query.extend_pairs(attempt.state.as_deref().map(|state| ("state", state)));
    query.extend_pairs(attempt.nonce.as_deref().map(|nonce| ("nonce", nonce)));
    if let Some(challenge) = &attempt.challenge {
        query.append_pair("code_challenge", challenge.as_str()).append_pair("code_challenge_method", "S256");
    }
    if attempt.mode == ResponseMode::FormPost {
        query.append_pair("response_mode", "form_post");
    }
    if !wishes.more_scopes.is_empty() {
        query.append_pair("kakao_scope", &wishes.more_scopes.join(" "));
    }
    query.extend_pairs(&wishes.again);
    query.extend_pairs(attempt.resource.iter().map(|resource| ("resource", resource)));
    let restart =
        Restart { client: attempt.client.clone(), query: query.finish(), began_at: attempt.began_at };
    let json = serde_json::to_vec(&restart).map_err(Error::broken)?;
    let sealed = URL_SAFE_NO_PAD.encode(deps.keys.master.seal(Purpose::Restart, b"", &json)?);
    Ok((sealed.len() <= LONGEST_RESTART).then_some(sealed))
}

/// Our nonce for Kakao's ID token.
pub(super) fn kakao_nonce(attempt: &LoginAttempt) -> String {
    derive(attempt, b"nonce")
}

/// Our PKCE verifier for Kakao.
pub(super) fn kakao_verifier(attempt: &LoginAttempt) -> Secret {
    Secret::new(derive(attempt, b"verifier"))
}

/// The attempt's seed makes both, so that the cookie carries 32 random bytes instead of 96.
fn derive(attempt: &LoginAttempt, label: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, attempt.seed.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, label))
}
