//! Whether this process is about to end.

use tokio::sync::watch;

/// Begins once, and does not end before the process does.
#[derive(Default)]
pub(crate) struct Draining(watch::Sender<bool>);

impl Draining {
    /// The process was asked to end: it takes no part in what is to last.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(in crate::flow) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it begins.
    pub(in crate::flow) async fn begins(&self) {
        // The sender outlives its borrower, so this does not fail.
        drop(self.0.subscribe().wait_for(|begun| *begun).await);
    }
}
