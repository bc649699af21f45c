//! `/v1/users`: what siblings ask of a user; `/v1/admin`: what operators do with one; `/v1/nonces`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::{Shared, detached, in_time, read, reply};
use crate::domain::consent::is_item;
use crate::domain::{Secret, UserId};
use crate::flow::bearer::service;
use crate::flow::broker_kakao_token::Ask;
use crate::flow::delete_account::By;
use crate::flow::{self, Error, Refusal, Service, nonces, unlink, users};

/// Of what a sibling needs a token for, in seconds: a Kakao access token lives six hours.
const LONGEST_MIN_TTL: u64 = 3 * 3_600;

/// Unless it says otherwise, a token that does not die on the way.
const DEFAULT_MIN_TTL: u64 = 60;

fn caller(request: &HttpRequest, site: &Shared, scope: &'static str) -> Result<Service, Error> {
    Ok(service(&site.deps, &read::bearer(request)?, scope)?)
}

fn user(id: &str) -> Result<UserId, Refusal> {
    id.parse().map(UserId).map_err(|_| Refusal::NotFound)
}

/// `GET /v1/users/{id}`
pub(super) async fn profile(request: HttpRequest, site: Shared, id: Path<String>) -> HttpResponse {
    let flow = async {
        caller(&request, &site, "users:read")?;
        in_time(users::profile(&mut site.db(), user(&id)?)).await
    };
    match flow.await {
        Ok(user) => HttpResponse::Ok().json(user),
        Err(error) => reply::problem(&request, &error),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenAsk {
    min_ttl: Option<u64>,
    #[serde(default)]
    scopes: Vec<String>,
    refused_token: Option<String>,
}

/// `POST /v1/users/{id}/kakao-token`
pub(super) async fn kakao_token(
    request: HttpRequest,
    site: Shared,
    id: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let asked: TokenAsk = match read::json_body(&request, payload).await {
        Ok(asked) => asked,
        Err(unread) => return reply::unread_problem(&request, &unread),
    };
    let flow = async {
        let caller = caller(&request, &site, "kakao:token")?;
        let ask = ask(user(&id)?, asked)?;
        let site = Arc::clone(&site);
        // Longer than other flows: it may wait for another replica that asks Kakao.
        within_broker(async move { flow::broker_kakao_token(&site.deps, &mut site.db(), &caller, ask).await })
            .await
    };
    match flow.await {
        Ok(token) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(token),
        Err(error) => reply::problem(&request, &error),
    }
}

fn ask(user: UserId, asked: TokenAsk) -> Result<Ask, Refusal> {
    let min_ttl = asked.min_ttl.unwrap_or(DEFAULT_MIN_TTL);
    if min_ttl > LONGEST_MIN_TTL {
        return Err(Refusal::ParameterInvalid("min_ttl", "it must be 0 to 10800 seconds"));
    }
    if asked.scopes.len() > 20 || !asked.scopes.iter().all(|item| is_item(item)) {
        return Err(Refusal::ParameterInvalid(
            "scopes",
            "it must be up to 20 consent items of Kakao, such as talk_message",
        ));
    }
    Ok(Ask {
        user,
        min_ttl: Duration::from_secs(min_ttl),
        scopes: asked.scopes,
        refused: asked.refused_token.map(Secret::new),
    })
}

async fn within_broker<T: Send + 'static>(
    flow: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    use tracing::Instrument;
    let task = tokio::spawn(flow.in_current_span());
    match tokio::time::timeout(Duration::from_secs(12), task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Error::broken(panic)),
        Err(_) => Err(Refusal::KakaoBusy { retry_after: Duration::from_secs(2) }.into()),
    }
}

/// `DELETE /v1/admin/users/{id}`
pub(super) async fn delete(request: HttpRequest, site: Shared, id: Path<String>) -> HttpResponse {
    let flow = async {
        let caller = caller(&request, &site, "admin")?;
        let user = user(&id)?;
        let site = Arc::clone(&site);
        let by = By::Operator(Some(caller.client));
        detached(async move { flow::delete_account(&site.deps, &mut site.db(), user, by).await }).await?
    };
    match flow.await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => reply::problem(&request, &error),
    }
}

/// `GET /v1/admin/kakao-unlinks`
pub(super) async fn unlinks(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        caller(&request, &site, "admin")?;
        in_time(unlink::pending(&mut site.db())).await
    };
    match flow.await {
        Ok(pending) => HttpResponse::Ok().json(json!({ "unlinks": pending })),
        Err(error) => reply::problem(&request, &error),
    }
}

/// `POST /v1/admin/kakao-unlinks/{id}/retry`
pub(super) async fn retry_unlink(request: HttpRequest, site: Shared, id: Path<String>) -> HttpResponse {
    let flow = async {
        caller(&request, &site, "admin")?;
        in_time(unlink::revive(&site.deps, &mut site.db(), user(&id)?)).await
    };
    match flow.await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => reply::problem(&request, &error),
    }
}

/// `POST /v1/nonces`
pub(super) async fn nonce(request: HttpRequest, site: Shared) -> HttpResponse {
    match nonces::issue(&site.deps) {
        Ok(nonce) => HttpResponse::Created().json(nonce),
        Err(error) => reply::problem(&request, &error),
    }
}
