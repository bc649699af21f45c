//! Writes into the grants which answers were a 503, as soon as the database answers.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job};
use crate::flow::write_unanswered_notes;

/// Clients come back two seconds after a 503: before that their grant must say what happened.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let context = Arc::clone(context);
    Job::new("unanswered", PERIOD, move |_| step(Arc::clone(&context)))
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    write_unanswered_notes(&context.deps, &mut context.db()).await?;
    Ok(Again::Later)
}
