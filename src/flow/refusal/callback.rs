//! What the redirect URI that Kakao calls may refuse. There is no client to go back to: the browser gets a page.

/// A callback belongs to no login attempt that could be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackRefusal {
    /// It has no `state`, or one of no attempt of this browser (RFC 9700 §4.7).
    AttemptUnknown,
    /// The attempt is too old.
    AttemptExpired,
    /// It has both a code and an error, neither of them, or a parameter twice.
    Contradictory,
}
