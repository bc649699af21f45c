//! What any door may refuse for now.

use std::time::Duration;

use crate::domain::{Limit, Quota};

/// Too many requests of this kind came from this caller that failed or prove nothing (RFC 6585 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRefusal {
    pub(crate) limit: Limit,
    pub(crate) name: &'static str,
    pub(crate) quota: Quota,
    /// When to try again.
    pub(crate) retry_after: Duration,
}
