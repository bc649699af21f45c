//! Tells clients of grants that ended.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job};
use crate::flow::backchannel_logout;

const PERIOD: Duration = Duration::from_secs(1);

/// None if no client wants to be told.
pub(super) fn job(context: &Arc<Context>) -> Option<Job> {
    let context = Arc::clone(context);
    backchannel_logout::is_wanted(&context.deps)
        .then(|| Job::new("backchannel_logout", PERIOD, move |_| step(Arc::clone(&context))))
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    backchannel_logout::notify_clients(&context.deps, &context.pool).await?;
    Ok(Again::Later)
}
