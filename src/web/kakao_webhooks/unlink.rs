//! `GET, POST /kakao/webhooks/unlink`

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::DEADLINE;
use crate::domain::Limit;
use crate::flow::kakao::receive_webhook::receive_unlink;
use crate::flow::{Error, Params};
use crate::web::error::describe;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

pub(in crate::web) async fn get(request: HttpRequest, state: State) -> Result<HttpResponse, Reply> {
    receive(&request, &state, read::query(&request)?).await
}

pub(in crate::web) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    receive(&request, &state, read::form_or_json(&request, payload).await?).await
}

async fn receive(request: &HttpRequest, state: &State, params: Params) -> Result<HttpResponse, Reply> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorization = header.map(str::to_owned);
    let received = run::detached(state, DEADLINE, |deps, mut db| async move {
        receive_unlink(&deps, &mut db, authorization.as_deref(), &params).await
    });
    match received.await {
        // Kakao is told that it was heard, whatever happens inside: it is not known to call again.
        Err(Reply::Failed(error @ (Error::Unavailable(_) | Error::Broken(_)))) => {
            describe(request, &error);
        }
        Err(reply) => {
            return Err(caller::failed(state, Limit::Webhook, &State::caller(request, None), reply).await);
        }
        Ok(()) => {}
    }
    Ok(HttpResponse::Ok().finish())
}
