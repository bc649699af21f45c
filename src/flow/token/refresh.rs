//! Refreshes (RFC 6749 §6, RFC 9700 §4.14.2): a counter, not a row per token.
//!
//! The current generation rotates by one conditional UPDATE. The previous one, within the reuse window, gets the current
//! token again, so all racers agree and at most one token lives. Anything older ends the grant. This flow finishes even
//! when the caller hangs up: run it detached.

use std::sync::Arc;
use std::time::Instant;

use metrics::counter;

use super::end::end;
use super::issue::{IdToken, Issue, TokenResponse, issue};
use super::unanswered::{note_if_unanswered, write_note_of};
use crate::domain::access::{self, Access, Asked};
use crate::domain::refresh::{Verdict, judge};
use crate::domain::unanswered::Unanswered;
use crate::domain::{Client, EndReason, Grant, RefreshToken, Scope, Timestamp};
use crate::flow::gauges::REFRESHES;
use crate::flow::refusal::TokenRefusal;
use crate::flow::{Deps, Error};
use crate::keys::refresh_token::{self, Presented};
use crate::store::grants::{self, Rotation};
use crate::store::{self, Db};

/// A refresh token and what is asked of it.
pub(crate) struct Refresh {
    /// The authenticated client.
    pub(crate) client: Arc<Client>,
    pub(crate) token: RefreshToken,
    /// `scope`: narrower than the grant, or absent for all of it.
    pub(crate) scope: Option<Scope>,
    /// `resource`: fewer than were granted, the issuer for a token for our own API, or none for all that were granted.
    pub(crate) resource: Vec<String>,
}

impl Refresh {
    fn asked(&self) -> Asked<'_> {
        Asked { scope: self.scope.as_ref(), resource: &self.resource }
    }
}

/// Rotates the refresh token and issues new tokens.
///
/// An ID token comes only when `scope` asks for `openid` by name: signing one costs fifteen times as much as the rest.
pub(crate) async fn refresh(
    deps: &Deps,
    db: &mut Db,
    request: Refresh,
) -> Result<TokenResponse, Error<TokenRefusal>> {
    let Some(presented) = refresh_token::read(&deps.keys.master, request.token.reveal()) else {
        count("forged");
        return Err(TokenRefusal::RefreshTokenInvalid.into());
    };
    let (began, now) = (Instant::now(), deps.clock.now());
    let outcome = rotate(deps, db, &request, presented, now).await;
    let note = Unanswered::one(presented.grant, presented.generation.saturating_add(1), now);
    note_if_unanswered(deps, note, began, &outcome).await;
    outcome
}

async fn rotate(
    deps: &Deps,
    db: &mut Db,
    request: &Refresh,
    presented: Presented,
    now: Timestamp,
) -> Result<TokenResponse, Error<TokenRefusal>> {
    refuse_wider(deps, db, request, presented).await?;
    let client = &request.client;
    let rotation = Rotation {
        grant: presented.grant,
        client: &client.id,
        generation: presented.generation,
        idle_expires_at: now + client.lifetimes.refresh_idle,
    };
    let (grant, reused) = match grants::rotate(db, &rotation, now).await? {
        Some(rotated) => {
            count("rotated");
            (rotated, false)
        }
        None => (current_again(deps, db, request, presented).await?, true),
    };
    let grant = left(deps, client, grant)?;
    let Access { scope, audience } =
        access::of_grant(deps.policy.issuer.as_str(), client, &grant, request.asked())?;
    let id_token = request.scope.as_ref().and_then(|scope| IdToken::of_scope(scope, None));
    let tokens =
        issue(deps, db, client, Issue { grant: &grant, scope: &scope, audience: &audience, id_token })
            .await?;
    Ok(tokens.of_reuse(reused))
}

fn count(verdict: &'static str) {
    counter!(REFRESHES, "verdict" => verdict).increment(1);
}

/// RFC 6749 §6, RFC 8707 §2.2: not beyond what was granted. Asked before anything is spent, and only when something narrower
/// was asked for.
async fn refuse_wider(
    deps: &Deps,
    db: &mut Db,
    request: &Refresh,
    presented: Presented,
) -> Result<(), Error<TokenRefusal>> {
    if request.scope.is_none() && request.resource.is_empty() {
        return Ok(());
    }
    let found = grants::find(db, presented.grant).await?;
    let Some(grant) = found.filter(|grant| grant.client == request.client.id) else { return Ok(()) };
    let grant = left(deps, &request.client, grant)?;
    access::of_grant(deps.policy.issuer.as_str(), &request.client, &grant, request.asked())?;
    Ok(())
}

/// What the client may still have of the grant: the settings may have taken something from it since the login.
fn left(deps: &Deps, client: &Client, grant: Grant) -> Result<Grant, TokenRefusal> {
    grant.left_to(client, &deps.policy.issuer).ok_or(TokenRefusal::RefreshTokenInvalid)
}

/// The token could not be rotated: says why, and gives the current one to whoever raced or lost an answer.
async fn current_again(
    deps: &Deps,
    db: &mut Db,
    request: &Refresh,
    presented: Presented,
) -> Result<Grant, Error<TokenRefusal>> {
    let (mut found, mut verdict) = look(deps, db, request, presented).await?;
    if verdict == Verdict::Replayed
        && let Some(grant) = &found
        && write_note_of(deps, db, grant).await?
    {
        // The row says now that its last answer was a 503.
        (found, verdict) = look(deps, db, request, presented).await?;
    }
    count(verdict.name());
    let grant = found.ok_or(TokenRefusal::RefreshTokenInvalid)?;
    match verdict {
        Verdict::GiveCurrentAgain => Ok(grant),
        Verdict::Replayed => {
            end(deps, db, &grant, EndReason::RefreshReplayed).await?;
            Err(TokenRefusal::RefreshTokenReplayed.into())
        }
        Verdict::Ended | Verdict::Expired | Verdict::OtherClient | Verdict::Unknown => {
            Err(TokenRefusal::RefreshTokenInvalid.into())
        }
    }
}

/// The grant, if there is one, and what the token means for it.
async fn look(
    deps: &Deps,
    db: &mut Db,
    request: &Refresh,
    presented: Presented,
) -> Result<(Option<Grant>, Verdict), store::Error> {
    let Some(grant) = grants::find(db, presented.grant).await? else { return Ok((None, Verdict::Unknown)) };
    let (now, window) = (deps.clock.now(), deps.policy.refresh.reuse_window);
    let verdict = judge(&grant, &request.client.id, presented.generation, now, window);
    Ok((Some(grant), verdict))
}
