//! Deletes what nobody will ask for again.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;
use uuid::Uuid;

use super::job::{Again, Context, Failure, Job};
use crate::flow::Deps;
use crate::store::leases::{self, Lease};
use crate::store::sweep::{self, Swept};
use crate::store::{Db, Result};

const PERIOD: Duration = Duration::from_mins(1);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let context = Arc::clone(context);
    Job::new("sweep", PERIOD, move |_| step(Arc::clone(&context)))
}

async fn step(context: Arc<Context>) -> std::result::Result<Again, Failure> {
    let swept = sweep_once(&context.deps, &mut context.db(), context.holder).await?;
    debug!(?swept, "swept");
    Ok(if swept.is_some_and(|swept| swept.is_full()) { Again::AtOnce } else { Again::Later })
}

/// Deletes what is over, if this replica has the lease; `None` if another has it.
pub(crate) async fn sweep_once(deps: &Deps, db: &mut Db, holder: Uuid) -> Result<Option<Swept>> {
    let now = deps.clock.now();
    if leases::acquire(db, Lease::Sweep, holder, now, now + PERIOD * 2).await? {
        Ok(Some(sweep::expired(db, now).await?))
    } else {
        Ok(None)
    }
}
