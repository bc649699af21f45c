//! Tells a client about a token (RFC 7662): live or not, and what it says.
//!
//! A token of which the caller is neither client nor audience looks like one that does not exist.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::domain::{AnyToken, Audience, Client, GrantId, Timestamp};
use crate::flow::Deps;
use crate::flow::bearer::VerifiedToken;
use crate::keys::{self, refresh_token};
use crate::store::Db;
use crate::store::grants;

/// The answer (RFC 7662 §2.2).
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Introspection {
    /// `{"active":false}` and nothing else.
    Inactive { active: bool },
    /// What the token says.
    Active(Box<Live>),
}

/// A token that is live.
#[derive(Serialize)]
pub(crate) struct Live {
    active: bool,
    token_type: &'static str,
    iss: String,
    client_id: String,
    sub: String,
    scope: String,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<GrantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
}

const INACTIVE: Introspection = Introspection::Inactive { active: false };

/// Looks at a token for an authenticated client. A store that does not answer is an error, never an answer.
pub(crate) async fn introspect(
    deps: &Deps,
    db: &mut Db,
    caller: &Arc<Client>,
    token: &AnyToken,
) -> Result<Introspection, keys::Error> {
    if refresh_token::is_meant(token.reveal()) {
        return of_refresh_token(deps, db, caller, token).await;
    }
    let Some(claims) = VerifiedToken::read(deps, token) else { return Ok(INACTIVE) };
    let concerned = claims.client_id == caller.id.as_str()
        || claims.aud.contains(caller.id.as_str())
        || caller.audience.iter().any(|mine| claims.aud.contains(mine));
    if !concerned || !claims.is_live(deps, db).await? {
        return Ok(INACTIVE);
    }
    Ok(Introspection::Active(Box::new(Live {
        active: true,
        token_type: "Bearer",
        iss: deps.policy.issuer.as_str().to_owned(),
        client_id: claims.client_id,
        sub: claims.sub,
        scope: claims.scope,
        exp: claims.exp,
        iat: Some(claims.iat),
        aud: Some(claims.aud),
        jti: Some(claims.jti),
        sid: claims.sid,
        auth_time: claims.auth_time,
    })))
}

/// Only its own client learns anything of a refresh token, and only the current one is active.
async fn of_refresh_token(
    deps: &Deps,
    db: &mut Db,
    caller: &Client,
    token: &AnyToken,
) -> Result<Introspection, keys::Error> {
    let Some(presented) = refresh_token::read(&deps.keys.master, token.reveal()) else { return Ok(INACTIVE) };
    let Some(grant) = grants::find(db, presented.grant).await? else { return Ok(INACTIVE) };
    let life = grant.life(deps.clock.now()).filter(|life| life.generation == presented.generation);
    let Some(life) = life.filter(|_| grant.client == caller.id) else { return Ok(INACTIVE) };
    Ok(Introspection::Active(Box::new(Live {
        active: true,
        token_type: "refresh_token",
        iss: deps.policy.issuer.as_str().to_owned(),
        client_id: grant.client.0,
        sub: grant.user.to_string(),
        scope: grant.scope.as_str().to_owned(),
        exp: life.until.secs(),
        iat: Some(life.refreshed_at.secs()),
        aud: None,
        jti: None,
        sid: Some(grant.id),
        auth_time: grant.auth_time.map(Timestamp::secs),
    })))
}
