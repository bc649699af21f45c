//! What a caller is told of an error.

use std::borrow::Cow;
use std::time::Duration;

use super::code::{ErrorStatus, OAuthError};
use crate::flow::refusal::LimitRefusal;
use crate::kakao::KnownFault;

/// What a caller is told of an error, however it travels.
#[derive(Debug)]
pub(in crate::web) struct ErrorBody {
    /// Of HTTP.
    pub(in crate::web) status: ErrorStatus,
    pub(in crate::web) oauth: OAuthError,
    /// Stable, for programs and for the search in our documentation.
    pub(in crate::web) code: &'static str,
    /// One sentence that says what to do, of the characters that `error_description` may have (RFC 6749 §4.1.2.1).
    pub(in crate::web) sentence: Cow<'static, str>,
    /// When to try again, seconds.
    pub(in crate::web) retry_after: Option<u64>,
    /// The limit that refuses it.
    pub(in crate::web) limit: Option<LimitRefusal>,
    /// The fault at Kakao behind it.
    pub(in crate::web) fault: Option<&'static KnownFault>,
}

impl ErrorBody {
    pub(in crate::web) fn new(
        status: ErrorStatus,
        oauth: OAuthError,
        code: &'static str,
        sentence: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, oauth, code, sentence: sentence.into(), retry_after: None, limit: None, fault: None }
    }

    /// Asks to try again only after this time.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait.as_secs() + 1), ..self }
    }

    /// Refused by a limit.
    pub(super) fn limited(self, refusal: &LimitRefusal) -> Self {
        Self { limit: Some(*refusal), ..self.retry_after(refusal.retry_after) }
    }

    /// Asks to try again in a moment.
    pub(in crate::web) fn retry_soon(self) -> Self {
        Self { retry_after: Some(2), ..self }
    }
}
