//! What a client may not have, whichever way it asks.

use crate::domain::access::{ScopeError, UnknownResource};

/// The client asks for more than it may have, or than it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessRefusal {
    /// The client may not use this grant type.
    GrantTypeNotAllowed,
    /// `scope` breaks the grammar, or nothing of it is left.
    ScopeInvalid,
    /// `scope` asks for more than was granted.
    ScopeWider,
    /// `resource` names what the client may not reach, or what was not granted (RFC 8707 §2).
    ResourceUnknown,
}

impl From<ScopeError> for AccessRefusal {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::NotTheClients => Self::ScopeInvalid,
            ScopeError::Wider => Self::ScopeWider,
        }
    }
}

impl From<UnknownResource> for AccessRefusal {
    fn from(_: UnknownResource) -> Self {
        Self::ResourceUnknown
    }
}
