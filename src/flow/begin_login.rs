//! Begins a login: finds the client, proves the redirect URI, checks the rest, and sends the person to Kakao.
//!
//! Until the redirect URI is proven, a refusal is a page of ours; from then on it goes back to the client
//! (RFC 6749 §4.1.2.1). [`AuthorizeError`] carries where to, so that no handler can send one to an unproven URI.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::params::Repeated;
use super::{Deps, Error, Params, Refusal};
use crate::domain::pkce::CodeChallenge;
use crate::domain::{AttemptId, Client, GrantType, Locale, LoginAttempt, Scope, Secret};
use crate::kakao::Authorize;
use crate::keys::{Purpose, random};

/// How long a person may take at Kakao, seconds. Also the life of the attempt's cookie.
pub const ATTEMPT_SECONDS: u64 = 600;

/// The longest `state` or `nonce` we carry: more would not fit into the attempt's cookie.
const LONGEST_ECHO: usize = 2048;

/// The largest sealed attempt that browsers keep in a cookie (RFC 6265 §6.1: 4096 bytes with its name).
const LARGEST_COOKIE: usize = 3900;

/// All parameters that mean something here; any of them twice is an error (RFC 6749 §3.1).
const KNOWN: [&str; 19] = [
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
];

/// A login that has begun.
pub struct Begun {
    /// Where to send the browser.
    pub location: String,
    /// Names the attempt's cookie.
    pub attempt: AttemptId,
    /// The sealed attempt: the cookie's value.
    pub sealed: String,
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
}

/// Names of the attempt's cookie, which its seal is bound to.
pub fn cookie_context(attempt: AttemptId) -> String {
    format!("login-{attempt}")
}

/// Begins a login from the parameters of an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).
///
/// Nothing is stored: an abandoned attempt costs nothing.
pub fn begin_login(
    deps: &Deps,
    params: &Params,
    accept_language: Option<&str>,
) -> Result<Begun, AuthorizeError> {
    let page = |error: Error| AuthorizeError { error, back: None };
    let client = find_client(deps, params).map_err(|refusal| page(refusal.into()))?;
    let redirect_uri = prove_redirect_uri(client, params).map_err(|refusal| page(refusal.into()))?;

    let state = params.get("state");
    let back = Back { redirect_uri: redirect_uri.to_owned(), state: state.map(str::to_owned) };
    let refuse = |error: Error| AuthorizeError { error, back: Some(back.clone()) };

    let ask = check(client, params).map_err(|refusal| refuse(refusal.into()))?;
    let locale = Locale::choose(params.get("ui_locales"), accept_language);
    send_to_kakao(deps, client, &back, ask, locale).map_err(refuse)
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

/// What a checked request asks for.
struct Ask<'a> {
    scope: Scope,
    nonce: Option<&'a str>,
    challenge: Option<CodeChallenge>,
    kakao_prompt: Option<&'static str>,
    login_hint: Option<&'a str>,
    resource: Vec<String>,
}

/// The rules of the authorization endpoint, in the order in which a client developer meets them.
fn check<'a>(client: &Client, params: &'a Params) -> Result<Ask<'a>, Refusal> {
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
    let kakao_prompt = read_prompt(params)?;
    let resource = params.resources();
    client.audience_of(&[], &resource).ok_or(Refusal::ResourceUnknown)?;
    Ok(Ask {
        scope,
        nonce: params.get("nonce"),
        challenge,
        kakao_prompt,
        login_hint: params.get("login_hint"),
        resource,
    })
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
    if !matches!(params.get("response_mode"), None | Some("query")) {
        return Err(Refusal::ParameterInvalid("response_mode", "only query is supported"));
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

/// OpenID Connect Core §3.1.2.1. Without a session of our own every login goes to Kakao, so `none` cannot be met, and
/// `max_age` is met by a fresh one.
fn read_prompt(params: &Params) -> Result<Option<&'static str>, Refusal> {
    let fresh = match params.get("max_age") {
        None => false,
        Some(text) if text.parse::<u32>().is_ok() => true,
        Some(_) => return Err(Refusal::ParameterInvalid("max_age", "it must be a whole number of seconds")),
    };
    let mut kakao = fresh.then_some("login");
    let mut none = false;
    let mut others = false;
    for word in params.get("prompt").unwrap_or_default().split_ascii_whitespace() {
        match word {
            "none" => none = true,
            "login" => kakao = Some("login"),
            "select_account" => kakao = kakao.or(Some("select_account")),
            "create" => kakao = kakao.or(Some("create")),
            "consent" => {}
            _ => {
                return Err(Refusal::ParameterInvalid(
                    "prompt",
                    "known values are none, login, consent, select_account and create",
                ));
            }
        }
        others |= word != "none";
    }
    match (none, others) {
        (true, true) => Err(Refusal::ParameterInvalid("prompt", "none cannot stand beside another value")),
        (true, false) => Err(Refusal::LoginRequired),
        _ => Ok(kakao),
    }
}

fn send_to_kakao(
    deps: &Deps,
    client: &Client,
    back: &Back,
    ask: Ask<'_>,
    locale: Locale,
) -> Result<Begun, Error> {
    let kakao_state = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let seed = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let attempt_id = AttemptId::of_state(&kakao_state);
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
        began_at: deps.clock.now(),
        locale,
    };
    let json = serde_json::to_vec(&attempt).map_err(|error| Error::Broken(error.to_string()))?;
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
    let challenge = CodeChallenge::of(kakao_verifier(&attempt).reveal());
    let location = deps.kakao.authorize_url(&Authorize {
        state: &attempt.kakao_state,
        nonce: &kakao_nonce(&attempt),
        challenge: challenge.as_str(),
        prompt: ask.kakao_prompt,
        login_hint: ask.login_hint,
    });
    Ok(Begun { location, attempt: attempt_id, sealed })
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
