//! `POST /kakao/webhooks/account-status`: security event tokens (RFC 8417), pushed (RFC 8935).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::DEADLINE;
use crate::domain::Limit;
use crate::flow::kakao::receive_webhook::receive_events;
use crate::flow::refusal::WebhookRefusal;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

pub(in crate::web) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    let body = read::body(&request, payload).await?;
    let token = String::from_utf8(body.to_vec()).map_err(|_| WebhookRefusal::EventTokenInvalid {
        err: "invalid_request",
        description: "it is no text",
    })?;
    let received = run::detached(&state, DEADLINE, |deps, mut db| async move {
        receive_events(&deps, &mut db, token.trim()).await
    });
    if let Err(reply) = received.await {
        return Err(caller::failed(&state, Limit::Webhook, &State::caller(&request, None), reply).await);
    }
    Ok(HttpResponse::Accepted().finish())
}
