//! The authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): what a client asks, read and checked.
//!
//! Pure: nothing but the parameters and the settings of the client. Until the redirect URI is proven a refusal is a page of
//! ours; from then on it goes back to the client, for which there must be a [`ClientResponseTarget`].

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::access;
use crate::domain::client::RequirePkce;
use crate::domain::consent::{MAX_CONSENT_ITEMS, is_item, items};
use crate::domain::pkce::CodeChallenge;
use crate::domain::session::{AuthnRequirements, Prompt};
use crate::domain::{
    Client, Clients, CodeBinding, GrantRequest, GrantType, LoginAttempt, ResponseMode, Scope,
};
use crate::flow::params::{Params, Repeated};
use crate::flow::refusal::{AccessRefusal, AuthorizeRefusal, RequestRefusal};

/// The longest `state` or `nonce` we carry, bytes: more would not fit into the attempt's cookie.
const MAX_ECHO: usize = 2048;
const TOO_LONG: &str = "it is longer than 2048 bytes";

const BAD_CONSENT_ITEMS: &str =
    "it must name up to 20 consent items of Kakao, such as talk_message, separated by spaces";

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

/// Where an authorization response goes: a redirect URI that is proven to be the client's.
#[derive(Clone, Debug)]
pub(crate) struct ClientResponseTarget {
    /// The redirect URI, as requested.
    pub(crate) redirect_uri: String,
    /// The client's `state`.
    pub(crate) state: Option<String>,
    /// How the response travels.
    pub(crate) mode: ResponseMode,
}

impl ClientResponseTarget {
    /// Proves that the requested redirect URI is the client's (RFC 9700 §2.1: exact comparison with what was registered).
    pub(crate) fn prove(client: &Client, params: &Params) -> Result<Self, AuthorizeRefusal> {
        let requested = params
            .one("redirect_uri")
            .map_err(|Repeated(name)| AuthorizeRefusal::DuplicateClientOrRedirect(name))?;
        let requested = requested.ok_or(AuthorizeRefusal::RedirectUriMissing)?;
        if !client.has_redirect_uri(requested) {
            return Err(AuthorizeRefusal::RedirectUriUnknown);
        }
        // What stands here twice is refused with the rest of the request, and does not go back.
        let once = |name| params.one(name).ok().flatten();
        let of_object = || once("request").and_then(response_mode_of_object);
        let mode = match once("response_mode").map(str::to_owned).or_else(of_object).as_deref() {
            Some("form_post") => ResponseMode::FormPost,
            _ => ResponseMode::Query,
        };
        Ok(Self { redirect_uri: requested.to_owned(), state: once("state").map(str::to_owned), mode })
    }

    /// Of an attempt, whose request was proven when it began.
    pub(crate) fn of(attempt: &LoginAttempt) -> Self {
        Self {
            redirect_uri: attempt.binding.redirect_uri.clone(),
            state: attempt.state.clone(),
            mode: attempt.mode,
        }
    }
}

/// The client that a request names.
pub(crate) fn find_client<'a>(
    clients: &'a Clients,
    params: &Params,
) -> Result<&'a Arc<Client>, AuthorizeRefusal> {
    let id = params
        .one("client_id")
        .map_err(|Repeated(name)| AuthorizeRefusal::DuplicateClientOrRedirect(name))?;
    clients.find(id.ok_or(AuthorizeRefusal::ClientIdMissing)?).ok_or(RequestRefusal::ClientUnknown.into())
}

/// A checked request: what of it is more than where the response goes.
#[derive(Debug)]
pub(crate) struct AuthorizationRequest<'a> {
    /// What the client asks to be granted, and may have.
    pub(crate) grant: GrantRequest,
    /// What its code is to be bound to.
    pub(crate) binding: CodeBinding,
    /// How the user is to be authenticated, save for `id_token_hint`.
    pub(crate) authn: AuthnRequirements,
    /// `id_token_hint`, unverified.
    pub(crate) id_token_hint: Option<&'a str>,
    pub(crate) login_hint: Option<&'a str>,
    pub(crate) ui_locales: Option<&'a str>,
    /// Kakao consent items to ask for beyond the configured ones (`kakao_scope`).
    pub(crate) consent_items: Vec<String>,
}

