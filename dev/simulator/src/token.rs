//! `POST /oauth/token` and `POST /oauth/tokeninfo`.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::faults::{Due, Endpoint, Forgery, due};
use crate::keys::{Key, opaque, signing_input};
use crate::state::{IssuedToken, State, get, pairs};

/// Access tokens of a REST API key.
const ACCESS_SECONDS: i64 = 21_599;
/// Access tokens of a native app key.
const SDK_ACCESS_SECONDS: i64 = 43_199;
/// Refresh tokens.
const REFRESH_SECONDS: i64 = 5_183_999;
/// With less left, a refresh brings a new refresh token.
const MONTH: i64 = 30 * 86_400;

type Reply = Result<Value, HttpResponse>;

pub(crate) async fn post(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let form = pairs(&body);
    state.log(&request, Endpoint::Token, &form);
    let forgery = match due(&state, Endpoint::Token).await {
        Due::Answer(response) => return response,
        Due::Forge(forgery) => Some(forgery),
        Due::Redirect(..) | Due::Nothing => None,
    };
    let reply = authenticate(&state, &form).and_then(|client_id| match get(&form, "grant_type") {
        Some("authorization_code") => code_grant(&state, &form, client_id, forgery),
        Some("refresh_token") => refresh_grant(&state, &form, client_id),
        _ => Err(refuse(
            HttpResponse::BadRequest(),
            "unsupported_grant_type",
            "unsupported grant_type",
            "KOE310",
        )),
    });
    match reply {
        Ok(body) => HttpResponse::Ok().content_type("application/json;charset=UTF-8").body(body.to_string()),
        Err(response) => response,
    }
}

fn refuse(mut status: HttpResponseBuilder, error: &str, description: &str, code: &str) -> HttpResponse {
    status
        .content_type("application/json;charset=UTF-8")
        .body(json!({ "error": error, "error_description": description, "error_code": code }).to_string())
}

/// `client_secret_post` only: what stands in an Authorization header is not looked at.
fn authenticate<'a>(state: &State, form: &'a [(String, String)]) -> Result<&'a str, HttpResponse> {
    let app = &state.app;
    let Some(client_id) = get(form, "client_id") else {
        return Err(refuse(
            HttpResponse::Unauthorized(),
            "invalid_client",
            "Not exist client_id [null]",
            "KOE101",
        ));
    };
    if client_id == app.native_app_key || client_id == app.javascript_key {
        return Ok(client_id);
    }
    if client_id != app.rest_api_key {
        let description = format!("Not exist client_id [{client_id}]");
        return Err(refuse(HttpResponse::Unauthorized(), "invalid_client", &description, "KOE101"));
    }
    let needed = state.with(|inner| inner.secret_required);
    if needed && get(form, "client_secret") != Some(app.client_secret.as_str()) {
        return Err(refuse(
            HttpResponse::Unauthorized(),
            "invalid_client",
            "Bad client credentials",
            "KOE010",
        ));
    }
    Ok(client_id)
}

fn code_grant(state: &State, form: &[(String, String)], client_id: &str, forgery: Option<Forgery>) -> Reply {
    let given = get(form, "code").unwrap_or_default();
    let now = state.now();
    let spent = state.with(|inner| inner.codes.remove(given));
    let Some(code) = spent.filter(|code| code.client_id == client_id && code.expires_at > now) else {
        let description = format!("authorization code not found for code={given}");
        return Err(refuse(HttpResponse::BadRequest(), "invalid_grant", &description, "KOE320"));
    };
    if get(form, "redirect_uri") != Some(code.redirect_uri.as_str()) {
        return Err(refuse(HttpResponse::BadRequest(), "invalid_grant", "Redirect URI mismatch.", "KOE303"));
    }
    if let Some(challenge) = &code.challenge {
        let fits = get(form, "code_verifier").is_some_and(|verifier| {
            URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == *challenge
        });
        if !fits {
            let mut body = json!({ "error": "invalid_grant", "error_description": "code_verifier mismatch" });
            if state.with(|inner| inner.unconfirmed.pkce_failure_has_code) {
                body["error_code"] = json!("KOE320");
            }
            return Err(HttpResponse::BadRequest().json(body));
        }
    }
    let token = IssuedToken {
        client_id: code.client_id,
        slug: code.slug,
        id: code.id,
        with_id_token: code.with_id_token,
        expires_at: now + ACCESS_SECONDS,
        auth_time: code.auth_time,
    };
    count(state, token.id, true)?;
    let items = state.with(|inner| {
        inner.link(&token.slug, token.id, &code.items, now);
        inner.granted(token.id)
    });
    let mut body = issue(state, &token)?;
    let refresh_token = opaque(34);
    let refresh = IssuedToken { expires_at: now + REFRESH_SECONDS, ..token.clone() };
    state.with(|inner| inner.refresh_tokens.insert(refresh_token.clone(), refresh));
    body.insert("refresh_token".into(), json!(refresh_token));
    body.insert("refresh_token_expires_in".into(), json!(REFRESH_SECONDS));
    let openid = token.with_id_token.then(|| "openid".to_owned());
    let scope: Vec<String> = items.into_iter().chain(openid).collect();
    body.insert("scope".into(), json!(scope.join(" ")));
    if token.with_id_token {
        let id_token = id_token(state, &token, code.nonce.as_deref(), forgery);
        body.insert("id_token".into(), json!(id_token));
    }
    Ok(Value::Object(body))
}

