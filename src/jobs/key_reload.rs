//! Compares the signing keys in memory with those of the database.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::job::{Again, Context, Failure, Job};
use crate::flow::Deps;
use crate::keys;
use crate::store::Db;

const PERIOD: Duration = Duration::from_secs(2);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let context = Arc::clone(context);
    Job::new("key_reload", PERIOD, move |_| step(Arc::clone(&context)))
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    if reload_keys_once(&context.deps, &mut context.db()).await? {
        info!("signing keys were reloaded");
    }
    Ok(Again::Later)
}

/// Takes over the signing keys that another replica changed; whether any was.
pub async fn reload_keys_once(deps: &Deps, db: &mut Db) -> Result<bool, keys::Error> {
    deps.keys.reload(db, deps.clock.now()).await
}
