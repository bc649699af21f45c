//! What a resource server answers (RFC 6750 §3), whatever its framework.

use crate::Refused;

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// No bearer token was sent: 401 without an error attribute.
    #[error("no bearer token was sent")]
    Missing,
    /// The token was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The app has no verifier: 500.
    #[error("the app has no verifier")]
    NoVerifier,
}

impl Unauthorized {
    /// The status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused(Refused::InsufficientScope(_)) => 403,
            Self::Refused(Refused::Unavailable) => 503,
            Self::Missing | Self::Refused(_) => 401,
            Self::NoVerifier => 500,
        }
    }

    /// The header that goes with it: its name and value.
    pub fn header(&self) -> Option<(&'static str, String)> {
        const CHALLENGE: &str = "www-authenticate";
        match self {
            Self::Missing => Some((CHALLENGE, "Bearer".to_owned())),
            Self::Refused(Refused::InsufficientScope(scope)) => {
                Some((CHALLENGE, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")))
            }
            Self::Refused(Refused::Unavailable) => Some(("retry-after", "2".to_owned())),
            Self::Refused(refused) => {
                Some((CHALLENGE, format!("Bearer error=\"invalid_token\", error_description=\"{refused}\"")))
            }
            Self::NoVerifier => None,
        }
    }
}

/// The token of an `Authorization: Bearer` header. The scheme is case-insensitive (RFC 9110 §11.1).
#[cfg(any(feature = "actix", feature = "tower"))]
pub(crate) fn bearer(header: Option<&str>) -> Option<&str> {
    let (scheme, token) = header?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}
