//! Turns an authorization code into tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).
//!
//! Everything that can be wrong with the request is judged before the code is spent, so that a client may correct it. What
//! spends the code is one conditional statement. This flow finishes even when the caller hangs up: run it detached.

use std::sync::Arc;
use std::time::Instant;

use super::end::end;
use super::issue::{IdToken, Issue, TokenResponse, issue};
use super::live_grants::end_oldest;
use super::unanswered::{note_if_unanswered, write_note_of};
use crate::domain::access::{self, Access, Asked};
use crate::domain::code::{Presented, Verdict, judge};
use crate::domain::pkce::CodeVerifier;
use crate::domain::unanswered::Unanswered;
use crate::domain::{AuthorizationCode, Client, CodeBinding, EndReason, Grant, StoredCode, Timestamp};
use crate::flow::refusal::TokenRefusal;
use crate::flow::{Deps, Error};
use crate::store::Db;
use crate::store::grants::{self, Spending};

/// A code and what must prove it.
pub(crate) struct CodeExchange {
    /// The authenticated client.
    pub(crate) client: Arc<Client>,
    pub(crate) code: AuthorizationCode,
    pub(crate) redirect_uri: Option<String>,
    /// `code_verifier`, already of the right form.
    pub(crate) verifier: Option<CodeVerifier>,
    /// `resource`: fewer than were granted, the issuer for a token for our own API, or none for all that were granted.
    pub(crate) resource: Vec<String>,
}

/// Spends the code and issues its tokens.
pub(crate) async fn exchange_code(
    deps: &Deps,
    db: &mut Db,
    request: CodeExchange,
) -> Result<TokenResponse, Error<TokenRefusal>> {
    let (began, now) = (Instant::now(), deps.clock.now());
    let code = find(deps, db, &request).await?;
    let outcome = give(deps, db, &request, &code, now).await;
    note_if_unanswered(deps, Unanswered::one(code.grant.id, 1, now), began, &outcome).await;
    outcome
}

async fn give(
    deps: &Deps,
    db: &mut Db,
    request: &CodeExchange,
    code: &StoredCode,
    now: Timestamp,
) -> Result<TokenResponse, Error<TokenRefusal>> {
    let client = &request.client;
    verify_redirect_uri(request, &code.binding)?;
    let asked = Asked { scope: None, resource: &request.resource };
    // What a grant is for does not change, so this holds for the spent one too.
    let Access { scope, audience } =
        access::of_grant(deps.policy.issuer.as_str(), client, &code.grant, asked)?;
    let spent = match code.spent_at {
        // Its exchange was answered 503: the grant is what it was then.
        Some(_) => code.grant.clone(),
        None => spend(deps, db, request, now).await?,
    };
    let id_token = IdToken::of_scope(&scope, code.binding.nonce.as_deref());
    let what = Issue { grant: &spent, scope: &scope, audience: &audience, id_token };
    let tokens = issue(deps, db, client, what).await?;
    end_oldest(deps, db, &spent).await;
    Ok(tokens)
}

async fn spend(
    deps: &Deps,
    db: &mut Db,
    request: &CodeExchange,
    now: Timestamp,
) -> Result<Grant, Error<TokenRefusal>> {
    let client = &request.client;
    let spending = Spending {
        code: &request.code.fingerprint(),
        client: &client.id,
        idle_expires_at: now + client.lifetimes.refresh_idle,
        expires_at: now + client.lifetimes.refresh_absolute,
    };
    if let Some(grant) = grants::spend_code(db, &spending, now).await? {
        return Ok(grant);
    }
    // Somebody spent it in between, or its grant has ended: that is what it is judged by now.
    find(deps, db, request).await?;
    Err(TokenRefusal::CodeInvalid.into())
}

/// The code, if its tokens may be given. One that was spent long ago ends its grant.
async fn find(deps: &Deps, db: &mut Db, request: &CodeExchange) -> Result<StoredCode, Error<TokenRefusal>> {
    let (mut code, mut verdict) = look(deps, db, request).await?;
    if matches!(verdict, Verdict::SpentJustNow | Verdict::Replayed)
        && write_note_of(deps, db, &code.grant).await?
    {
        // The row says now that the exchange was answered 503.
        (code, verdict) = look(deps, db, request).await?;
    }
    let refusal = match verdict {
        Verdict::Spend | Verdict::GiveAgain => return Ok(code),
        Verdict::SpentJustNow => TokenRefusal::CodeSpentJustNow,
        Verdict::Replayed => {
            end(deps, db, &code.grant, EndReason::CodeReplayed).await?;
            TokenRefusal::CodeReplayed
        }
        Verdict::VerifierWrong => TokenRefusal::VerifierWrong,
        Verdict::VerifierUnexpected => TokenRefusal::VerifierUnexpected,
        Verdict::Invalid => TokenRefusal::CodeInvalid,
    };
    Err(refusal.into())
}

/// The code, and what it means that it is shown.
async fn look(
    deps: &Deps,
    db: &mut Db,
    request: &CodeExchange,
) -> Result<(StoredCode, Verdict), Error<TokenRefusal>> {
    let code = grants::find_code(db, &request.code.fingerprint()).await?;
    let code = code.ok_or(TokenRefusal::CodeInvalid)?;
    let shown = Presented { client: &request.client.id, verifier: request.verifier.as_ref() };
    let verdict = judge(&code, shown, deps.clock.now(), deps.policy.refresh.reuse_window);
    Ok((code, verdict))
}

/// RFC 6749 §4.1.3.
fn verify_redirect_uri(request: &CodeExchange, binding: &CodeBinding) -> Result<(), TokenRefusal> {
    match &request.redirect_uri {
        // OAuth 2.1 no longer sends it; PKCE binds the code. A client that may go without PKCE must.
        None if binding.challenge.is_some() => Ok(()),
        Some(given) if *given == binding.redirect_uri => Ok(()),
        _ => Err(TokenRefusal::RedirectUriDiffers),
    }
}
