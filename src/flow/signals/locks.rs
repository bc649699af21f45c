//! Locks by user, within this process.

use tokio::sync::Mutex;

use crate::domain::UserId;

/// A fixed number of locks that all users share: two users may have the same one, and nothing grows with the users.
pub(crate) struct UserLocks([Mutex<()>; 64]);

impl Default for UserLocks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl UserLocks {
    /// The lock of a user.
    pub(in crate::flow) fn of(&self, user: UserId) -> &Mutex<()> {
        // The last bytes of a version 7 UUID are random.
        &self.0[usize::from(user.0.as_bytes()[15]) % self.0.len()]
    }
}
