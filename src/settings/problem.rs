//! What is wrong with the settings, so that an operator is told once.

use std::fmt;

/// One thing wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    /// The variable it came from; empty when it came from a file or from nowhere.
    pub(crate) origin: String,
    /// What is wrong, and what to write instead.
    pub(crate) sentence: String,
}

impl Problem {
    pub(super) fn new(key: &str, origin: &str, sentence: impl Into<String>) -> Self {
        Self { key: key.to_owned(), origin: origin.to_owned(), sentence: sentence.into() }
    }
}

/// All that is wrong with the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "the settings have {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for Problem { key, origin, sentence } in &self.0 {
            if origin.is_empty() {
                writeln!(f, "  {key}: {sentence}")?;
            } else {
                writeln!(f, "  {key} ({origin}): {sentence}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
