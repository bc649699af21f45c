//! What an endpoint that takes an access token of ours may refuse.

use std::time::Duration;

/// The access token does not open this endpoint (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerRefusal {
    /// No access token was sent.
    TokenMissing,
    /// The access token is not ours, or its time or its grant is over.
    TokenInvalid,
    /// More than one was sent (RFC 6750 §2): nobody knows which of them counts.
    TwoTokens,
    /// The access token is ours, and for others alone (RFC 9068 §4).
    NotForUs,
    /// The access token lacks this scope.
    ScopeMissing(&'static str),
    /// The person logged in too long ago for this (RFC 9470 §3).
    LoginTooOld {
        /// How long ago it may be.
        max_age: Duration,
    },
}
