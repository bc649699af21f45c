//! Tells Kakao of deleted accounts, from an outbox, until it knows: with the person's token while there is one, else with the
//! admin key.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tracing::{error, info};

use super::kakao::tokens;
use super::refusal::AccountRefusal;
use super::{Deps, Error};
use crate::domain::{KakaoAccessToken, Timestamp, UserId};
use crate::kakao::{Fault, FaultKind};
use crate::store::accounts::{self, MOST_ATTEMPTS, Unlink};
use crate::store::audit::{self, AuditEvent};
use crate::store::kakao_links;
use crate::store::{Db, Pool};

/// How long a claimed entry is nobody else's: longer than its calls may take.
const CLAIM: Duration = Duration::from_mins(2);

/// After a failed try; doubled each time …
const BACK_OFF: Duration = Duration::from_mins(1);

/// … up to this.
const LONGEST_BACK_OFF: Duration = Duration::from_hours(6);

/// Tells Kakao what is due; how many persons are unlinked now.
pub async fn unlink_due(deps: &Deps, pool: &Pool) -> Result<usize, Error> {
    let now = deps.clock.now();
    let due = accounts::claim(&mut pool.handle(), now, now + CLAIM).await?;
    let outcomes = join_all(due.iter().map(async |due| unlink(deps, &mut pool.handle(), due).await)).await;
    outcomes.into_iter().try_fold(0, |done, outcome| Ok(done + usize::from(outcome?)))
}

async fn unlink(deps: &Deps, db: &mut Db, due: &Unlink) -> Result<bool, Error> {
    if kakao_links::returned_since(db, due.kakao_id, due.asked_at).await? {
        // The person is back: that login must not be undone.
        accounts::done(db, due.user, due.asked_at, deps.clock.now()).await?;
        return Ok(false);
    }
    match tell(deps, due).await {
        Ok(how) => {
            tokens::forget(deps, due.user).await;
            accounts::done(db, due.user, due.asked_at, deps.clock.now()).await?;
            info!(user = %due.user, how, "unlinked at Kakao");
            record(deps, db, due, "kakao_unlink.done", json!({ "how": how, "attempts": due.attempts }))
                .await?;
            Ok(true)
        }
        Err(fault) => {
            put_off(deps, db, due, &fault).await?;
            Ok(false)
        }
    }
}

/// Unlinks; how. −101, not linked, is done.
async fn tell(deps: &Deps, due: &Unlink) -> Result<&'static str, Fault> {
    let done = |outcome: Result<(), Fault>, how| match outcome {
        Ok(()) => Ok(how),
        Err(fault) if fault.is_not_linked() => Ok("was not linked"),
        Err(fault) => Err(fault),
    };
    let token = match tokens::cached(deps, due.user).await {
        Some(held) => Some(held.token),
        None => refreshed(deps, due).await?,
    };
    if let Some(token) = token {
        match done(deps.kakao.unlink(&token).await, "user token") {
            Err(fault) if fault.kind() == FaultKind::StartAgain => {}
            outcome => return outcome,
        }
    }
    done(deps.kakao.unlink_by_admin(due.kakao_id).await, "admin key")
}

/// An access token by the refresh token that the account left behind; `None` if Kakao no longer takes it.
async fn refreshed(deps: &Deps, due: &Unlink) -> Result<Option<KakaoAccessToken>, Fault> {
    let Some(sealed) = &due.refresh_token else { return Ok(None) };
    let Ok(refresh_token) = tokens::open_refresh(deps, due.kakao_id, sealed) else { return Ok(None) };
    match deps.kakao.refresh(&refresh_token).await {
        Ok(tokens) => {
            // Should the unlink fail now, the next try has it: the refresh token may be spent.
            tokens::keep(deps, due.user, &tokens.access_token, tokens.expires_in).await;
            Ok(Some(tokens.access_token))
        }
        Err(fault) if fault.may_pass() => Err(fault),
        Err(_) => Ok(None),
    }
}

async fn put_off(deps: &Deps, db: &mut Db, due: &Unlink, fault: &Fault) -> Result<(), Error> {
    let now = deps.clock.now();
    let id = fault.id();
    let dead = due.attempts >= MOST_ATTEMPTS || fault.kind() == FaultKind::SetupWrong;
    let wait = BACK_OFF * 2_u32.saturating_pow(due.attempts.unsigned_abs().saturating_sub(1).min(16));
    let next = now + wait.min(LONGEST_BACK_OFF);
    accounts::put_off(db, due, next, id, dead.then_some(now)).await?;
    if dead {
        error!(user = %due.user, fault = id, attempts = due.attempts, "Kakao could not be told of a deleted account; see: kakao-auth unlinks list");
        return record(deps, db, due, "kakao_unlink.dead", json!({ "fault": id, "attempts": due.attempts }))
            .await;
    }
    info!(user = %due.user, fault = id, attempts = due.attempts, "Kakao was not told of a deleted account yet");
    Ok(())
}

async fn record(
    deps: &Deps,
    db: &mut Db,
    due: &Unlink,
    kind: &'static str,
    detail: serde_json::Value,
) -> Result<(), Error> {
    let event = AuditEvent {
        at: deps.clock.now(),
        kind,
        user: Some(due.user),
        client: None,
        grant: None,
        request_id: None,
        detail,
    };
    Ok(audit::record(db, &event).await?)
}

/// What is not done yet, as an operator sees it: first what waits for them.
pub async fn pending(db: &mut Db) -> Result<Vec<serde_json::Value>, Error> {
    Ok(accounts::pending(db).await?.iter().map(describe).collect())
}

/// Has one tried again that waits for the operator.
pub async fn revive(deps: &Deps, db: &mut Db, user: UserId) -> Result<(), Error> {
    let revived = accounts::revive(db, user, deps.clock.now()).await?;
    if revived { Ok(()) } else { Err(AccountRefusal::NotFound.into()) }
}

/// An entry, as an operator sees it.
pub fn describe(unlink: &Unlink) -> serde_json::Value {
    json!({
        "user": unlink.user,
        "asked_at": unlink.asked_at.secs(),
        "attempts": unlink.attempts,
        "next_at": unlink.dead_at.is_none().then(|| unlink.next_at.secs()),
        "dead_at": unlink.dead_at.map(Timestamp::secs),
        "last_fault": unlink.last_fault,
    })
}
