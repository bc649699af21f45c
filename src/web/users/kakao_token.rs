//! `POST /v1/users/{id}/kakao-token`

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::domain::consent::{MAX_CONSENT_ITEMS, is_item};
use crate::domain::{KakaoAccessToken, UserId};
use crate::flow;
use crate::flow::kakao::broker::KakaoTokenRequest;
use crate::flow::refusal::RequestRefusal;
use crate::web::reply::Reply;
use crate::web::state::State;
use crate::web::{caller, read, run};

/// The most that `min_ttl` may ask for, seconds: a Kakao access token lives six hours.
const LONGEST_MIN_TTL: u64 = 3 * 3_600;

const _: () = assert!(LONGEST_MIN_TTL == 10_800 && MAX_CONSENT_ITEMS == 20, "the sentences below say so");

/// Unless the caller says otherwise, a token that does not expire on the way, seconds.
const DEFAULT_MIN_TTL: u64 = 60;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    min_ttl: Option<u64>,
    #[serde(default)]
    scopes: Vec<String>,
    refused_token: Option<String>,
}

pub(in crate::web) async fn post(
    request: HttpRequest,
    state: State,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    let body: Body = read::json_body(&request, payload).await?;
    let caller = caller::client_itself(&request, &state, "kakao:token")?;
    let request = body.into_request(read::user_id(&id)?)?;
    // It may wait for another replica that asks Kakao.
    let token = run::detached(&state, run::KAKAO_DEADLINE, |deps, mut db| async move {
        flow::broker_kakao_token(&deps, &mut db, &caller, request).await
    })
    .await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(token))
}

impl Body {
    fn into_request(self, user: UserId) -> Result<KakaoTokenRequest, RequestRefusal> {
        let min_ttl = self.min_ttl.unwrap_or(DEFAULT_MIN_TTL);
        if min_ttl > LONGEST_MIN_TTL {
            return Err(RequestRefusal::ParameterInvalid("min_ttl", "it must be 0 to 10800 seconds"));
        }
        if self.scopes.len() > MAX_CONSENT_ITEMS || !self.scopes.iter().all(|item| is_item(item)) {
            return Err(RequestRefusal::ParameterInvalid(
                "scopes",
                "it must be up to 20 consent items of Kakao, such as talk_message",
            ));
        }
        Ok(KakaoTokenRequest {
            user,
            min_ttl: Duration::from_secs(min_ttl),
            scopes: self.scopes,
            refused: self.refused_token.map(KakaoAccessToken::new),
        })
    }
}
