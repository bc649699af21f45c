//! This replica's copy of the revocation feed, and what it was made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, MutexGuard, watch};

use super::bell::Bell;
use crate::domain::{GrantId, Timestamp, UserId};
use crate::store::revocations::Revoked;

/// How long an entry outlives the tokens it voids: clocks and leeways of verifiers.
const LEEWAY: Duration = Duration::from_mins(2);

/// The feed of this moment, ready to send.
pub(crate) struct Feed {
    /// The signed JWT.
    pub(crate) body: String,
    /// Its entity tag, quoted.
    pub(crate) etag: String,
}

/// The feed, its changes, and the entries that are in it.
pub(crate) struct Revocations {
    window: Duration,
    current: ArcSwapOption<Feed>,
    version: watch::Sender<u64>,
    known: Mutex<Known>,
    bell: Bell,
}

/// What was read of the database.
#[derive(Default)]
pub(in crate::flow) struct Known {
    /// Grants, and when they ended.
    pub(in crate::flow) sids: BTreeMap<GrantId, Timestamp>,
    /// Users, and since when their tokens count.
    pub(in crate::flow) subs: BTreeMap<UserId, Timestamp>,
    /// Up to when.
    pub(in crate::flow) read_at: Option<Timestamp>,
    /// When the feed was signed last.
    pub(in crate::flow) signed_at: Option<Timestamp>,
}

impl Revocations {
    /// For access tokens that live so long at most.
    pub(super) fn new(longest_access_token: Duration) -> Self {
        Self {
            window: longest_access_token + LEEWAY,
            current: ArcSwapOption::empty(),
            version: watch::Sender::new(0),
            known: Mutex::default(),
            bell: Bell::default(),
        }
    }

    /// For how long an entry is listed.
    pub(in crate::flow) fn window(&self) -> Duration {
        self.window
    }

    /// The feed, once it was read for the first time.
    pub(in crate::flow) fn current(&self) -> Option<Arc<Feed>> {
        self.current.load_full()
    }

    /// Tells of each change.
    pub(in crate::flow) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The entries; one at a time makes a new feed of them.
    pub(in crate::flow) async fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().await
    }

    /// Takes the place of the feed before.
    pub(in crate::flow) fn publish(&self, feed: Feed) {
        self.current.store(Some(Arc::new(feed)));
        self.version.send_modify(|version| *version += 1);
    }

    /// Something was ended by this replica: no need to wait for the next look.
    pub(in crate::flow) fn ring(&self) {
        self.bell.ring();
    }

    /// Rings when something was.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Known {
    /// Takes entries over; whether any is new.
    pub(in crate::flow) fn take(&mut self, revoked: Vec<Revoked>) -> bool {
        let mut changed = false;
        for one in revoked {
            changed |= match one {
                Revoked::Grant(id, at) => self.sids.insert(id, at) != Some(at),
                Revoked::User(id, at) => self.subs.insert(id, at) != Some(at),
            };
        }
        changed
    }

    /// Drops the entries from before; whether there were any.
    pub(in crate::flow) fn forget(&mut self, before: Timestamp) -> bool {
        let count = self.sids.len() + self.subs.len();
        self.sids.retain(|_, at| *at >= before);
        self.subs.retain(|_, at| *at >= before);
        self.sids.len() + self.subs.len() != count
    }
}