fn refresh_grant(state: &State, form: &[(String, String)], client_id: &str) -> Reply {
    let Some(given) = get(form, "refresh_token") else {
        return Err(refuse(
            HttpResponse::BadRequest(),
            "invalid_grant",
            "refresh_token is missing",
            "KOE319",
        ));
    };
    let now = state.now();
    let found = state.with(|inner| inner.refresh_tokens.get(given).cloned());
    let Some(old) = found.filter(|token| token.client_id == client_id && token.expires_at > now) else {
        let description = "expired_or_invalid_refresh_token";
        return Err(refuse(HttpResponse::BadRequest(), "invalid_grant", description, "KOE322"));
    };
    let token = IssuedToken { expires_at: now + ACCESS_SECONDS, ..old.clone() };
    let mut body = issue(state, &token)?;
    if old.expires_at - now < MONTH {
        count(state, token.id, true)?;
        let fresh = opaque(34);
        let replacement = IssuedToken { expires_at: now + REFRESH_SECONDS, ..old };
        state.with(|inner| {
            inner.refresh_tokens.remove(given);
            inner.refresh_tokens.insert(fresh.clone(), replacement);
        });
        body.insert("refresh_token".into(), json!(fresh));
        body.insert("refresh_token_expires_in".into(), json!(REFRESH_SECONDS));
    }
    if token.with_id_token {
        body.insert("id_token".into(), json!(id_token(state, &token, None, None)));
    }
    Ok(Value::Object(body))
}

/// 20 access tokens in ten minutes and 30 refresh tokens in an hour, for each person.
fn count(state: &State, id: i64, refresh: bool) -> Result<(), HttpResponse> {
    let now = state.now();
    let (within, status) =
        state.with(|inner| (inner.count_token(id, now, refresh), inner.unconfirmed.koe237_status));
    if within {
        return Ok(());
    }
    let status = if status == 429 { HttpResponse::TooManyRequests() } else { HttpResponse::BadRequest() };
    Err(refuse(status, "invalid_request", "token request rate limit exceeded.", "KOE237"))
}

fn issue(state: &State, token: &IssuedToken) -> Result<Map<String, Value>, HttpResponse> {
    count(state, token.id, false)?;
    let access_token = opaque(40);
    let now = state.now();
    state.with(|inner| inner.note(now, Some(token.id), "access token issued"));
    state.with(|inner| {
        inner.make_room();
        inner.access_tokens.insert(access_token.clone(), token.clone());
    });
    let mut body = Map::new();
    body.insert("token_type".into(), json!("bearer"));
    body.insert("access_token".into(), json!(access_token));
    body.insert("expires_in".into(), json!(ACCESS_SECONDS));
    Ok(body)
}

