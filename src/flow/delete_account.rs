//! Deletes an account: its logins end at once, all that is personal goes, the id stays as a tombstone, and Kakao is told by an
//! outbox, however long that takes.

use tracing::info;

use super::refusal::AccountRefusal;
use super::{Deps, Error};
use crate::domain::audit::DeletedBy;
use crate::domain::{AuditEvent, ClientId, EndReason, KakaoUnlink, Returning, Timestamp, UserId};
use crate::store::kakao_links::Link;
use crate::store::outbox::{self, Attempt, KAKAO_UNLINKS, NewItem};
use crate::store::{self, Db, Tx, accounts, audit, kakao_links, users};

/// Who deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The person.
    Person,
    /// A client that may, or the command line.
    Operator(Option<String>),
}

/// Deletes the account of a user, and has Kakao told.
pub(crate) async fn delete_account(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    by: By,
) -> Result<(), Error<AccountRefusal>> {
    delete(db, deps.policy.account.returning, user, by, deps.clock.now()).await?;
    deps.signals.revocations.ring();
    deps.signals.user_endings.ring();
    Ok(())
}

/// The same without a service that runs: backend services hear of it from one that does, by the feed.
pub async fn delete(
    db: &mut Db,
    returning: Returning,
    user: UserId,
    by: By,
    now: Timestamp,
) -> Result<(), Error<AccountRefusal>> {
    let mut tx = Tx::begin(db).await?;
    if !accounts::mark_deleted(&mut tx, user, now, None).await? {
        drop(tx);
        let known = users::find(db, user).await?.is_some();
        return Err(if known { AccountRefusal::UserDeleted } else { AccountRefusal::NotFound }.into());
    }
    put_unlink(&mut tx, user, now).await?;
    outbox::put_user_ending(&mut tx, user, EndReason::AccountDeleted, now).await?;
    accounts::erase(&mut tx, user, returning == Returning::Old).await?;
    let (by, client) = match by {
        By::Person => (DeletedBy::User, None),
        By::Operator(client) => (DeletedBy::Operator, client.map(ClientId)),
    };
    audit::record(&mut tx, now, &AuditEvent::UserDeleted { user, client, by }).await?;
    tx.commit().await?;
    info!(user = %user, ?by, "an account was deleted");
    Ok(())
}

/// Has Kakao told of a deleted account, if it is linked. Whatever was to be told of it before is told with it.
async fn put_unlink(tx: &mut Tx<'_>, user: UserId, now: Timestamp) -> store::Result<()> {
    let link = kakao_links::find(tx, user).await?;
    match link.filter(|link| !link.unlinked) {
        Some(link) => put(tx, user, link, now).await,
        None => Ok(()),
    }
}

/// An account that goes because of an unlink at Kakao: nothing to tell, but for a while it is known that it ended.
pub(super) async fn note_unlinked(tx: &mut Tx<'_>, user: UserId, now: Timestamp) -> store::Result<()> {
    if let Some(link) = kakao_links::find(tx, user).await? {
        put(tx, user, link, now).await?;
        let attempt = Attempt { key: user.0, number: 0, put_at: now };
        outbox::done(tx, &KAKAO_UNLINKS, &attempt, "Kakao told us", now).await?;
    }
    Ok(())
}

async fn put(tx: &mut Tx<'_>, user: UserId, link: Link, now: Timestamp) -> store::Result<()> {
    let Some(kakao_id) = link.kakao_id else { return Ok(()) };
    let unlink = KakaoUnlink { kakao_id, refresh_token: link.refresh_token };
    let new = NewItem { key: user.0, lane: &kakao_id.to_string(), payload: &unlink };
    outbox::put_anew(tx, &KAKAO_UNLINKS, &new, now).await?;
    Ok(())
}
