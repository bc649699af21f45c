//! `POST /oauth/token` (RFC 6749 §3.2): authenticate the client, then one file per grant of `flow`.

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::read::{self, Unread};
use super::{Shared, detached, error};
use crate::domain::pkce::CodeVerifier;
use crate::domain::{Client, GrantType, Scope, Secret};
use crate::flow::issue::TokenResponse;
use crate::flow::{self, CodeExchange, Error, Params, Refresh, Refusal};

/// The parameters that each grant of this release reads; any parameter twice is an error (RFC 6749 §3.2).
pub(super) async fn post(request: HttpRequest, site: Shared, payload: Payload) -> HttpResponse {
    let params = match read::form(&request, payload).await {
        Ok(params) => params,
        Err(Unread::Refused(refusal)) => return error::oauth_json(&request, &refusal.into()),
        Err(unread) => return error::unread(&request, &unread),
    };
    match answer(&request, &site, &params).await {
        Ok(tokens) => HttpResponse::Ok().insert_header(("Pragma", "no-cache")).json(tokens),
        Err(error) => error::oauth_json(&request, &error),
    }
}

async fn answer(request: &HttpRequest, site: &Shared, params: &Params) -> Result<TokenResponse, Error> {
    if params.any_repeated() {
        return Err(Refusal::ParameterRepeated("a parameter").into());
    }
    let address = read::address(request, &site.trusted_proxies);
    let credentials = read::credentials(request, params)?;
    let grant_type = get(params, "grant_type").ok_or(Refusal::ParameterMissing("grant_type"))?;
    let client = flow::authenticate_client(&site.deps, &credentials, address).await?;
    let served = GrantType::from_name(grant_type)
        .filter(|grant| matches!(grant, GrantType::AuthorizationCode | GrantType::RefreshToken));
    let grant = served.ok_or(Refusal::GrantTypeUnsupported)?;
    if !client.may(grant) {
        return Err(Refusal::GrantNotAllowed.into());
    }
    let site = Arc::clone(site);
    if grant == GrantType::AuthorizationCode {
        let ask = code_exchange(client, params)?;
        detached(async move { flow::exchange_code(&site.deps, ask).await }).await?
    } else {
        let ask = refresh(client, params)?;
        detached(async move { flow::refresh(&site.deps, ask).await }).await?
    }
}

fn code_exchange(client: Arc<Client>, params: &Params) -> Result<CodeExchange, Refusal> {
    let verifier = get(params, "code_verifier").map(CodeVerifier::parse).transpose();
    Ok(CodeExchange {
        client,
        code: Secret::new(get(params, "code").ok_or(Refusal::ParameterMissing("code"))?),
        redirect_uri: get(params, "redirect_uri").map(str::to_owned),
        verifier: verifier.map_err(|_| {
            Refusal::ParameterInvalid("code_verifier", "it must be 43 to 128 unreserved characters")
        })?,
    })
}

fn refresh(client: Arc<Client>, params: &Params) -> Result<Refresh, Refusal> {
    Ok(Refresh {
        client,
        token: Secret::new(get(params, "refresh_token").ok_or(Refusal::ParameterMissing("refresh_token"))?),
        scope: get(params, "scope").map(Scope::parse).transpose().map_err(|_| Refusal::ScopeInvalid)?,
    })
}

/// A parameter already known to stand at most once.
fn get<'a>(params: &'a Params, name: &'static str) -> Option<&'a str> {
    params.one(name).ok().flatten()
}