impl<'a> AuthorizationRequest<'a> {
    /// The rules of the authorization endpoint, in the order in which a client developer meets them.
    pub(crate) fn read(
        params: &'a Params,
        issuer: &str,
        client: &Client,
        target: &ClientResponseTarget,
    ) -> Result<Self, AuthorizeRefusal> {
        params.refuse_repeated(&KNOWN)?;
        refuse_request_objects(params)?;
        require_code_response(client, params)?;
        refuse_too_long(params, "state")?;
        refuse_too_long(params, "nonce")?;
        let scope = read_scope(client, params)?;
        let challenge = read_challenge(client, &scope, params)?;
        refuse_bad_claims(params)?;
        let authn = read_authn(params)?;
        let consent_items = read_consent_items(params)?;
        let authn = with_consent(authn, &consent_items)?;
        let resource = params.resources();
        access::refuse_unknown(issuer, client, &resource)?;
        let nonce = params.one("nonce")?.map(str::to_owned);
        Ok(Self {
            grant: GrantRequest { client: client.id.clone(), scope, resource },
            binding: CodeBinding { redirect_uri: target.redirect_uri.clone(), challenge, nonce },
            authn,
            id_token_hint: params.one("id_token_hint")?,
            login_hint: params.one("login_hint")?,
            ui_locales: params.one("ui_locales")?,
            consent_items,
        })
    }
}

/// `response_mode` in a request object (OpenID Connect Core §6.1), all of which is refused and nothing of it verified: it only
/// chooses how the refusal travels to a redirect URI that is proven.
fn response_mode_of_object(object: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(object.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims.get("response_mode")?.as_str().map(str::to_owned)
}

/// OpenID Connect Core §3.1.2.6: refused by name, never fetched, never silently ignored.
fn refuse_request_objects(params: &Params) -> Result<(), AuthorizeRefusal> {
    for (name, refusal) in [
        ("request", AuthorizeRefusal::RequestObject),
        ("request_uri", AuthorizeRefusal::RequestUri),
        ("registration", AuthorizeRefusal::Registration),
    ] {
        if params.one(name)?.is_some() {
            return Err(refusal);
        }
    }
    Ok(())
}

fn require_code_response(client: &Client, params: &Params) -> Result<(), AuthorizeRefusal> {
    match params.one("response_type")? {
        None => return Err(RequestRefusal::ParameterMissing("response_type").into()),
        Some("code") => {}
        Some(_) => return Err(AuthorizeRefusal::ResponseTypeUnsupported),
    }
    if !matches!(params.one("response_mode")?, None | Some("query" | "form_post")) {
        return Err(RequestRefusal::ParameterInvalid("response_mode", "it must be query or form_post").into());
    }
    if client.may(GrantType::AuthorizationCode) {
        Ok(())
    } else {
        Err(AccessRefusal::GrantTypeNotAllowed.into())
    }
}

fn refuse_too_long(params: &Params, name: &'static str) -> Result<(), AuthorizeRefusal> {
    if params.one(name)?.is_some_and(|value| value.len() > MAX_ECHO) {
        return Err(RequestRefusal::ParameterInvalid(name, TOO_LONG).into());
    }
    Ok(())
}

/// RFC 7636 §4.3: S256 only; a challenge without a method would mean `plain`.
fn read_challenge(
    client: &Client,
    scope: &Scope,
    params: &Params,
) -> Result<Option<CodeChallenge>, AuthorizeRefusal> {
    match (params.one("code_challenge")?, params.one("code_challenge_method")?) {
        (Some(challenge), Some("S256")) => CodeChallenge::parse(challenge).map(Some).map_err(|_| {
            RequestRefusal::ParameterInvalid("code_challenge", "it must be 43 to 128 unreserved characters")
                .into()
        }),
        (Some(_), _) => Err(AuthorizeRefusal::ChallengeMethodUnsupported),
        (None, Some(_)) => Err(RequestRefusal::ParameterMissing("code_challenge").into()),
        (None, None) => match client.require_pkce {
            RequirePkce::Never => Ok(None),
            RequirePkce::UnlessNonce if scope.contains("openid") && params.one("nonce")?.is_some() => {
                Ok(None)
            }
            RequirePkce::UnlessNonce => Err(AuthorizeRefusal::ChallengeOrNonceMissing),
            RequirePkce::Always => Err(AuthorizeRefusal::ChallengeMissing),
        },
    }
}

fn read_scope(client: &Client, params: &Params) -> Result<Scope, AuthorizeRefusal> {
    let requested =
        params.one("scope")?.map(Scope::parse).transpose().map_err(|_| AccessRefusal::ScopeInvalid)?;
    Ok(access::of_login(client, requested.as_ref())?)
}

/// `claims` is not evaluated (OpenID Connect Core §5.5), but must be what it claims to be.
fn refuse_bad_claims(params: &Params) -> Result<(), AuthorizeRefusal> {
    let Some(claims) = params.one("claims")? else { return Ok(()) };
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims)
        .map(drop)
        .map_err(|_| RequestRefusal::ParameterInvalid("claims", "it must be a JSON object").into())
}

