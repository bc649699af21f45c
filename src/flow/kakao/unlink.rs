//! Tells Kakao of deleted accounts, from an outbox, until it knows: with the person's token while there is one, else with the
//! admin key.

use futures_util::future::join_all;
use tracing::{error, info};

use super::tokens;
use crate::domain::{AuditEvent, KakaoAccessToken, KakaoUnlink, UserId};
use crate::flow::{Deps, outbox};
use crate::kakao::{Fault, FaultKind};
use crate::store::outbox::{Attempt, Item, KAKAO_UNLINKS};
use crate::store::{self, Db, Pool, Tx, audit, kakao_links};

/// Tells Kakao what is due; how many persons are unlinked now.
pub async fn unlink_due(deps: &Deps, pool: &Pool) -> store::Result<usize> {
    let due = outbox::claim(deps, &mut pool.handle(), &KAKAO_UNLINKS, None).await?;
    let outcomes = join_all(due.iter().map(async |item| unlink(deps, &mut pool.handle(), item).await)).await;
    outcomes.into_iter().try_fold(0, |done, outcome| Ok(done + usize::from(outcome?)))
}

async fn unlink(deps: &Deps, db: &mut Db, item: &Item<KakaoUnlink>) -> store::Result<bool> {
    let (user, attempt) = (UserId(item.attempt.key), &item.attempt);
    if kakao_links::returned_since(db, item.payload.kakao_id, attempt.put_at).await? {
        // The person is back: that login must not be undone.
        store::outbox::done(db, &KAKAO_UNLINKS, attempt, "returned", deps.clock.now()).await?;
        return Ok(false);
    }
    match unlink_at_kakao(deps, user, &item.payload).await {
        Ok(how) => {
            tokens::evict(deps, user).await;
            let (now, attempts) = (deps.clock.now(), attempt.number);
            let mut tx = Tx::begin(db).await?;
            if store::outbox::done(&mut tx, &KAKAO_UNLINKS, attempt, how, now).await? {
                let event = AuditEvent::KakaoUnlinkCompleted { user, how, attempts };
                audit::record(&mut tx, now, &event).await?;
                tx.commit().await?;
            }
            info!(%user, how, "unlinked at Kakao");
            Ok(true)
        }
        Err(fault) => {
            fail(deps, db, attempt, &fault).await?;
            Ok(false)
        }
    }
}

/// Unlinks; how. −101, not linked, is done.
async fn unlink_at_kakao(deps: &Deps, user: UserId, unlink: &KakaoUnlink) -> Result<&'static str, Fault> {
    let done = |outcome: Result<(), Fault>, how| match outcome {
        Ok(()) => Ok(how),
        Err(fault) if fault.is_not_linked() => Ok("was not linked"),
        Err(fault) => Err(fault),
    };
    let token = match tokens::cached(deps, user).await {
        Some(cached) => Some(cached.token),
        None => refreshed(deps, user, unlink).await?,
    };
    if let Some(token) = token {
        match done(deps.kakao.unlink(&token).await, "user token") {
            Err(fault) if fault.kind() == FaultKind::StartAgain => {}
            outcome => return outcome,
        }
    }
    done(deps.kakao.unlink_by_admin(unlink.kakao_id).await, "admin key")
}

/// An access token by the refresh token that the account left behind; `None` if Kakao no longer takes it.
async fn refreshed(
    deps: &Deps,
    user: UserId,
    unlink: &KakaoUnlink,
) -> Result<Option<KakaoAccessToken>, Fault> {
    let Some(encrypted) = &unlink.refresh_token else { return Ok(None) };
    let Ok(refresh_token) = tokens::decrypt_refresh_token(deps, unlink.kakao_id, encrypted) else {
        return Ok(None);
    };
    match deps.kakao.refresh(&refresh_token).await {
        Ok(tokens) => {
            // Should the unlink fail now, the next try has it: the refresh token may be spent.
            tokens::cache(deps, user, &tokens.access_token, tokens.expires_in).await;
            Ok(Some(tokens.access_token))
        }
        Err(fault) if fault.may_pass() => Err(fault),
        Err(_) => Ok(None),
    }
}

async fn fail(deps: &Deps, db: &mut Db, attempt: &Attempt, fault: &Fault) -> store::Result<()> {
    let id = fault.id();
    let now = deps.clock.now();
    let mut tx = Tx::begin(db).await?;
    let retried = if fault.kind() == FaultKind::SetupWrong {
        // No other attempt helps: the operator is asked at once.
        store::outbox::set_aside(&mut tx, &KAKAO_UNLINKS, attempt, id, now).await?;
        false
    } else {
        outbox::fail(deps, &mut tx, &KAKAO_UNLINKS, attempt, id).await?
    };
    let (user, attempts) = (UserId(attempt.key), attempt.number);
    if !retried {
        let event = AuditEvent::KakaoUnlinkSetAside { user, fault: id, attempts };
        audit::record(&mut tx, now, &event).await?;
    }
    tx.commit().await?;
    if !retried {
        error!(%user, fault = id, attempts,
            "Kakao could not be told of a deleted account; see: kakao-auth unlinks list");
    }
    Ok(())
}
