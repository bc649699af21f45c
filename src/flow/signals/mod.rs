//! What the flows of one process share in memory. None of it is the truth, and all of it may be lost with the process.

pub(crate) mod bell;
pub(crate) mod draining;
pub(crate) mod feed;
pub(crate) mod inbox;
pub(crate) mod limiter;
pub(crate) mod locks;
pub(crate) mod recent;
pub(crate) mod unanswered_requests;

use std::sync::atomic::AtomicBool;

use bell::Bell;
use draining::Draining;
use feed::Revocations;
use inbox::Inbox;
use limiter::Limiter;
use locks::UserLocks;
use recent::{Health, Recent};
use unanswered_requests::UnansweredRequests;

use crate::domain::{Clock, Policy, unanswered};

/// All of it.
pub(crate) struct Signals {
    /// The signed feed of what was ended.
    pub(crate) revocations: Revocations,
    /// Rings when the logins of a user have ended and the rows are still to be.
    pub(crate) user_endings: Bell,
    /// What Kakao's webhooks brought and the database could not take yet.
    pub(crate) inbox: Inbox,
    /// The refreshes and code exchanges that were answered 503, until their rows say so.
    pub(crate) unanswered: UnansweredRequests,
    /// Whoever needs a new Kakao access token of a user holds the user's, so that one of them asks the other replicas.
    pub(crate) token_locks: UserLocks,
    /// Who waits because of a limit.
    pub(crate) limiter: Limiter,
    /// Whether this process is about to end.
    pub(crate) draining: Draining,
    /// Which stores answered last.
    pub(crate) health: Recent<Health>,
    /// Whether the operator was told that a proxy is not listed.
    pub(crate) unlisted_proxy: AtomicBool,
}

impl Signals {
    /// Empty, for a process of an installation that starts.
    pub(crate) fn new(policy: &Policy, installation: &str, clock: Clock) -> Self {
        Self {
            revocations: Revocations::new(
                policy.longest_access_token,
                unanswered::window(policy.refresh.reuse_window),
            ),
            user_endings: Bell::default(),
            inbox: Inbox::new(installation),
            unanswered: UnansweredRequests::default(),
            token_locks: UserLocks::default(),
            limiter: Limiter::new(clock),
            draining: Draining::default(),
            health: Recent::default(),
            unlisted_proxy: AtomicBool::new(false),
        }
    }
}
