//! `POST /oauth/introspect` (RFC 7662).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::state::State;
use super::{caller, read, run};
use crate::domain::AnyToken;
use crate::flow::refusal::{ClientRefusal, RequestRefusal};
use crate::flow::{self};

pub(super) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    let params = read::form(&request, payload).await?;
    let client = caller::client(&request, &state, &params).await?;
    if client.is_public() {
        // Anyone could name itself so (RFC 7662 §2.1).
        return Err(ClientRefusal::AuthenticationFailed { by_basic: false }.into());
    }
    let shown = AnyToken::new(params.one("token")?.ok_or(RequestRefusal::ParameterMissing("token"))?);
    let found = run::attached(&state, async |deps, db| flow::introspect(deps, db, &client, &shown).await);
    Ok(HttpResponse::Ok().json(found.await?))
}
