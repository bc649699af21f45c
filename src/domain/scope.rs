//! Scopes (RFC 6749 §3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens in the order in which they were named, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

/// The text holds a character that a scope token cannot have (RFC 6749 Appendix A.4).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is a list of tokens separated by single spaces, of printable ASCII without quote and backslash"
)]
pub struct NotAScope;

impl Scope {
    /// Reads `scope-token *( SP scope-token )`; repeated tokens count once, extra spaces are forgiven.
    ///
    /// # Errors
    /// When a token holds a character outside `%x21 / %x23-5B / %x5D-7E`.
    pub fn parse(text: &str) -> Result<Self, NotAScope> {
        let allowed = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        if !text.bytes().all(allowed) {
            return Err(NotAScope);
        }
        Ok(text.split(' ').filter(|token| !token.is_empty()).collect())
    }

    /// Whether the set holds this token.
    pub(crate) fn contains(&self, token: &str) -> bool {
        self.iter().any(|mine| mine == token)
    }

    /// The tokens in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// The tokens that `allowed` holds too, in this set's order.
    #[must_use]
    pub(crate) fn within(&self, allowed: &Self) -> Self {
        self.iter().filter(|token| allowed.contains(token)).collect()
    }

    /// Whether every token is in `other`.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// Whether there is no token.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens joined by single spaces, as a token response carries them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> FromIterator<&'a str> for Scope {
    fn from_iter<I: IntoIterator<Item = &'a str>>(tokens: I) -> Self {
        let mut scope = Self::default();
        for token in tokens {
            if !scope.contains(token) {
                if !scope.0.is_empty() {
                    scope.0.push(' ');
                }
                scope.0.push_str(token);
            }
        }
        scope
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_outside_the_grammar_are_refused() {
        for bad in ["open\"id", "a\\b", "tab\there", "한글", "nul\0", "line\nbreak", "del\u{7f}"] {
            assert_eq!(Scope::parse(bad), Err(NotAScope), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_is_a_set_that_keeps_its_order() {
        let scope = Scope::parse("openid  profile openid email").unwrap();
        assert_eq!(scope.as_str(), "openid profile email");
        assert!(scope.contains("email") && !scope.contains("mail"));
        assert!(Scope::parse("email openid").unwrap().is_within(&scope));
        assert_eq!(scope.within(&Scope::parse("email openid").unwrap()).as_str(), "openid email");
        assert!(Scope::parse("").unwrap().is_empty());
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// `within` is the intersection, in the order of the first, and never grows.
    #[test]
    fn scopes() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let (asked, allowed) = text.split_once('\n').unwrap_or((text, text));
            let (Ok(asked), Ok(allowed)) = (Scope::parse(asked), Scope::parse(allowed)) else { return };
            assert_eq!(Scope::parse(asked.as_str()), Ok(asked.clone()), "reading is idempotent");
            let both = asked.within(&allowed);
            assert!(both.is_within(&asked) && both.is_within(&allowed));
            assert_eq!(both.within(&allowed), both);
            assert!(asked.iter().all(|token| both.contains(token) == allowed.contains(token)));
            let tokens: Vec<&str> = asked.iter().collect();
            let once: std::collections::BTreeSet<&str> = tokens.iter().copied().collect();
            assert_eq!(once.len(), tokens.len(), "each token once");
        });
    }
}
