//! What an operator asks about later.

use std::sync::Arc;

/// What set off the work in which an event happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Initiator {
    /// The service itself: a job, or its start.
    #[default]
    Service,
    /// A request, with the id that its response and its log lines carry.
    Request(Arc<str>),
    /// A command of an operator's.
    Command,
}

impl Initiator {
    /// The id of the request, if it was one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Request(id) => Some(id),
            Self::Service | Self::Command => None,
        }
    }
}
