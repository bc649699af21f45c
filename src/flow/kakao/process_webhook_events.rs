//! Processes what Kakao's webhooks brought. Each event and its effect are one transaction, and each effect is a function of the
//! event's own time ([`crate::domain::kakao_event`]): a process that dies half-way, an event that comes twice, late or before
//! an older one, all end in the same state.

use futures_util::StreamExt;
use futures_util::stream;
use tracing::{error, info, warn};

use super::tokens;
use super::waiting_events::store_waiting;
use crate::domain::audit::DeletedBy;
use crate::domain::kakao_event::{Effect, Source, effect_of};
use crate::domain::{
    AuditEvent, EndReason, KakaoEvent, OnUnlink, ProfileField, Returning, Timestamp, UserId,
};
use crate::flow::error::chain;
use crate::flow::{Deps, delete_account, outbox};
use crate::store::outbox::{Item, KAKAO_EVENTS, put_user_ending, release};
use crate::store::{self, Db, Pool, Tx, accounts, audit, kakao_links, users};

/// Users whose events are processed at the same time.
const AT_ONCE: usize = 4;

/// How often Kakao is asked about an unlink that it does not know: for six seconds.
const ASKED_AT_MOST: u32 = 3;

/// How often Kakao is asked that does not answer: for about two minutes.
const WAITED_AT_MOST: u32 = 7;

/// What becomes of the access token in the cache.
enum Forget {
    Nothing,
    Older,
    Any,
}

/// What was done with an event, for the row and the audit.
struct Done {
    outcome: &'static str,
    forget: Forget,
}

/// Processes what is due; how many events.
pub async fn process_webhook_events(deps: &Deps, pool: &Pool) -> store::Result<usize> {
    store_waiting(deps, &mut pool.handle()).await?;
    let claimed_at = deps.clock.now();
    let mut due = outbox::claim(deps, &mut pool.handle(), &KAKAO_EVENTS, None).await?;
    let count = due.len();
    // One user's events follow each other.
    due.sort_by_key(|item| (item.payload.user, item.payload.at));
    let of_users: Vec<_> = due.chunk_by(|one, next| one.payload.user == next.payload.user).collect();
    let process = async |events| process(deps, &mut pool.handle(), events, claimed_at).await;
    stream::iter(of_users).for_each_concurrent(AT_ONCE, process).await;
    if count > 0 {
        deps.signals.revocations.ring();
        deps.signals.user_endings.ring();
    }
    Ok(count)
}

async fn process(deps: &Deps, db: &mut Db, events: &[Item<KakaoEvent>], claimed_at: Timestamp) {
    for item in events {
        let noted = if deps.clock.now().since(claimed_at) > KAKAO_EVENTS.claim / 2 {
            // Kakao was slow to answer about others: whoever has time takes the rest.
            release(db, &KAKAO_EVENTS, &item.attempt).await
        } else {
            process_one(deps, db, item).await
        };
        if let Err(error) = noted {
            // The claim runs out, and the event is tried again alone.
            warn!(kind = item.payload.kind, cause = chain(&error), "a Kakao webhook event needs no action");
        }
    }
}

/// An attempt at one event. An error is one that could not be noted.
async fn process_one(deps: &Deps, db: &mut Db, item: &Item<KakaoEvent>) -> store::Result<()> {
    let Item { attempt, payload: event, .. } = item;
    let applied = match is_linked(deps, db, event, attempt.number).await {
        Ok(Linked::AskAgain) => Err("Kakao does not say yet whether the person is linked".to_owned()),
        Ok(linked) => apply(deps, db, item, linked).await.map_err(|error| chain(&error)),
        Err(error) => Err(chain(&error)),
    };
    if let Err(cause) = applied
        && !outbox::fail(deps, db, &KAKAO_EVENTS, attempt, &cause).await?
    {
        error!(kind = event.kind, key = %attempt.key, cause, "a Kakao webhook event was set aside");
    }
    Ok(())
}

/// What Kakao says of a link that it told us was ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    /// The person has linked again, then, if Kakao says when: what was told is older than that.
    Since(Option<Timestamp>),
    /// Kakao says so too, or need not be asked.
    No,
    /// Kakao does not say it yet.
    AskAgain,
}

/// A call of the unlink webhook has no time of its own: one that comes late, or again, would end the login with which the
/// person has come back. So Kakao is asked; an event with a time needs no such question.
async fn is_linked(deps: &Deps, db: &mut Db, event: &KakaoEvent, attempt: u32) -> store::Result<Linked> {
    if event.source != Source::Unlink {
        return Ok(Linked::No);
    }
    let user = users::find_by_kakao_id(db, event.user).await?;
    if user.is_none_or(|user| user.unlinked_at.is_some() || user.deleted_at.is_some()) {
        return Ok(Linked::No);
    }
    match deps.kakao.me_by_admin(event.user).await {
        // Right after an unlink Kakao might not know it everywhere.
        Ok(_) if attempt < ASKED_AT_MOST => Ok(Linked::AskAgain),
        Ok(person) => Ok(Linked::Since(person.connected_at)),
        Err(fault) if fault.is_not_linked() => Ok(Linked::No),
        Err(fault) if fault.may_pass() && attempt < WAITED_AT_MOST => Ok(Linked::AskAgain),
        // Kakao cannot say: what it told stands.
        Err(fault) => {
            info!(fault = fault.id(), "Kakao cannot confirm the unlink; the event is trusted");
            Ok(Linked::No)
        }
    }
}

