//! Bounds the living grants of a user at a client (`limits.live_grants`).

use tracing::warn;

use super::end::end;
use crate::domain::{EndReason, Grant};
use crate::flow::{Deps, chain};
use crate::store::{self, Db, grants};

/// Ends the oldest grants of a user at a client that are too many now that this one lives. If that fails, the tokens of this
/// one are given all the same, and the next login does it.
pub(super) async fn end_oldest(deps: &Deps, db: &mut Db, grant: &Grant) {
    if let Err(error) = try_to(deps, db, grant).await {
        warn!(grant = %grant.id, cause = chain(&error), "the oldest grants of a user were not ended");
    }
}

async fn try_to(deps: &Deps, db: &mut Db, grant: &Grant) -> Result<(), store::Error> {
    let most = deps.policy.limits.live_grants;
    for oldest in grants::beyond(db, grant, most, deps.clock.now()).await? {
        end(deps, db, &oldest, EndReason::OverLimit).await?;
    }
    Ok(())
}
