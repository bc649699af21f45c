//! What a cache answers, and how long it may take.

use std::time::Duration;

/// The longest a call may take.
pub const PER_CALL: Duration = Duration::from_millis(250);

/// Why the cache did not do what it was asked. Never a reason to refuse a caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL in the settings cannot be read.
    #[error("cache.url cannot be read: {0}")]
    Url(String),
    /// Redis did not answer, or answered with an error.
    #[error("the cache is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Redis did not answer a moment ago; it is not asked again yet.
    #[error("the cache is unavailable and was not asked")]
    Resting,
}

/// The word of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Within the quota; it was counted.
    Allowed,
    /// Beyond the quota; it was not counted.
    Limited {
        /// When the next one would be allowed.
        retry_after: Duration,
    },
}
