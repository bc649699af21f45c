//! `POST /oauth/token` (RFC 6749 §3.2): authenticate the client, then one file of `flow` per grant.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::Reply;
use super::run::{DEADLINE, detached};
use super::state::State;
use super::{caller, read};
use crate::domain::pkce::CodeVerifier;
use crate::domain::{
    AuthorizationCode, Client, GrantType, KakaoAccessToken, KakaoIdToken, Limit, RefreshToken, Scope,
};
use crate::flow::limits::Caller;
use crate::flow::refusal::{AccessRefusal, RequestRefusal, TokenRefusal};
use crate::flow::token::exchange::{ACCESS_TOKEN, ID_TOKEN, Subject};
use crate::flow::token::issue::TokenResponse;
use crate::flow::{self, CodeExchange, KakaoTokenExchange, Params, Refresh};

pub(super) async fn post(
    request: HttpRequest,
    state: State,
    payload: Payload,
) -> Result<HttpResponse, Reply> {
    let params = read::form(&request, payload).await?;
    let grant_type = params.one("grant_type")?;
    let grant_type = grant_type.ok_or(RequestRefusal::ParameterMissing("grant_type"))?;
    let client = caller::client(&request, &state, &params).await?;
    let grant_type = GrantType::from_name(grant_type).ok_or(TokenRefusal::GrantTypeUnsupported)?;
    if !client.may(grant_type) {
        return Err(AccessRefusal::GrantTypeNotAllowed.into());
    }
    let caller = State::caller(&request, None).authenticated(&client);
    let tokens = match issue(&request, &state, client, grant_type, &params).await {
        Ok(tokens) => tokens,
        Err(reply) => return Err(failed(&state, grant_type, &caller, reply, &params).await),
    };
    Ok(HttpResponse::Ok().insert_header((header::PRAGMA, "no-cache")).json(tokens))
}

/// What was refused is counted by grant. Kakao access tokens were, where Kakao was asked.
async fn failed(state: &State, grant: GrantType, caller: &Caller, reply: Reply, params: &Params) -> Reply {
    let limit = match grant {
        GrantType::AuthorizationCode => Limit::AuthorizationCode,
        GrantType::RefreshToken => Limit::RefreshToken,
        GrantType::TokenExchange if params.one("subject_token_type") == Ok(Some(ID_TOKEN)) => {
            Limit::KakaoIdToken
        }
        GrantType::TokenExchange | GrantType::ClientCredentials => return reply,
    };
    caller::failed(state, limit, caller, reply).await
}

async fn issue(
    request: &HttpRequest,
    state: &State,
    client: Arc<Client>,
    grant_type: GrantType,
    params: &Params,
) -> Result<TokenResponse, Reply> {
    match grant_type {
        GrantType::AuthorizationCode => {
            let exchange = code_exchange(client, params)?;
            detached(state, DEADLINE, |deps, mut db| async move {
                flow::exchange_code(&deps, &mut db, exchange).await
            })
            .await
        }
        GrantType::RefreshToken => {
            let exchange = refresh(client, params)?;
            detached(
                state,
                DEADLINE,
                |deps, mut db| async move { flow::refresh(&deps, &mut db, exchange).await },
            )
            .await
        }
        GrantType::ClientCredentials => {
            let scope = scope(params)?;
            Ok(flow::client_credentials(&state.deps, &client, scope.as_ref(), &params.resources())?)
        }
        GrantType::TokenExchange => {
            let caller = State::caller(request, None).authenticated(&client);
            let exchange = kakao_token_exchange(client, params, read::user_agent(request), caller)?;
            detached(state, DEADLINE, |deps, mut db| async move {
                flow::exchange_kakao_token(&deps, &mut db, exchange).await
            })
            .await
        }
    }
}

/// RFC 8693 §2.1, for a token of Kakao's SDK.
fn kakao_token_exchange(
    client: Arc<Client>,
    params: &Params,
    user_agent: Option<String>,
    caller: Caller,
) -> Result<KakaoTokenExchange, TokenRefusal> {
    let missing = |name| RequestRefusal::ParameterMissing(name);
    let token = params.one("subject_token")?.ok_or(missing("subject_token"))?;
    let kind = params.one("subject_token_type")?.ok_or(missing("subject_token_type"))?;
    let nonce = params.one("nonce")?.map(str::to_owned);
    let subject = match kind {
        ID_TOKEN => Subject::IdToken { token: KakaoIdToken::new(token), nonce },
        ACCESS_TOKEN => Subject::AccessToken(KakaoAccessToken::new(token)),
        _ => {
            return Err(RequestRefusal::ParameterInvalid(
                "subject_token_type",
                "it must be urn:ietf:params:oauth:token-type:id_token (Kakao's ID token) or \
                 urn:ietf:params:oauth:token-type:access_token (Kakao's access token)",
            )
            .into());
        }
    };
    if params.one("actor_token")?.is_some() {
        return Err(
            RequestRefusal::ParameterInvalid("actor_token", "nobody acts for somebody else here").into()
        );
    }
    if !matches!(params.one("requested_token_type")?, None | Some(ACCESS_TOKEN)) {
        return Err(RequestRefusal::ParameterInvalid(
            "requested_token_type",
            "it must be urn:ietf:params:oauth:token-type:access_token",
        )
        .into());
    }
    let mut resource = params.resources();
    resource.extend(params.one("audience")?.map(str::to_owned));
    Ok(KakaoTokenExchange { client, subject, scope: scope(params)?, resource, user_agent, caller })
}

fn scope(params: &Params) -> Result<Option<Scope>, TokenRefusal> {
    Ok(params.one("scope")?.map(Scope::parse).transpose().map_err(|_| AccessRefusal::ScopeInvalid)?)
}

fn code_exchange(client: Arc<Client>, params: &Params) -> Result<CodeExchange, TokenRefusal> {
    let verifier = params.one("code_verifier")?.map(CodeVerifier::parse).transpose();
    Ok(CodeExchange {
        client,
        code: AuthorizationCode::new(params.one("code")?.ok_or(RequestRefusal::ParameterMissing("code"))?),
        redirect_uri: params.one("redirect_uri")?.map(str::to_owned),
        verifier: verifier.map_err(|_| {
            RequestRefusal::ParameterInvalid("code_verifier", "it must be 43 to 128 unreserved characters")
        })?,
        resource: params.resources(),
    })
}

fn refresh(client: Arc<Client>, params: &Params) -> Result<Refresh, TokenRefusal> {
    Ok(Refresh {
        client,
        token: RefreshToken::new(
            params.one("refresh_token")?.ok_or(RequestRefusal::ParameterMissing("refresh_token"))?,
        ),
        scope: scope(params)?,
        resource: params.resources(),
    })
}
