//! Turns an authorization code into tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).
//!
//! The code is spent before it is judged: one that reached the wrong hands must not be usable twice, whatever was wrong
//! the first time. This flow finishes even when the caller hangs up: run it detached.

use std::sync::Arc;

use serde_json::json;
use tracing::warn;

use super::issue::{Subject, TokenResponse, issue};
use super::refusal::TokenRefusal;
use super::{Deps, Error};
use crate::domain::access;
use crate::domain::pkce::{CodeChallenge, CodeVerifier};
use crate::domain::{Client, EndReason, Grant, GrantId, Secret, SpentCode, UserId};
use crate::store::audit::{self, AuditEvent};
use crate::store::grants;
use crate::store::{self, Db};

/// A code and what must prove it.
pub struct CodeExchange {
    /// The authenticated client.
    pub client: Arc<Client>,
    /// `code`
    pub code: Secret,
    /// `redirect_uri`
    pub redirect_uri: Option<String>,
    /// `code_verifier`, already of the right form.
    pub verifier: Option<CodeVerifier>,
    /// `resource`: fewer than were granted, or none for all of them.
    pub resource: Vec<String>,
}

/// Spends the code and issues its tokens.
pub async fn exchange_code(deps: &Deps, db: &mut Db, ask: CodeExchange) -> Result<TokenResponse, Error> {
    let now = deps.clock.now();
    let hash = ask.code.fingerprint();
    let idle = now + ask.client.lifetimes.refresh_idle;
    let Some(spent) = grants::spend_code(db, &hash, &ask.client.id, now, idle).await? else {
        return Err(replayed_or_unknown(deps, db, &ask).await?.into());
    };
    if let Err(refusal) = judge(&ask, &spent) {
        end(
            deps,
            db,
            &ask.client,
            Ending { grant: spent.id, user: spent.user, reason: EndReason::CodeMisused },
        )
        .await?;
        return Err(refusal.into());
    }
    let audience = access::audience(&ask.client, &spent.resource, &ask.resource)?;
    let subject = Subject {
        audience,
        grant: spent.id,
        user: spent.user,
        scope: &spent.scope,
        auth_time: spent.auth_time,
        roles: &spent.roles,
        generation: 1,
    };
    let id_token = spent.scope.contains("openid").then_some(spent.nonce.as_deref());
    issue(deps, db, &ask.client, &subject, id_token).await
}

/// RFC 6749 §4.1.3 and RFC 9700 §2.1.1.
fn judge(ask: &CodeExchange, spent: &SpentCode) -> Result<(), TokenRefusal> {
    match &ask.redirect_uri {
        // OAuth 2.1 no longer sends it; PKCE binds the code. A client that may go without PKCE must.
        None if spent.challenge.is_some() => {}
        Some(given) if *given == spent.redirect_uri => {}
        _ => return Err(TokenRefusal::RedirectUriDiffers),
    }
    verify_pkce(spent.challenge.as_ref(), ask.verifier.as_ref())
}

fn verify_pkce(
    challenge: Option<&CodeChallenge>,
    verifier: Option<&CodeVerifier>,
) -> Result<(), TokenRefusal> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(TokenRefusal::VerifierUnexpected),
        (Some(challenge), Some(verifier)) if challenge.accepts(verifier) => Ok(()),
        (Some(_), _) => Err(TokenRefusal::VerifierWrong),
    }
}

/// A second *valid* use ends the grant and all that came of it (RFC 6749 §4.1.2). One that could not have been valid the
/// first time proves nothing about the tokens, and must not let whoever saw the code end the login.
async fn replayed_or_unknown(
    deps: &Deps,
    db: &mut Db,
    ask: &CodeExchange,
) -> Result<TokenRefusal, store::Error> {
    let Some(grant) = grants::find_by_code(db, &ask.code.fingerprint()).await? else {
        return Ok(TokenRefusal::CodeInvalid);
    };
    let valid = grant.client == ask.client.id
        && grant.code_spent_at.is_some()
        && verify_pkce(grant.challenge.as_ref(), ask.verifier.as_ref()).is_ok();
    if !valid {
        return Ok(TokenRefusal::CodeInvalid);
    }
    end(deps, db, &ask.client, Ending::of(&grant, EndReason::CodeReplayed)).await?;
    Ok(TokenRefusal::CodeReplayed)
}

/// A grant that is to end, and why.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    grant: GrantId,
    user: UserId,
    reason: EndReason,
}

impl Ending {
    pub(super) fn of(grant: &Grant, reason: EndReason) -> Self {
        Self { grant: grant.id, user: grant.user, reason }
    }
}

/// Ends a grant and keeps a record of why; the second to end it records nothing.
pub(super) async fn end(
    deps: &Deps,
    db: &mut Db,
    client: &Client,
    ending: Ending,
) -> Result<(), store::Error> {
    let Ending { grant, user, reason } = ending;
    let now = deps.clock.now();
    if grants::end(db, grant, reason, now).await? {
        warn!(grant = %grant, user = %user, client = %client.id, reason = reason.name(), "a grant was ended");
        let event = AuditEvent {
            at: now,
            kind: "grant.ended",
            user: Some(user),
            client: Some(client.id.clone()),
            grant: Some(grant),
            request_id: None,
            detail: json!({ "reason": reason.name() }),
        };
        deps.signals.revocations.poke();
        audit::record(db, &event).await?;
    }
    Ok(())
}