/// The tokens that Kakao's mobile SDK would have after a login of this person.
pub(crate) fn sdk_login(
    state: &State,
    slug: &str,
    client_id: &str,
    nonce: Option<&str>,
    forgery: Option<Forgery>,
) -> SdkTokens {
    let now = state.now();
    let (id, with_id_token) = state.with(|inner| {
        let person = inner.people.iter().find(|person| person.slug == slug).cloned();
        let id = person.map_or(0, |person| inner.id_of(&person));
        inner.link(slug, id, &[], now);
        (id, inner.oidc)
    });
    let token = IssuedToken {
        client_id: client_id.to_owned(),
        slug: slug.to_owned(),
        id,
        with_id_token,
        expires_at: now + SDK_ACCESS_SECONDS,
        auth_time: now,
    };
    let (access_token, refresh_token) = (opaque(40), opaque(34));
    let refresh = IssuedToken { expires_at: now + REFRESH_SECONDS, ..token.clone() };
    state.with(|inner| {
        inner.access_tokens.insert(access_token.clone(), token.clone());
        inner.refresh_tokens.insert(refresh_token.clone(), refresh);
        inner.note(now, Some(id), "logged in by an SDK");
    });
    let id_token = with_id_token.then(|| id_token(state, &token, nonce, forgery));
    SdkTokens { id, access_token, refresh_token, id_token }
}

/// What Kakao's mobile SDK has after a login.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SdkTokens {
    /// The member number.
    pub id: i64,
    /// Opaque.
    pub access_token: String,
    /// Opaque.
    pub refresh_token: String,
    /// When the app uses OpenID Connect.
    pub id_token: Option<String>,
}

fn id_token(state: &State, token: &IssuedToken, nonce: Option<&str>, forgery: Option<Forgery>) -> String {
    let now = state.now();
    let Some((key, person)) = state.with(|inner| {
        let person = inner.person_of(token.id);
        inner.keys.first().cloned().zip(person)
    }) else {
        return String::new();
    };
    let mut claims = json!({
        "iss": state.base_url, "aud": token.client_id, "sub": token.id.to_string(),
        "iat": now, "exp": token.expires_at, "auth_time": token.auth_time,
    });
    let mut tell = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            claims[name] = json!(value);
        }
    };
    tell("nonce", nonce.map(str::to_owned));
    if !person.no_account {
        tell("nickname", person.nickname.clone());
        tell("picture", person.picture_url(false, "110x110"));
        tell("email", person.trusted_email().map(str::to_owned));
    }
    let mut header = json!({ "kid": key.kid, "typ": "JWT", "alg": "RS256" });
    match forgery {
        None => key.sign(&header, &claims),
        Some(forgery) => forge(forgery, &key, &mut header, claims, now),
    }
}

fn forge(forgery: Forgery, key: &Key, header: &mut Value, mut claims: Value, now: i64) -> String {
    match forgery {
        Forgery::AlgNone => {
            header["alg"] = json!("none");
            return format!("{}.", signing_input(header, &claims));
        }
        Forgery::Hs256WithPublicKey => {
            header["alg"] = json!("HS256");
            let input = signing_input(header, &claims);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.modulus()), input.as_bytes());
            return format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        }
        Forgery::StrangeKey => {
            return Key::generate().map(|strange| strange.sign(header, &claims)).unwrap_or_default();
        }
        Forgery::Garbage => return "not.a.token".to_owned(),
        Forgery::UnknownKid => header["kid"] = json!("0".repeat(30)),
        Forgery::NoKid => *header = json!({ "typ": "JWT", "alg": "RS256" }),
        Forgery::Crit => header["crit"] = json!(["b64"]),
        Forgery::Issuer => claims["iss"] = json!("https://kauth.evil.example"),
        Forgery::Audience => claims["aud"] = json!("another-app"),
        Forgery::Nonce => claims["nonce"] = json!("another-login"),
        Forgery::NoNonce => remove(&mut claims, "nonce"),
        Forgery::Expired => claims["exp"] = json!(now - 3_600),
        Forgery::ExpText => claims["exp"] = json!((now + 3_600).to_string()),
        Forgery::NoSub => remove(&mut claims, "sub"),
        Forgery::OtherSub => claims["sub"] = json!("4400000001"),
    }
    key.sign(header, &claims)
}

fn remove(claims: &mut Value, name: &str) {
    if let Value::Object(members) = claims {
        members.remove(name);
    }
}

/// For debugging, as at Kakao: the payload, unverified.
pub(crate) async fn info(body: Bytes) -> HttpResponse {
    let form = pairs(&body);
    let payload = get(&form, "id_token")
        .and_then(|token| token.split('.').nth(1))
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    match payload {
        Some(payload) => HttpResponse::Ok().json(payload),
        None => refuse(HttpResponse::BadRequest(), "invalid_token", "invalid id_token", "KOE400"),
    }
}
