//! Turns an authorization code into tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).
//!
//! The code is spent before it is judged: one that reached the wrong hands must not be usable twice, whatever was wrong
//! the first time. This flow finishes even when the caller hangs up: run it detached.

use std::sync::Arc;

use super::end::end;
use super::issue::{IdToken, Issue, TokenResponse, issue};
use crate::domain::access::{self, Basis};
use crate::domain::pkce::{CodeChallenge, CodeVerifier};
use crate::domain::{AuthorizationCode, Client, CodeBinding, EndReason};
use crate::flow::refusal::TokenRefusal;
use crate::flow::{Deps, Error};
use crate::store::{self, Db, grants};

/// A code and what must prove it.
pub(crate) struct CodeExchange {
    /// The authenticated client.
    pub(crate) client: Arc<Client>,
    pub(crate) code: AuthorizationCode,
    pub(crate) redirect_uri: Option<String>,
    /// `code_verifier`, already of the right form.
    pub(crate) verifier: Option<CodeVerifier>,
    /// `resource`: fewer than were granted, or none for all of them.
    pub(crate) resource: Vec<String>,
}

/// Spends the code and issues its tokens.
pub(crate) async fn exchange_code(
    deps: &Deps,
    db: &mut Db,
    request: CodeExchange,
) -> Result<TokenResponse, Error<TokenRefusal>> {
    let now = deps.clock.now();
    let (hash, client) = (request.code.fingerprint(), &request.client);
    let idle_expires_at = now + client.lifetimes.refresh_idle;
    let Some((grant, binding)) = grants::spend_code(db, &hash, &client.id, now, idle_expires_at).await?
    else {
        return Err(replayed_or_unknown(deps, db, &request).await?.into());
    };
    if let Err(refusal) = judge(&request, &binding) {
        end(deps, db, &grant, EndReason::CodeMisused).await?;
        return Err(refusal.into());
    }
    let scope = access::scope(Basis::Granted(&grant.scope), None)?;
    let audience = access::audience(client, &grant.resource, &request.resource)?;
    let id_token = IdToken::of_scope(&scope, binding.nonce.as_deref());
    Ok(issue(deps, db, client, Issue { grant: &grant, scope: &scope, audience, id_token }).await?)
}

/// RFC 6749 §4.1.3 and RFC 9700 §2.1.1.
fn judge(request: &CodeExchange, binding: &CodeBinding) -> Result<(), TokenRefusal> {
    match &request.redirect_uri {
        // OAuth 2.1 no longer sends it; PKCE binds the code. A client that may go without PKCE must.
        None if binding.challenge.is_some() => {}
        Some(given) if *given == binding.redirect_uri => {}
        _ => return Err(TokenRefusal::RedirectUriDiffers),
    }
    verify_pkce(binding.challenge.as_ref(), request.verifier.as_ref())
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
    request: &CodeExchange,
) -> Result<TokenRefusal, store::Error> {
    let Some(code) = grants::find_code(db, &request.code.fingerprint()).await? else {
        return Ok(TokenRefusal::CodeInvalid);
    };
    let valid = code.grant.client == request.client.id
        && code.spent_at.is_some()
        && verify_pkce(code.binding.challenge.as_ref(), request.verifier.as_ref()).is_ok();
    if !valid {
        return Ok(TokenRefusal::CodeInvalid);
    }
    end(deps, db, &code.grant, EndReason::CodeReplayed).await?;
    Ok(TokenRefusal::CodeReplayed)
}
