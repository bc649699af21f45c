//! Makes, activates and drops signing keys when they are due, and encrypts anew what an older master key encrypted.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};
use uuid::Uuid;

use super::job::{Again, Context, Failure, Job};
use crate::domain::rotation::Step;
use crate::flow::Deps;
use crate::keys::{self, lifecycle};
use crate::store::Db;
use crate::store::leases::{self, Lease};

const PERIOD: Duration = Duration::from_mins(1);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let context = Arc::clone(context);
    Job::new("signing_keys", PERIOD, move |_| step(Arc::clone(&context)))
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    let steps = keys_once(&context.deps, &mut context.db(), context.holder).await?;
    if let Some(steps) = steps.filter(|steps| !steps.is_empty()) {
        debug!(?steps, "signing keys changed");
    }
    Ok(Again::Later)
}

/// Does what is due, if this replica has the lease; `None` if another has it.
pub async fn keys_once(deps: &Deps, db: &mut Db, holder: Uuid) -> Result<Option<Vec<Step>>, keys::Error> {
    let now = deps.clock.now();
    if !leases::acquire(db, Lease::SigningKeys, holder, now, now + PERIOD * 2).await? {
        return Ok(None);
    }
    let steps = lifecycle::step(db, &deps.keys.master, &deps.keys.policy, now).await?;
    let reencrypted = lifecycle::reencrypt(db, &deps.keys.master).await?;
    if reencrypted.done > 0 {
        info!(reencrypted = reencrypted.done, "stored values were re-encrypted with the current master key");
    }
    Ok(Some(steps))
}
