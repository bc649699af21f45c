//! Refreshes (RFC 6749 §6, RFC 9700 §4.14.2): a counter, not a row per token.
//!
//! The current generation rotates by one conditional UPDATE. The previous one, within the reuse window, gets the current
//! token again, so all racers agree and at most one token lives. Anything older ends the grant. This flow finishes even
//! when the caller hangs up: run it detached.

use std::sync::Arc;

use metrics::counter;

use super::exchange_code::{Ending, end};
use super::gauges::REFRESHES;
use super::issue::{Subject, TokenResponse, issue};
use super::refusal::TokenRefusal;
use super::{Deps, Error};
use crate::domain::access::{self, Basis};
use crate::domain::refresh::{Verdict, judge};
use crate::domain::{Client, EndReason, Rotated, Scope, Secret};
use crate::keys::refresh_token::{self, Presented};
use crate::store::Db;
use crate::store::grants::{self, Rotation};

/// A refresh token and what is asked of it.
pub struct Refresh {
    /// The authenticated client.
    pub client: Arc<Client>,
    /// `refresh_token`
    pub token: Secret,
    /// `scope`: narrower than the grant, or absent for all of it.
    pub scope: Option<Scope>,
    /// `resource`: fewer than were granted, or none for all of them.
    pub resource: Vec<String>,
}

/// Rotates the refresh token and issues new tokens.
///
/// An ID token comes only when `scope` asks for `openid` by name: signing one costs fifteen times as much as the rest.
pub async fn refresh(deps: &Deps, db: &mut Db, ask: Refresh) -> Result<TokenResponse, Error> {
    let Some(presented) = refresh_token::read(&deps.keys.master, ask.token.reveal()) else {
        count("forged");
        return Err(TokenRefusal::RefreshTokenInvalid.into());
    };
    refuse_wider(db, &ask, presented).await?;
    let now = deps.clock.now();
    let rotation = Rotation {
        grant: presented.grant,
        client: &ask.client.id,
        generation: presented.generation,
        idle_expires_at: now + ask.client.lifetimes.refresh_idle,
    };
    let rotated = match grants::rotate(db, &rotation, now).await? {
        Some(rotated) => {
            count("rotated");
            rotated
        }
        None => current_again(deps, db, &ask, presented).await?,
    };
    let scope = access::scope(Basis::Granted(&rotated.scope), ask.scope.as_ref())?;
    let audience = access::audience(&ask.client, &rotated.resource, &ask.resource)?;
    let subject = Subject {
        audience,
        grant: presented.grant,
        user: rotated.user,
        scope: &scope,
        auth_time: rotated.auth_time,
        roles: &rotated.roles,
        generation: rotated.generation,
    };
    let id_token = ask.scope.as_ref().is_some_and(|scope| scope.contains("openid")).then_some(None);
    issue(deps, db, &ask.client, &subject, id_token).await
}

fn count(verdict: &'static str) {
    counter!(REFRESHES, "verdict" => verdict).increment(1);
}

/// RFC 6749 §6, RFC 8707 §2.2: not beyond what was granted. Asked before anything is spent, and only when something narrower
/// was asked for.
async fn refuse_wider(db: &mut Db, ask: &Refresh, presented: Presented) -> Result<(), Error> {
    if ask.scope.is_none() && ask.resource.is_empty() {
        return Ok(());
    }
    let found = grants::find(db, presented.grant).await?;
    let Some(grant) = found.filter(|grant| grant.client == ask.client.id) else { return Ok(()) };
    access::scope(Basis::Granted(&grant.scope), ask.scope.as_ref())?;
    access::audience(&ask.client, &grant.resource, &ask.resource)?;
    Ok(())
}

/// The token could not be rotated: says why, and gives the current one to whoever raced or lost an answer.
async fn current_again(
    deps: &Deps,
    db: &mut Db,
    ask: &Refresh,
    presented: Presented,
) -> Result<Rotated, Error> {
    let Some(grant) = grants::find(db, presented.grant).await? else {
        count(Verdict::Unknown.name());
        return Err(TokenRefusal::RefreshTokenInvalid.into());
    };
    let verdict = judge(
        &grant,
        &ask.client.id,
        presented.generation,
        deps.clock.now(),
        deps.policy.refresh.reuse_window,
    );
    count(verdict.name());
    match verdict {
        Verdict::GiveCurrentAgain => Ok(Rotated {
            user: grant.user,
            scope: grant.scope,
            auth_time: grant.auth_time,
            generation: grant.generation,
            roles: grant.roles,
            resource: grant.resource,
        }),
        Verdict::Replayed => {
            end(deps, db, &ask.client, Ending::of(&grant, EndReason::RefreshReplayed)).await?;
            Err(TokenRefusal::RefreshTokenReplayed.into())
        }
        Verdict::Ended | Verdict::Expired | Verdict::OtherClient | Verdict::Unknown => {
            Err(TokenRefusal::RefreshTokenInvalid.into())
        }
    }
}