fn read_authn(params: &Params) -> Result<AuthnRequirements, AuthorizeRefusal> {
    let mut authn = AuthnRequirements::default();
    if let Some(text) = params.one("max_age")? {
        let seconds: u32 = text.parse().map_err(|_| {
            RequestRefusal::ParameterInvalid("max_age", "it must be a whole number of seconds")
        })?;
        authn.max_age = Some(Duration::from_secs(seconds.into()));
    }
    for word in params.one("prompt")?.unwrap_or_default().split_ascii_whitespace() {
        let prompt = match word {
            "none" => {
                authn.prompt_none = true;
                continue;
            }
            "login" => Prompt::Login,
            "select_account" => Prompt::SelectAccount,
            "create" => Prompt::Create,
            "consent" => Prompt::Any,
            _ => {
                return Err(RequestRefusal::ParameterInvalid(
                    "prompt",
                    "known values are none, login, consent, select_account and create",
                )
                .into());
            }
        };
        // The strictest wins: a fresh login shows accounts too.
        authn.prompt = match authn.prompt {
            Some(earlier) if earlier != Prompt::Any && prompt != Prompt::Login => Some(earlier),
            _ => Some(prompt),
        };
    }
    if authn.prompt_none && authn.prompt.is_some() {
        return Err(
            RequestRefusal::ParameterInvalid("prompt", "none cannot stand beside another value").into()
        );
    }
    Ok(authn)
}

fn read_consent_items(params: &Params) -> Result<Vec<String>, AuthorizeRefusal> {
    let items = items(params.one("kakao_scope")?.unwrap_or_default());
    if items.len() > MAX_CONSENT_ITEMS || !items.iter().all(|item| is_item(item)) {
        return Err(RequestRefusal::ParameterInvalid("kakao_scope", BAD_CONSENT_ITEMS).into());
    }
    Ok(items)
}

