//! kapi and the well-known documents.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::faults::{Due, Endpoint, due};
use crate::people::Person;
use crate::state::{IssuedToken, State, get, pairs, query};

pub(crate) async fn me(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let mut asked = query(&request);
    asked.extend(pairs(&body));
    state.log(&request, Endpoint::Me, &pairs(&body));
    if let Due::Answer(response) = due(&state, Endpoint::Me).await {
        return response;
    }
    let (person, id) = match caller(&state, &request, &asked) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let connected_at =
        OffsetDateTime::from_unix_timestamp(1_772_424_306).ok().and_then(|at| at.format(&Rfc3339).ok());
    let secure = get(&asked, "secure_resource") == Some("true");
    json_reply(&person.me(id, secure, &connected_at.unwrap_or_default()))
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
    let (person, id) = match caller(&state, &request, &[]) {
        Ok(found) => found,
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

/// The person of a Bearer token, or the one that the admin key names.
fn caller(
    state: &State,
    request: &HttpRequest,
    asked: &[(String, String)],
) -> Result<(Person, i64), HttpResponse> {
    let header =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(key) = header.strip_prefix("KakaoAK ") {
        if key != state.app.admin_key {
            return Err(unauthorized("KakaoAK", "wrong admin key"));
        }
        let id = get(asked, "target_id").and_then(|id| id.parse::<i64>().ok());
        let person = state.with(|inner| inner.people.iter().find(|person| Some(person.id) == id).cloned());
        return match person {
            Some(person) if get(asked, "target_id_type") == Some("user_id") => {
                let id = person.id;
                Ok((person, id))
            }
            _ => Err(refuse(HttpResponse::BadRequest(), "NotRegisteredUserException", -101)),
        };
    }
    let token = bearer(state, request)?;
    let person = state.with(|inner| inner.people.iter().find(|person| person.slug == token.slug).cloned());
    person
        .map(|person| (person, token.id))
        .ok_or_else(|| unauthorized("Bearer", "this access token does not exist"))
}

fn bearer(state: &State, request: &HttpRequest) -> Result<IssuedToken, HttpResponse> {
    let header =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = header.strip_prefix("Bearer ").unwrap_or_default();
    let token = state.with(|inner| inner.access_tokens.get(given).cloned());
    match token {
        Some(token) if token.expires_at > state.now() => Ok(token),
        Some(_) => Err(unauthorized("Bearer", "this access token is already expired")),
        None => Err(unauthorized("Bearer", "this access token does not exist")),
    }
}

fn unauthorized(scheme: &str, message: &str) -> HttpResponse {
    let mut response = HttpResponse::Unauthorized();
    response.insert_header(("WWW-Authenticate", format!("{scheme} error=invalid_token")));
    refuse(response, message, -401)
}

fn refuse(mut response: actix_web::HttpResponseBuilder, message: &str, code: i64) -> HttpResponse {
    response
        .content_type("application/json;charset=UTF-8")
        .body(json!({ "msg": message, "code": code }).to_string())
}

fn json_reply(body: &Value) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json;charset=UTF-8").body(body.to_string())
}
