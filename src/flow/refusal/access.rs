//! What a client may not have, whichever way it asks.

use crate::domain::access::AccessError;

/// The client asks for more than it may have, or than it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessRefusal {
    /// The client may not use this grant type.
    GrantTypeNotAllowed,
    /// `scope` breaks the grammar, or nothing of it is left.
    ScopeInvalid,
    /// `scope` asks for more than was granted.
    ScopeWider,
    /// `account` is given only with the issuer as the resource.
    AccountNeedsResource,
    /// A scope of our own API is given only in a token of its own.
    ScopesOfTwoApis,
    /// `resource` names what the client may not reach, or what was not granted (RFC 8707 §2).
    ResourceUnknown,
}

impl From<AccessError> for AccessRefusal {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotTheClients => Self::ScopeInvalid,
            AccessError::Wider => Self::ScopeWider,
            AccessError::NeedsIssuer => Self::AccountNeedsResource,
            AccessError::TwoApis => Self::ScopesOfTwoApis,
            AccessError::UnknownResource => Self::ResourceUnknown,
        }
    }
}
