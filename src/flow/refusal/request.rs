//! What any request may be refused for.

use crate::flow::params::Repeated;

/// The request itself is wrong (RFC 6749 §3.1, §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestRefusal {
    /// A parameter occurs more than once.
    ParameterRepeated(&'static str),
    /// A required parameter is missing.
    ParameterMissing(&'static str),
    /// A parameter has a value that it cannot have; the sentence says which it can.
    ParameterInvalid(&'static str, &'static str),
    /// The body or query is not what this endpoint reads; the sentence says what it reads.
    Unreadable(&'static str),
    /// No client has this id.
    ClientUnknown,
}

impl From<Repeated> for RequestRefusal {
    fn from(Repeated(name): Repeated) -> Self {
        Self::ParameterRepeated(name)
    }
}
