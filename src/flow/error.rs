//! How a flow ends that does not succeed: [`Error::Refused`] speaks to the caller, [`Error::Unavailable`] and
//! [`Error::Broken`] to the operator.
//!
//! `Broken` never speaks to the caller; `Refused` never wakes anyone. The source of the other two is kept whole, up to the
//! one place that logs it.

use std::fmt;

use super::params::Repeated;
use super::refusal::{AccessRefusal, Door, Refusal, RequestRefusal};
use crate::domain::access::AccessError;
use crate::{keys, store};

/// What lies behind a failure. It is for the log alone.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// The stable machine code of [`Error::Unavailable`].
pub(crate) const UNAVAILABLE: &str = "store_unavailable";

/// The stable machine code of [`Error::Broken`].
pub(crate) const BROKEN: &str = "internal";

/// The outcome of a flow that did not succeed. `R` is what the flow may refuse.
#[derive(Debug)]
pub enum Error<R = Refusal> {
    /// The caller may not have this, and can know why.
    Refused(R),
    /// Something we depend on does not answer; trying again later helps.
    Unavailable(Source),
    /// A mistake of ours.
    Broken(Source),
}

impl<R> Error<R> {
    /// Something we depend on does not answer.
    pub(crate) fn unavailable(source: impl Into<Source>) -> Self {
        Self::Unavailable(source.into())
    }

    /// A mistake of ours.
    pub(crate) fn broken(source: impl Into<Source>) -> Self {
        Self::Broken(source.into())
    }

    /// The same error at a door that is entered by way of this one.
    pub(crate) fn widen<S: From<R>>(self) -> Error<S> {
        match self {
            Self::Refused(refusal) => Error::Refused(refusal.into()),
            Self::Unavailable(source) => Error::Unavailable(source),
            Self::Broken(source) => Error::Broken(source),
        }
    }
}

impl<R: fmt::Debug> fmt::Display for Error<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal:?}"),
            Self::Unavailable(_) => f.write_str("unavailable"),
            Self::Broken(_) => f.write_str("broken"),
        }
    }
}

impl<R: fmt::Debug> std::error::Error for Error<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Unavailable(source) | Self::Broken(source) => Some(source.as_ref()),
        }
    }
}

impl<R: Door, S: From<R>> From<R> for Error<S> {
    fn from(refusal: R) -> Self {
        Self::Refused(S::from(refusal))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<R: Door> From<Error<R>> for Error
where
    Refusal: From<R>,
{
    fn from(error: Error<R>) -> Self {
        error.widen()
    }
}

impl<S: From<AccessRefusal>> From<AccessError> for Error<S> {
    fn from(error: AccessError) -> Self {
        AccessRefusal::from(error).into()
    }
}

impl<S: From<RequestRefusal>> From<Repeated> for Error<S> {
    fn from(repeated: Repeated) -> Self {
        RequestRefusal::from(repeated).into()
    }
}

impl<R> From<store::Error> for Error<R> {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(..) => Self::unavailable(error),
            store::Error::Broken { .. } => Self::broken(error),
        }
    }
}

impl<R> From<keys::Error> for Error<R> {
    fn from(error: keys::Error) -> Self {
        match error {
            keys::Error::Store(error) => error.into(),
            other => Self::broken(other),
        }
    }
}

/// An error and its causes in one line, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
        let error: Error = Error::from(keys::Error::Store(store::Error::Unavailable(Box::new(lost))));
        assert!(matches!(error, Error::Unavailable(_)));
        assert_eq!(chain(&error), "unavailable: the database is unavailable: the peer hung up");
        let innermost = error.source().and_then(|error| error.source());
        assert!(
            innermost.and_then(|error| error.downcast_ref::<std::io::Error>()).is_some(),
            "its type is kept too"
        );
    }

    #[test]
    fn a_text_that_an_error_repeats_stands_once() {
        assert_eq!(chain(&Error::<Refusal>::broken("a flow panicked")), "broken: a flow panicked");
        let keys = keys::Error::Crypto("the random generator");
        assert_eq!(chain(&Error::<Refusal>::from(keys)), "broken: the random generator failed");
    }
}
