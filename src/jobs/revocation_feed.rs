//! Reads what ended anywhere, for the revocation feed of this replica.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job};
use crate::flow::revocations;

/// How often the feed looks for what other replicas ended.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let stepping = Arc::clone(context);
    Job::new("revocation_feed", PERIOD, move |_| step(Arc::clone(&stepping)))
        .woken_by(context.deps.signals.revocations.bell())
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    revocations::refresh(&context.deps, &mut context.db()).await?;
    Ok(Again::Later)
}