/// Asking for consent needs a page: the browser's session knows nothing of what Kakao would ask.
fn with_consent(authn: AuthnRequirements, items: &[String]) -> Result<AuthnRequirements, AuthorizeRefusal> {
    match items {
        [] => Ok(authn),
        _ if authn.prompt_none => Err(AuthorizeRefusal::ConsentRequired),
        _ => Ok(AuthnRequirements { prompt: authn.prompt.or(Some(Prompt::Any)), ..authn }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::redirect::RedirectUri;

    const ISSUER: &str = "https://auth.example";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn client() -> Client {
        Client {
            redirect_uris: vec![RedirectUri::register("https://app.example/cb").unwrap()],
            scopes: Scope::parse("openid profile").unwrap(),
            audience: vec!["orders".into()],
            ..Client::sample("web")
        }
    }

    /// A good request with these parameters changed; an empty value is an absent one.
    fn params(changes: &[(&str, &str)]) -> Params {
        let mut pairs = vec![
            ("redirect_uri", "https://app.example/cb"),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, _) in changes {
            pairs.retain(|(given, _)| given != name);
        }
        pairs.extend(changes);
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Params::read(query.as_bytes()).unwrap()
    }

    fn refusal(client: &Client, changes: &[(&str, &str)]) -> Option<AuthorizeRefusal> {
        let params = params(changes);
        let target = ClientResponseTarget::prove(client, &params).unwrap();
        AuthorizationRequest::read(&params, ISSUER, client, &target).err()
    }

    #[test]
    fn a_target_is_proven_before_anything_else_is_read() {
        let client = client();
        let prove = |changes: &[(&str, &str)]| ClientResponseTarget::prove(&client, &params(changes)).err();
        assert_eq!(prove(&[("redirect_uri", "")]), Some(AuthorizeRefusal::RedirectUriMissing));
        assert_eq!(
            prove(&[("redirect_uri", "https://app.example/cb/")]),
            Some(AuthorizeRefusal::RedirectUriUnknown)
        );
        let twice = [("redirect_uri", "https://app.example/cb"), ("redirect_uri", "https://app.example/cb")];
        assert_eq!(prove(&twice), Some(AuthorizeRefusal::DuplicateClientOrRedirect("redirect_uri")));
        let target = ClientResponseTarget::prove(
            &client,
            &params(&[("response_mode", "form_post"), ("state", "a"), ("state", "b")]),
        );
        let target = target.unwrap();
        assert_eq!((target.mode, target.state), (ResponseMode::FormPost, None), "nobody knows which state");

        let object = |claims: &str| format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims));
        let elsewhere =
            r#"{"response_mode":"form_post","redirect_uri":"https://evil.example/","state":"other"}"#;
        for (changes, mode) in [
            (vec![("request", object(elsewhere))], ResponseMode::FormPost),
            (vec![("request", object(elsewhere)), ("response_mode", "query".into())], ResponseMode::Query),
            (vec![("request", object(r#"{"response_mode":"fragment"}"#))], ResponseMode::Query),
            (vec![("request", object("[]"))], ResponseMode::Query),
            (vec![("request", "x.y.z".into())], ResponseMode::Query),
            (vec![("request", "x".into())], ResponseMode::Query),
        ] {
            let changes: Vec<(&str, &str)> = changes.iter().map(|(name, value)| (*name, &**value)).collect();
            let target = ClientResponseTarget::prove(&client, &params(&changes)).unwrap();
            assert_eq!(target.mode, mode, "{changes:?}");
            assert_eq!((&*target.redirect_uri, target.state), ("https://app.example/cb", None));
            assert_eq!(refusal(&client, &changes), Some(AuthorizeRefusal::RequestObject));
        }
    }

    #[test]
    fn each_rule_refuses_what_breaks_it() {
        let request = AuthorizeRefusal::Request;
        let access = AuthorizeRefusal::Access;
        let invalid = |name, why| request(RequestRefusal::ParameterInvalid(name, why));
        let (long, items) = ("x".repeat(MAX_ECHO + 1), vec!["friends"; MAX_CONSENT_ITEMS + 1].join(" "));
        let prompts = "known values are none, login, consent, select_account and create";
        let number = "it must be a whole number of seconds";
        for (changes, expected) in [
            (vec![("response_type", "")], request(RequestRefusal::ParameterMissing("response_type"))),
            (vec![("response_type", "token")], AuthorizeRefusal::ResponseTypeUnsupported),
            (vec![("response_mode", "fragment")], invalid("response_mode", "it must be query or form_post")),
            (vec![("request", "eyJ")], AuthorizeRefusal::RequestObject),
            (vec![("request_uri", "https://app.example/r")], AuthorizeRefusal::RequestUri),
            (vec![("registration", "{}")], AuthorizeRefusal::Registration),
            (vec![("state", &*long)], invalid("state", TOO_LONG)),
            (vec![("nonce", &*long)], invalid("nonce", TOO_LONG)),
            (
                vec![("code_challenge", "short")],
                invalid("code_challenge", "it must be 43 to 128 unreserved characters"),
            ),
            (vec![("code_challenge_method", "plain")], AuthorizeRefusal::ChallengeMethodUnsupported),
            (vec![("code_challenge_method", "")], AuthorizeRefusal::ChallengeMethodUnsupported),
            (vec![("code_challenge", "")], request(RequestRefusal::ParameterMissing("code_challenge"))),
            (vec![("code_challenge", ""), ("code_challenge_method", "")], AuthorizeRefusal::ChallengeMissing),
            (vec![("scope", "open\"id")], access(AccessRefusal::ScopeInvalid)),
            (vec![("scope", "unknown")], access(AccessRefusal::ScopeInvalid)),
            (vec![("claims", "[]")], invalid("claims", "it must be a JSON object")),
            (vec![("max_age", "-1")], invalid("max_age", number)),
            (vec![("max_age", "4294967296")], invalid("max_age", number)),
            (vec![("prompt", "sideways")], invalid("prompt", prompts)),
            (vec![("prompt", "none login")], invalid("prompt", "none cannot stand beside another value")),
            (vec![("kakao_scope", "a<b")], invalid("kakao_scope", BAD_CONSENT_ITEMS)),
            (vec![("kakao_scope", &*items)], invalid("kakao_scope", BAD_CONSENT_ITEMS)),
            (vec![("kakao_scope", "friends"), ("prompt", "none")], AuthorizeRefusal::ConsentRequired),
            (vec![("resource", "elsewhere")], access(AccessRefusal::ResourceUnknown)),
        ] {
            assert_eq!(refusal(&client(), &changes), Some(expected), "{changes:?}");
        }
        let without_pkce = [("code_challenge", ""), ("code_challenge_method", "")];
        let sent = |more: &[(&'static str, &'static str)]| [&without_pkce, more].concat();
        let neither = Some(AuthorizeRefusal::ChallengeOrNonceMissing);
        for (require_pkce, changes, expected) in [
            (
                RequirePkce::Always,
                sent(&[("scope", "openid"), ("nonce", "n")]),
                Some(AuthorizeRefusal::ChallengeMissing),
            ),
            (RequirePkce::UnlessNonce, sent(&[("scope", "openid"), ("nonce", "n")]), None),
            (RequirePkce::UnlessNonce, sent(&[("scope", "openid")]), neither.clone()),
            (RequirePkce::UnlessNonce, sent(&[("scope", "profile"), ("nonce", "n")]), neither.clone()),
            (RequirePkce::UnlessNonce, sent(&[("scope", "openid"), ("nonce", "")]), neither),
            (RequirePkce::Never, sent(&[("scope", "profile")]), None),
        ] {
            let client = Client { require_pkce, ..client() };
            assert_eq!(refusal(&client, &changes), expected, "{require_pkce:?} {changes:?}");
        }
        let codeless = Client { grants: vec![GrantType::TokenExchange], ..client() };
        assert_eq!(refusal(&codeless, &[]), Some(access(AccessRefusal::GrantTypeNotAllowed)));
        for name in KNOWN {
            let twice = [(name, "a"), (name, "a")];
            assert_eq!(refusal(&client(), &twice), Some(request(RequestRefusal::ParameterRepeated(name))));
        }
    }

    #[test]
    fn the_sentences_name_the_limits_that_are_checked() {
        assert!(TOO_LONG.contains(&MAX_ECHO.to_string()));
        assert!(BAD_CONSENT_ITEMS.contains(&MAX_CONSENT_ITEMS.to_string()));
    }

    #[test]
    fn the_strictest_prompt_wins() {
        for (text, prompt) in [
            ("login", Prompt::Login),
            ("consent", Prompt::Any),
            ("consent create", Prompt::Create),
            ("select_account login", Prompt::Login),
            ("login select_account", Prompt::Login),
            ("select_account create", Prompt::SelectAccount),
        ] {
            assert_eq!(read_authn(&params(&[("prompt", text)])).unwrap().prompt, Some(prompt), "{text}");
        }
        let asked = with_consent(AuthnRequirements::default(), &["friends".into()]).unwrap();
        assert_eq!(asked.prompt, Some(Prompt::Any), "consent needs a page");
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::domain::redirect::RedirectUri;

    /// No request leads to a redirect that was not registered, or past PKCE.
    #[test]
    fn authorization_requests() {
        let client = Client {
            redirect_uris: vec![RedirectUri::register("https://app.example/cb").unwrap()],
            scopes: Scope::parse("openid profile").unwrap(),
            ..Client::sample("web")
        };
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(params) = Params::read(bytes) else { return };
            let Ok(target) = ClientResponseTarget::prove(&client, &params) else { return };
            assert_eq!(target.redirect_uri, "https://app.example/cb");
            let Ok(request) = AuthorizationRequest::read(&params, "https://auth.example", &client, &target)
            else {
                return;
            };
            assert!(request.binding.challenge.is_some() && request.grant.scope.is_within(&client.scopes));
        });
    }
}
