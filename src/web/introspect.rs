//! `POST /oauth/introspect` (RFC 7662).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::{Shared, read, reply, token};
use crate::domain::Secret;
use crate::flow::introspect::Introspection;
use crate::flow::{self, Error, Params, Refusal};

pub(super) async fn post(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    let params = match read::form(&request, payload).await {
        Ok(params) => params,
        Err(unread) => return reply::unread(&request, &unread),
    };
    match answer(&request, &site, &params).await {
        Ok(found) => HttpResponse::Ok().json(found),
        Err(error) => reply::oauth_json(&request, &error),
    }
}

async fn answer(request: &HttpRequest, site: &Shared, params: &Params) -> Result<Introspection, Error> {
    let client = token::client_of(request, site, params).await?;
    if client.is_public() {
        // Anyone could name itself so (RFC 7662 §2.1).
        return Err(Refusal::ClientUnproven { by_basic: false }.into());
    }
    let shown = Secret::new(params.one("token")?.ok_or(Refusal::ParameterMissing("token"))?);
    super::in_time(flow::introspect(&site.deps, &mut site.db(), &client, &shown)).await
}
