//! What client authentication may refuse.

use super::limit::LimitRefusal;

/// It is not shown which client asks (RFC 6749 §2.3, §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefusal {
    /// The client is unknown, or its credentials are missing or wrong.
    AuthenticationFailed {
        /// It sent an `Authorization` header, so the answer names the scheme.
        by_basic: bool,
    },
    /// It sent credentials in two ways.
    TwoCredentials,
    /// Too many wrong secrets for this client from this address.
    TooManyFailures(LimitRefusal),
}
