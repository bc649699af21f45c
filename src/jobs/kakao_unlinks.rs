//! Has Kakao unlink the accounts that were deleted here.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job};
use crate::flow::kakao::unlink::unlink_due;

const PERIOD: Duration = Duration::from_secs(1);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let context = Arc::clone(context);
    Job::new("kakao_unlinks", PERIOD, move |_| step(Arc::clone(&context)))
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    unlink_due(&context.deps, &context.pool).await?;
    Ok(Again::Later)
}
