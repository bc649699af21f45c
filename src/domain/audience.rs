//! `aud` of a token that was read: one text or several (RFC 7519 §4.1.3).

use serde::{Deserialize, Serialize};

/// For whom a token is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    /// Whether this is among those it is for.
    pub(crate) fn contains(&self, wanted: &str) -> bool {
        self.as_slice().iter().any(|one| one == wanted)
    }

    /// Whether it is for this one and nobody else.
    pub(crate) fn is_only(&self, wanted: &str) -> bool {
        matches!(self.as_slice(), [one] if one == wanted)
    }

    /// Whether it is for somebody, and for nobody but these.
    pub(crate) fn is_within(&self, accepted: &[&str]) -> bool {
        let all = self.as_slice();
        !all.is_empty() && all.iter().all(|one| accepted.contains(&one.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_a_list_of_one_are_the_same_and_an_empty_list_is_for_nobody() {
        for json in ["\"a\"", "[\"a\"]"] {
            let audience: Audience = serde_json::from_str(json).unwrap();
            assert!(
                audience.contains("a") && audience.is_only("a") && audience.is_within(&["a", "b"]),
                "{json}"
            );
            assert!(
                !audience.contains("b") && !audience.is_only("b") && !audience.is_within(&["b"]),
                "{json}"
            );
        }
        let two: Audience = serde_json::from_str("[\"a\", \"b\"]").unwrap();
        assert!(two.contains("b") && !two.is_only("a") && !two.is_within(&["a"]));
        let nobody: Audience = serde_json::from_str("[]").unwrap();
        assert!(!nobody.contains("a") && !nobody.is_only("a") && !nobody.is_within(&["a"]));
    }
}
