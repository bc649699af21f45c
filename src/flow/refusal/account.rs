//! What `/v1` may refuse about a user or something of theirs.

/// It is not there, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRefusal {
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// The operator keeps this user out.
    UserDisabled,
    /// The account was deleted.
    UserDeleted,
}
