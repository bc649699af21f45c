//! How a flow ends that does not succeed: [`Error::Refused`] speaks to the caller, [`Error::Unavailable`] and
//! [`Error::Broken`] to the operator.
//!
//! `Broken` never speaks to the caller; `Refused` never wakes anyone. The source of the other two is kept whole, up to the
//! one place that logs it.

use std::fmt;

use super::refusal::{LoginRefusal, Refusal};
use crate::domain::access::{ScopeError, UnknownResource};
use crate::{keys, store};

/// What lies behind a failure. It is for the log alone.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// The stable machine code of [`Error::Unavailable`].
pub const UNAVAILABLE: &str = "store_unavailable";

/// The stable machine code of [`Error::Broken`].
pub const BROKEN: &str = "internal";

/// The outcome of a flow that did not succeed.
#[derive(Debug)]
pub enum Error {
    /// The caller may not have this, and can know why.
    Refused(Refusal),
    /// Something we depend on does not answer; trying again later helps.
    Unavailable(Source),
    /// A mistake of ours.
    Broken(Source),
}

impl Error {
    /// Something we depend on does not answer.
    pub fn unavailable(source: impl Into<Source>) -> Self {
        Self::Unavailable(source.into())
    }

    /// A mistake of ours.
    pub fn broken(source: impl Into<Source>) -> Self {
        Self::Broken(source.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal:?}"),
            Self::Unavailable(_) => f.write_str("unavailable"),
            Self::Broken(_) => f.write_str("broken"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Unavailable(source) | Self::Broken(source) => Some(source.as_ref()),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ScopeError> for Error {
    fn from(error: ScopeError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<UnknownResource> for Error {
    fn from(unknown: UnknownResource) -> Self {
        Self::Refused(unknown.into())
    }
}

impl From<LoginRefusal> for Error {
    fn from(refusal: LoginRefusal) -> Self {
        Self::Refused(Refusal::Login(refusal))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(..) => Self::unavailable(error),
            store::Error::Broken { .. } => Self::broken(error),
        }
    }
}

impl From<keys::Error> for Error {
    fn from(error: keys::Error) -> Self {
        match error {
            keys::Error::Store(error) => error.into(),
            other => Self::broken(other),
        }
    }
}

/// An error and its causes in one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // An error may repeat the text of its source.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_whole_chain_reaches_the_log() {
        let lost = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the peer hung up");
        let error = Error::from(keys::Error::Store(store::Error::Unavailable(Box::new(lost))));
        assert!(matches!(error, Error::Unavailable(_)));
        assert_eq!(chain(&error), "unavailable: the database is unavailable: the peer hung up");
        let innermost = error.source().and_then(|error| error.source());
        assert!(innermost.is_some_and(|error| error.is::<std::io::Error>()), "its type is kept too");
    }

    #[test]
    fn a_text_that_an_error_repeats_stands_once() {
        assert_eq!(chain(&Error::broken("a flow panicked")), "broken: a flow panicked");
        let keys = keys::Error::Crypto("the random generator");
        assert_eq!(chain(&Error::from(keys)), "broken: the random generator failed");
    }
}
