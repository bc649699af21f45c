//! What HTTP itself refuses, before or beside any flow: paths, methods and bodies (RFC 9110).

use actix_web::http::StatusCode;

use super::error::Said;

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
    /// The body stalled.
    BodyTooSlow {
        /// The longest that a body may take, seconds.
        most: u64,
    },
}

impl HttpRefusal {
    /// What the caller is told.
    pub(super) fn said(&self) -> Said {
        let said = |status, code, sentence| Said::new(status, "invalid_request", code, sentence);
        match self {
            Self::PathUnknown => {
                said(StatusCode::NOT_FOUND, "not_found", "No endpoint has this path.".into())
            }
            Self::MethodNotAllowed { allow } => said(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("This endpoint does not answer this method, only {allow}."),
            ),
            Self::BodyTooLarge { most } => said(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("The body is larger than {most} KiB."),
            ),
            Self::BodyEncoded => said(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body_encoded",
                "Send the body without Content-Encoding.".into(),
            ),
            Self::BodyTooSlow { most } => said(
                StatusCode::REQUEST_TIMEOUT,
                "body_too_slow",
                format!("The body took longer than {most} seconds."),
            ),
        }
    }

    /// Whether a body was left unread, so that the connection cannot serve another request.
    pub(super) const fn leaves_body(&self) -> bool {
        matches!(self, Self::BodyTooLarge { .. } | Self::BodyEncoded | Self::BodyTooSlow { .. })
    }
}
