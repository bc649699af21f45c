//! What an endpoint that takes an access token of ours may refuse.

/// The access token does not open this endpoint (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerRefusal {
    /// No access token was sent.
    TokenMissing,
    /// The access token is not ours, or its time or its grant is over.
    TokenInvalid,
    /// More than one was sent (RFC 6750 §2): nobody knows which of them counts.
    TwoTokens,
    /// The access token lacks this scope.
    ScopeMissing(&'static str),
}
