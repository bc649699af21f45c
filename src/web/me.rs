//! `/v1/me`: the person of the access token, and its logins.

use std::sync::Arc;

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{Shared, detached, in_time, read, reply};
use crate::domain::GrantId;
use crate::flow::delete_account::By;
use crate::flow::devices::{self, Which};
use crate::flow::{self, Bearer, Error, Refusal};

async fn caller(request: &HttpRequest, site: &Shared) -> Result<Bearer, Error> {
    let token = read::bearer(request)?;
    in_time(flow::bearer(&site.deps, &mut site.db(), &token)).await
}

/// `GET /v1/me`: what the token's scopes tell, and what is the service's own.
pub(super) async fn profile(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        let caller = caller(&request, &site).await?;
        in_time(flow::userinfo::me(&mut site.db(), &caller)).await
    };
    match flow.await {
        Ok(me) => HttpResponse::Ok().json(me),
        Err(error) => reply::problem(&request, &error),
    }
}

/// `DELETE /v1/me`: the account goes, here and at Kakao.
pub(super) async fn delete(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        let caller = caller(&request, &site).await?;
        let site = Arc::clone(&site);
        detached(
            async move { flow::delete_account(&site.deps, &mut site.db(), caller.user, By::Person).await },
        )
        .await?
    };
    ended(&request, flow.await)
}

/// `GET /v1/me/sessions`
pub(super) async fn sessions(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        let caller = caller(&request, &site).await?;
        in_time(devices::list(&site.deps, &mut site.db(), &caller)).await
    };
    match flow.await {
        Ok(devices) => HttpResponse::Ok().json(json!({ "sessions": devices })),
        Err(error) => reply::problem(&request, &error),
    }
}

/// `DELETE /v1/me/sessions/{id}`
pub(super) async fn end_one(request: HttpRequest, site: Shared, id: Path<String>) -> HttpResponse {
    let flow = async {
        let caller = caller(&request, &site).await?;
        let id = GrantId(id.parse().map_err(|_| Refusal::NotFound)?);
        let site = Arc::clone(&site);
        detached(async move { devices::end_one(&site.deps, &mut site.db(), &caller, id).await }).await?
    };
    ended(&request, flow.await)
}

/// `DELETE /v1/me/sessions`, `DELETE /v1/me/sessions?keep=current`
pub(super) async fn end_many(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        let caller = caller(&request, &site).await?;
        let params = read::query(&request)?;
        let which = match params.one("keep").map_err(|_| Refusal::ParameterRepeated("keep"))? {
            None => Which::All,
            Some("current") => Which::Others,
            Some(_) => return Err(Refusal::ParameterInvalid("keep", "it must be current, or absent").into()),
        };
        let site = Arc::clone(&site);
        detached(async move { devices::end_many(&site.deps, &mut site.db(), &caller, which).await }).await?
    };
    ended(&request, flow.await)
}

fn ended(request: &HttpRequest, outcome: Result<(), Error>) -> HttpResponse {
    match outcome {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => reply::problem(request, &error),
    }
}
