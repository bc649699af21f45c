//! Deleted accounts that are not unlinked at Kakao yet: lists them, and has one retried.

use serde::Serialize;

use crate::domain::{KakaoUnlink, Timestamp, UserId};
use crate::flow::refusal::AccountRefusal;
use crate::flow::{Deps, Error};
use crate::store::outbox::{Item, KAKAO_UNLINKS};
use crate::store::{self, Db};

/// An account that Kakao was not told of yet, as an operator sees it. Times are seconds since the Unix epoch.
#[derive(Debug, Serialize)]
pub(crate) struct PendingUnlink {
    /// Whose it was.
    pub(crate) user: UserId,
    /// When the account was deleted.
    pub(crate) asked_at: i64,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When it is tried next, if it is by itself.
    pub(crate) next_at: Option<i64>,
    /// Since when it waits for the operator.
    pub(crate) dead_at: Option<i64>,
    /// The id of the last fault.
    pub(crate) last_fault: Option<String>,
}

impl From<Item<KakaoUnlink>> for PendingUnlink {
    fn from(item: Item<KakaoUnlink>) -> Self {
        Self {
            user: UserId(item.attempt.key),
            asked_at: item.attempt.put_at.secs(),
            attempts: item.attempt.number,
            next_at: item.set_aside_at.is_none().then(|| item.next_at.secs()),
            dead_at: item.set_aside_at.map(Timestamp::secs),
            last_fault: item.last_error,
        }
    }
}

/// What is not done yet, first what waits for the operator.
pub(crate) async fn pending(db: &mut Db) -> store::Result<Vec<PendingUnlink>> {
    Ok(store::outbox::pending(db, &KAKAO_UNLINKS).await?.into_iter().map(PendingUnlink::from).collect())
}

/// Has one tried again that waits for the operator.
pub(crate) async fn retry(db: &mut Db, user: UserId, now: Timestamp) -> Result<(), Error<AccountRefusal>> {
    let revived = store::outbox::revive(db, &KAKAO_UNLINKS, user.0, now).await?;
    if revived { Ok(()) } else { Err(AccountRefusal::NotFound.into()) }
}

/// The same in a service that runs.
pub(crate) async fn revive(deps: &Deps, db: &mut Db, user: UserId) -> Result<(), Error<AccountRefusal>> {
    retry(db, user, deps.clock.now()).await
}
