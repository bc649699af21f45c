//! Ends the rows of users whose logins have ended.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job, Stop};
use crate::flow::user_endings::end_rows;

const PERIOD: Duration = Duration::from_secs(1);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let bell = context.deps.signals.user_endings.clone();
    let context = Arc::clone(context);
    Job::new("user_endings", PERIOD, move |stop| step(Arc::clone(&context), stop)).woken_by(&bell)
}

async fn step(context: Arc<Context>, stop: Stop) -> Result<Again, Failure> {
    let done = end_rows(&context.deps, &context.pool, || stop.is_now()).await?;
    Ok(if done > 0 { Again::AtOnce } else { Again::Later })
}
