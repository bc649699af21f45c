//! The public keys with which everybody verifies our tokens (RFC 7517 §5).

use std::sync::Arc;

use arc_swap::Guard;

use super::Deps;
use crate::keys::Keyring;

/// The document of this moment, out of memory: neither copied nor locked.
pub(crate) struct Jwks(Guard<Arc<Keyring>>);

/// Reads it.
pub(crate) fn jwks(deps: &Deps) -> Jwks {
    Jwks(deps.keys.ring())
}

impl Jwks {
    /// JSON, ready to send.
    pub(crate) fn body(&self) -> &[u8] {
        &self.0.jwks
    }

    /// Its entity tag, quoted.
    pub(crate) fn etag(&self) -> &str {
        &self.0.jwks_etag
    }
}
