//! Wakes a job of this process before its time.

use std::sync::Arc;

use tokio::sync::Notify;

/// Whoever has something to do for a job rings; whoever rings while nobody listens is heard afterwards, once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the job.
    pub(in crate::flow) fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it rings.
    pub(crate) async fn rings(&self) {
        self.0.notified().await;
    }
}
