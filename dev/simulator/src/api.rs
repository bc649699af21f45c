//! kapi and the well-known documents.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::faults::{Due, Endpoint, due};
use crate::state::{IssuedToken, State, get, pairs, query};

pub(crate) async fn me(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let mut asked = query(&request);
    asked.extend(pairs(&body));
    state.log(&request, Endpoint::Me, &pairs(&body));
    if let Due::Answer(response) = due(&state, Endpoint::Me).await {
        return response;
    }
    let id = match caller(&state, &request, &asked, Endpoint::Me) {
        Ok(id) => id,
        Err(response) => return response,
    };
    let secure = get(&asked, "secure_resource") == Some("true");
    match state.with(|inner| inner.person_of(id).zip(inner.links.get(&id).cloned())) {
        Some((person, link)) => {
            json_reply(&person.me(id, secure, &rfc3339(link.connected_at), &link.withdrawn))
        }
        None => unauthorized("Bearer", "this access token does not exist"),
    }
}

pub(crate) async fn access_token_info(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.log(&request, Endpoint::AccessTokenInfo, &[]);
    if let Due::Answer(response) = due(&state, Endpoint::AccessTokenInfo).await {
        return response;
    }
    match bearer(&state, &request) {
        Ok(token) => json_reply(
            &json!({ "id": token.id, "expires_in": token.expires_at - state.now(), "app_id": state.app.app_id }),
        ),
        Err(response) => response,
    }
}

pub(crate) async fn userinfo(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.log(&request, Endpoint::Userinfo, &[]);
    if let Due::Answer(response) = due(&state, Endpoint::Userinfo).await {
        return response;
    }
    let found = bearer(&state, &request)
        .map(|token| state.with(|inner| inner.person_of(token.id)).map(|person| (person, token.id)));
    let (person, id) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return unauthorized("Bearer", "this access token does not exist"),
        Err(response) => return response,
    };
    let mut body = Map::new();
    body.insert("sub".into(), json!(id.to_string()));
    if !person.no_account {
        if let Some(nickname) = &person.nickname {
            body.insert("nickname".into(), json!(nickname));
        }
        if let Some(picture) = person.picture_url(false, "110x110") {
            body.insert("picture".into(), json!(picture));
        }
        if let Some(email) = person.email_address() {
            body.insert("email".into(), json!(email));
            body.insert("email_verified".into(), json!(person.trusted_email().is_some()));
        }
    }
    json_reply(&Value::Object(body))
}

pub(crate) async fn jwks(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.log(&request, Endpoint::Jwks, &[]);
    if let Due::Answer(response) = due(&state, Endpoint::Jwks).await {
        return response;
    }
    let keys: Vec<Value> = state.with(|inner| inner.keys.iter().map(crate::keys::Key::jwk).collect());
    json_reply(&json!({ "keys": keys }))
}

pub(crate) async fn discovery(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.log(&request, Endpoint::Discovery, &[]);
    if let Due::Answer(response) = due(&state, Endpoint::Discovery).await {
        return response;
    }
    let base = &state.base_url;
    json_reply(&json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/oauth/authorize"),
        "token_endpoint": format!("{base}/oauth/token"),
        "userinfo_endpoint": format!("{base}/v1/oidc/userinfo"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "request_uri_parameter_supported": false,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["iss", "aud", "sub", "auth_time", "exp", "iat", "nonce", "nickname", "picture", "email"],
    }))
}

/// Where security events come from (Shared Signals).
pub(crate) async fn ssf_configuration(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.log(&request, Endpoint::SsfConfiguration, &[]);
    if let Due::Answer(response) = due(&state, Endpoint::SsfConfiguration).await {
        return response;
    }
    let base = &state.base_url;
    json_reply(&json!({
        "issuer": base,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "delivery_methods_supported": "http://schemas.openid.net/secevent/risc/delivery-method/push",
    }))
}

/// Whom a call is about: the person of a Bearer token, or the one that the admin key names.
pub(crate) fn caller(
    state: &State,
    request: &HttpRequest,
    asked: &[(String, String)],
    endpoint: Endpoint,
) -> Result<i64, HttpResponse> {
    if is_by_admin(request) {
        admin(state, request, endpoint)?;
        let id = get(asked, "target_id").and_then(|id| id.parse::<i64>().ok());
        let Some(id) = id.filter(|_| get(asked, "target_id_type") == Some("user_id")) else {
            return Err(refuse(HttpResponse::BadRequest(), "target_id_type and target_id are required", -2));
        };
        return if state.with(|inner| inner.links.contains_key(&id)) {
            Ok(id)
        } else {
            Err(refuse(HttpResponse::BadRequest(), "NotRegisteredUserException", -101))
        };
    }
    bearer(state, request).map(|token| token.id)
}

fn header(request: &HttpRequest) -> &str {
    request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(crate) fn is_by_admin(request: &HttpRequest) -> bool {
    header(request).starts_with("KakaoAK ")
}

/// Whether the admin key is right, and may use this API.
pub(crate) fn admin(state: &State, request: &HttpRequest, endpoint: Endpoint) -> Result<(), HttpResponse> {
    let key = header(request).strip_prefix("KakaoAK ").unwrap_or_default();
    if key != state.app.admin_key {
        // Kakao repeats the key: whoever logs this body has lost it.
        return Err(unauthorized("KakaoAK", &format!("wrong appKey({key}) format")));
    }
    if state.with(|inner| inner.admin_denied.contains(&endpoint)) {
        return Err(refuse(HttpResponse::Forbidden(), "this admin key may not use this API.", -3));
    }
    Ok(())
}

pub(crate) fn bearer(state: &State, request: &HttpRequest) -> Result<IssuedToken, HttpResponse> {
    let given = header(request).strip_prefix("Bearer ").unwrap_or_default();
    let token = state.with(|inner| inner.access_tokens.get(given).cloned());
    match token {
        Some(token) if token.expires_at > state.now() => Ok(token),
        Some(_) => Err(unauthorized("Bearer", "this access token is already expired")),
        None if given.len() < 20 => {
            Err(refuse(HttpResponse::BadRequest(), "the access token is malformed", -2))
        }
        None => Err(unauthorized("Bearer", "this access token does not exist")),
    }
}

/// RFC 3339, as Kakao writes it.
pub(crate) fn rfc3339(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

pub(crate) fn unauthorized(scheme: &str, message: &str) -> HttpResponse {
    let mut response = HttpResponse::Unauthorized();
    response.insert_header(("WWW-Authenticate", format!("{scheme} error=invalid_token")));
    refuse(response, message, -401)
}

pub(crate) fn refuse(mut response: actix_web::HttpResponseBuilder, message: &str, code: i64) -> HttpResponse {
    response
        .content_type("application/json;charset=UTF-8")
        .body(json!({ "msg": message, "code": code }).to_string())
}

pub(crate) fn json_reply(body: &Value) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json;charset=UTF-8").body(body.to_string())
}
