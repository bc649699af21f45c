//! What a person agreed to at Kakao, as data.

use serde::{Deserialize, Serialize};

/// A term of Kakao Sync (`/v2/user/service_terms`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTerm {
    /// Its tag in the console.
    pub(crate) tag: String,
    /// Whether nobody links without it.
    #[serde(default)]
    pub(crate) required: bool,
    /// Whether the person agreed.
    #[serde(default)]
    pub(crate) agreed: bool,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agreed_at: Option<String>,
}

/// What is known of a person's consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Consent items that were granted; `None`: Kakao did not say.
    pub(crate) scopes: Option<Vec<String>>,
    /// Consent items that the app has and the person has not agreed to (`*_needs_agreement`).
    pub(crate) needs_agreement: Vec<String>,
    /// Terms of Kakao Sync; `None`: they were not asked for.
    pub(crate) service_terms: Option<Vec<ServiceTerm>>,
}

/// How many consent items one request may name.
pub(crate) const MAX_CONSENT_ITEMS: usize = 20;

/// A list of consent items, as Kakao separates them: by spaces in replies, by commas in requests.
pub(crate) fn items(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Whether this can be the id of a consent item: `account_email`, `plusfriends`, `talk_message`.
pub(crate) fn is_item(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_make_the_same_list() {
        assert_eq!(items("openid account_email"), items("openid,account_email,"));
        assert!(items("").is_empty());
    }

    #[test]
    fn an_item_has_no_character_that_could_mean_something_else() {
        assert!(is_item("account_email") && is_item("plusfriends"));
        for bad in ["", "a b", "a,b", "a%2Cb", "<x>", "한", &"x".repeat(65)] {
            assert!(!is_item(bad), "{bad:?}");
        }
    }
}