async fn apply(deps: &Deps, db: &mut Db, item: &Item<KakaoEvent>, linked: Linked) -> store::Result<()> {
    let (event, now) = (&item.payload, deps.clock.now());
    let mut tx = Tx::begin(db).await?;
    let user = kakao_links::of_kakao_id(&mut tx, event.user).await?;
    let done = match user {
        Some(user) if let Linked::Since(at) = linked => linked_again(&mut tx, user, event, at, now).await?,
        None => Done { outcome: "unknown_user", forget: Forget::Nothing },
        Some(user) => take_effect(deps, &mut tx, user, event, now).await?,
    };
    if !store::outbox::done(&mut tx, &KAKAO_EVENTS, &item.attempt, done.outcome, now).await? {
        // The claim was over, and somebody else is at it: what was done here is rolled back.
        return Ok(());
    }
    let record = AuditEvent::KakaoEventProcessed {
        user,
        source: event.source,
        event: event.kind.clone(),
        reason: event.reason.clone(),
        happened_at: event.at,
        outcome: done.outcome,
    };
    audit::record(&mut tx, now, &record).await?;
    // Before the commit: should this process die in between, a token is forgotten once too often rather than never.
    match (user, done.forget) {
        (Some(user), Forget::Any) => tokens::evict(deps, user).await,
        (Some(user), Forget::Older) => tokens::evict_older(deps, user, event.at).await,
        _ => {}
    }
    tx.commit().await?;
    info!(kind = event.kind, outcome = done.outcome, "a Kakao webhook event was processed");
    Ok(())
}

async fn take_effect(
    deps: &Deps,
    tx: &mut Tx<'_>,
    user: UserId,
    event: &KakaoEvent,
    now: Timestamp,
) -> store::Result<Done> {
    let done = |outcome| Ok(Done { outcome, forget: Forget::Nothing });
    let and_forget = |outcome| Ok(Done { outcome, forget: Forget::Older });
    let at = event.at;
    match effect_of(&event.kind) {
        Effect::Note => done("noted"),
        Effect::Unlink if unlink(deps, tx, user, event, now).await? => {
            let outcome =
                if deps.policy.account.on_unlink == OnUnlink::Erase { "erased" } else { "unlinked" };
            Ok(Done { outcome, forget: Forget::Any })
        }
        Effect::Unlink => done("older_than_login"),
        Effect::ForgetTokens => {
            kakao_links::forget_older_token(tx, user, at).await?;
            and_forget("tokens_forgotten")
        }
        Effect::ForgetAccessToken => and_forget("access_token_forgotten"),
        Effect::EndSessions => {
            end_older(tx, user, at, EndReason::KakaoAccount, now).await?;
            done("sessions_ended")
        }
        Effect::Disable => {
            end_older(tx, user, at, EndReason::KakaoAccount, now).await?;
            kakao_links::forget_older_token(tx, user, at).await?;
            and_forget("sessions_ended")
        }
        Effect::DistrustIdentifiers => {
            kakao_links::distrust_identifiers(tx, user, at).await?;
            kakao_links::mark_stale(tx, user, at).await?;
            done("identifiers_distrusted")
        }
        Effect::ReadProfile => {
            kakao_links::mark_stale(tx, user, at).await?;
            done("profile_to_be_read")
        }
        Effect::EraseWithdrawn => {
            kakao_links::erase_fields(tx, user, at, &ProfileField::withdrawn(&event.items)).await?;
            kakao_links::mark_stale(tx, user, at).await?;
            done("withdrawn_erased")
        }
    }
}

/// Ends the link and every login of it; what becomes of the account is the operator's choice. False if the person has logged
/// in since, or was unlinked already.
async fn unlink(
    deps: &Deps,
    tx: &mut Tx<'_>,
    user: UserId,
    event: &KakaoEvent,
    now: Timestamp,
) -> store::Result<bool> {
    if deps.policy.account.on_unlink == OnUnlink::Erase {
        if !accounts::mark_deleted(tx, user, now, Some(event.at)).await? {
            return Ok(false);
        }
        delete_account::note_unlinked(tx, user, now).await?;
        put_user_ending(tx, user, EndReason::Unlinked, now).await?;
        accounts::erase(tx, user, deps.policy.account.returning == Returning::Old).await?;
        let (client, by) = (None, DeletedBy::Unlink);
        audit::record(tx, now, &AuditEvent::UserDeleted { user, client, by }).await?;
        return Ok(true);
    }
    let disable = deps.policy.account.on_unlink == OnUnlink::Disable;
    let reason = event.reason.as_deref().unwrap_or("unknown");
    if !kakao_links::unlink(tx, user, event.at, reason, disable).await? {
        return Ok(false);
    }
    put_user_ending(tx, user, EndReason::Unlinked, now).await?;
    Ok(true)
}

/// The unlink counts for what was there before the person linked again.
async fn linked_again(
    tx: &mut Tx<'_>,
    user: UserId,
    event: &KakaoEvent,
    linked_at: Option<Timestamp>,
    now: Timestamp,
) -> store::Result<Done> {
    if let Some(linked_at) = linked_at {
        let before = linked_at.min(event.at);
        end_older(tx, user, before, EndReason::Unlinked, now).await?;
        kakao_links::forget_older_token(tx, user, before).await?;
    }
    Ok(Done { outcome: "linked_again", forget: Forget::Nothing })
}

/// Ends the logins from before `at`, those that are still to come among them.
async fn end_older(
    tx: &mut Tx<'_>,
    user: UserId,
    at: Timestamp,
    reason: EndReason,
    now: Timestamp,
) -> store::Result<()> {
    users::void_logins(tx, user, at).await?;
    put_user_ending(tx, user, reason, now).await
}
