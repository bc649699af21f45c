//! Processes what Kakao's webhooks brought.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Again, Context, Failure, Job};
use crate::flow::kakao::process_webhook_events::process_webhook_events;

/// How often events are looked for that another replica received.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) fn job(context: &Arc<Context>) -> Job {
    let stepping = Arc::clone(context);
    Job::new("webhook_events", PERIOD, move |_| step(Arc::clone(&stepping)))
        .woken_by(context.deps.signals.inbox.bell())
}

async fn step(context: Arc<Context>) -> Result<Again, Failure> {
    let processed = process_webhook_events(&context.deps, &context.pool).await?;
    Ok(if processed == 0 { Again::Later } else { Again::AtOnce })
}
