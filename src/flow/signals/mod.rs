//! What the flows of one process share in memory. None of it is the truth, and all of it may be lost with the process.

pub(crate) mod bell;
pub(crate) mod feed;
pub(crate) mod inbox;
pub(crate) mod lockout;
pub(crate) mod locks;

use feed::Revocations;
use inbox::Inbox;
use lockout::Lockout;
use locks::UserLocks;

use crate::domain::{Clock, Policy};

/// All of it.
pub(crate) struct Signals {
    /// The signed feed of what was ended.
    pub(crate) revocations: Revocations,
    /// What Kakao's webhooks brought and the database could not take yet.
    pub(crate) inbox: Inbox,
    /// Whoever needs a new Kakao access token of a user holds the user's, so that one of them asks the other replicas.
    pub(crate) token_locks: UserLocks,
    /// Who guesses client secrets.
    pub(crate) lockout: Lockout,
}

impl Signals {
    /// Empty, for a process that starts.
    pub(crate) fn new(policy: &Policy, clock: Clock) -> Self {
        Self {
            revocations: Revocations::new(policy.longest_access_token),
            inbox: Inbox::default(),
            token_locks: UserLocks::default(),
            lockout: Lockout::new(policy.limits.client_auth_failures, clock),
        }
    }
}
