//! Reads profiles again that changed at Kakao.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job};
use crate::flow::kakao::profile::read_stale_profiles;

const PERIOD: Duration = Duration::from_secs(1);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let context = Arc::clone(context);
    Job::new("profiles", PERIOD, move |_| step(Arc::clone(&context)))
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    read_stale_profiles(&context.deps, &mut context.db()).await?;
    Ok(Again::Later)
}
