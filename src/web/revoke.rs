//! `POST /oauth/revoke` (RFC 7009).

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::{Shared, detached, read, reply, token};
use crate::domain::Secret;
use crate::flow::{self, Error, Params, Refusal};

pub(super) async fn post(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    let params = match read::form(&request, payload).await {
        Ok(params) => params,
        Err(unread) => return reply::unread(&request, &unread),
    };
    match answer(&request, &site, &params).await {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(error) => reply::oauth_json(&request, &error),
    }
}

async fn answer(request: &HttpRequest, site: &Shared, params: &Params) -> Result<(), Error> {
    let client = token::client_of(request, site, params).await?;
    let shown = Secret::new(params.one("token")?.ok_or(Refusal::ParameterMissing("token"))?);
    let site = Arc::clone(site);
    detached(async move { flow::revoke(&site.deps, &mut site.db(), &client, &shown).await }).await?
}
