//! What HTTP itself refuses, before or beside any flow: paths, methods and bodies (RFC 9110).

use super::error::{ErrorBody, ErrorStatus, OAuthError};
use super::traffic::Busy;

/// A refusal that no flow knows of.
#[derive(Debug)]
pub(super) enum HttpRefusal {
    /// No endpoint has this path.
    PathUnknown,
    /// The endpoint does not answer this method, only those of `allow`.
    MethodNotAllowed {
        /// The value of `Allow` (RFC 9110 §10.2.1).
        allow: String,
    },
    /// The body is too large.
    BodyTooLarge {
        /// The most that is read, KiB.
        most: usize,
    },
    /// The body is compressed.
    BodyEncoded,
    /// This process has enough to do.
    Busy,
    /// The body stalled.
    BodyTooSlow {
        /// The longest that a body may take, seconds.
        most: u64,
    },
}

impl From<Busy> for HttpRefusal {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl HttpRefusal {
    /// What the caller is told.
    pub(super) fn body(&self) -> ErrorBody {
        let body = |status, code, sentence: String| {
            ErrorBody::new(status, OAuthError::InvalidRequest, code, sentence)
        };
        match self {
            Self::PathUnknown => {
                body(ErrorStatus::NotFound, "not_found", "No endpoint has this path.".into())
            }
            Self::MethodNotAllowed { allow } => body(
                ErrorStatus::MethodNotAllowed,
                "method_not_allowed",
                format!("This endpoint does not answer this method, only {allow}."),
            ),
            Self::BodyTooLarge { most } => body(
                ErrorStatus::PayloadTooLarge,
                "body_too_large",
                format!("The body is larger than {most} KiB."),
            ),
            Self::BodyEncoded => body(
                ErrorStatus::UnsupportedMediaType,
                "body_encoded",
                "Send the body without Content-Encoding.".into(),
            ),
            Self::Busy => ErrorBody::new(
                ErrorStatus::ServiceUnavailable,
                OAuthError::TemporarilyUnavailable,
                "busy",
                "The service has too much to do. Nothing was changed; try again in a moment.",
            )
            .retry_soon(),
            Self::BodyTooSlow { most } => body(
                ErrorStatus::RequestTimeout,
                "body_too_slow",
                format!("The body took longer than {most} seconds."),
            ),
        }
    }

    /// Whether a body was left unread, so that the connection cannot serve another request.
    pub(super) const fn leaves_body(&self) -> bool {
        matches!(self, Self::BodyTooLarge { .. } | Self::BodyEncoded | Self::BodyTooSlow { .. } | Self::Busy)
    }
}
