//! A person's own logins: the list of sessions, ending one, ending all others, ending all.

use serde::Serialize;
use tracing::info;

use super::logout::end_session;
use super::refusal::{AccountRefusal, BearerRefusal};
use super::token::end::end;
use super::{Bearer, Deps, Error};
use crate::domain::audit::LogoutReach;
use crate::domain::{AuditEvent, EndReason, GrantId, GrantSummary, Timestamp};
use crate::store::outbox::put_user_ending;
use crate::store::{self, Db, Tx, audit, browser_sessions, grants, users};

/// A login, as its person sees it.
#[derive(Serialize)]
pub(crate) struct SessionEntry {
    /// Ends it: `DELETE /v1/me/sessions/{id}`.
    pub(crate) id: GrantId,
    /// At which client.
    pub(crate) client_id: String,
    /// That client's name.
    pub(crate) client_name: Option<String>,
    /// The browser, as it named itself.
    pub(crate) user_agent: Option<String>,
    /// When it began, seconds since the epoch.
    pub(crate) created_at: i64,
    /// When it was last refreshed, seconds since the epoch.
    pub(crate) last_used_at: i64,
    /// The one that asks.
    pub(crate) current: bool,
}

/// Which logins to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All, the one that asks among them.
    All,
    /// All but the one that asks and those of its browser.
    Others,
}

/// The living logins of the caller, the last used first.
pub(crate) async fn list(
    deps: &Deps,
    db: &mut Db,
    caller: &Bearer,
) -> Result<Vec<SessionEntry>, store::Error> {
    let logins = grants::of_user(db, caller.user, deps.clock.now()).await?;
    let entry = |login: GrantSummary| SessionEntry {
        id: login.id,
        client_name: deps.clients.find(login.client.as_str()).map(|client| client.name.clone()),
        client_id: login.client.0,
        user_agent: login.user_agent,
        created_at: login.created_at.secs(),
        last_used_at: login.last_used_at.secs(),
        current: login.id == caller.grant,
    };
    Ok(logins.into_iter().map(entry).collect())
}

/// Ends one of the caller's logins, with the browser session that it belongs to: else that browser would be back without a
/// page.
pub(crate) async fn end_one(
    deps: &Deps,
    db: &mut Db,
    caller: &Bearer,
    id: GrantId,
) -> Result<(), Error<AccountRefusal>> {
    let login = grants::of_user_by_id(db, caller.user, id).await?.ok_or(AccountRefusal::NotFound)?;
    if let Some(session) = login.session {
        return Ok(end_session(deps, db, caller.user, session).await?);
    }
    let grant = grants::find(db, id).await?.ok_or(AccountRefusal::NotFound)?;
    Ok(end(deps, db, &grant, EndReason::LoggedOut).await?)
}

/// Ends the caller's other logins, or all of them: one row, however many there are, in one transaction.
pub(crate) async fn end_many(
    deps: &Deps,
    db: &mut Db,
    caller: &Bearer,
    which: Which,
) -> Result<(), Error<BearerRefusal>> {
    let (user, now) = (caller.user, deps.clock.now());
    let mut tx = Tx::begin(db).await?;
    // Later than whatever ended them before: what was kept then is not kept now.
    let valid_from = users::lock(&mut tx, user).await?;
    let at = valid_from.map_or(now, |from| from.max(now)).just_after();
    let reach = match which {
        Which::All => {
            users::void_logins(&mut tx, user, at).await?;
            LogoutReach::Everywhere
        }
        Which::Others => {
            end_others(&mut tx, caller, at).await?;
            LogoutReach::Elsewhere
        }
    };
    put_user_ending(&mut tx, user, EndReason::LoggedOut, now).await?;
    audit::record(&mut tx, now, &AuditEvent::UserLoggedOut { user, reach, grants: None }).await?;
    tx.commit().await?;
    deps.signals.revocations.ring();
    deps.signals.user_endings.ring();
    info!(%user, ?reach, "logged out");
    Ok(())
}

/// Voids the logins of the caller from before `at`, as the end of all does, so that one with which Kakao is not done yet is
/// void too; those of the caller's browser are kept by moving them to that time. Tokens are not voided, for the kept ones go
/// on: the feed tells of each grant when its row is ended.
async fn end_others(tx: &mut Tx<'_>, caller: &Bearer, at: Timestamp) -> Result<(), Error<BearerRefusal>> {
    // Whoever ended all logins meanwhile has ended this one too.
    let kept = grants::of_user_by_id(tx, caller.user, caller.grant).await?;
    let kept = kept.ok_or(BearerRefusal::TokenInvalid)?;
    if let Some(session) = kept.session {
        browser_sessions::keep(tx, session, at).await?;
    }
    grants::keep(tx, &kept, at).await?;
    users::void_other_logins(tx, caller.user, at).await?;
    Ok(())
}
