//! The two languages in which pages speak.

use serde::{Deserialize, Serialize};

/// A language of our pages and messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// Korean, the default: the people who log in with Kakao mostly read it.
    #[default]
    Ko,
    /// English, where the browser prefers it.
    En,
}

impl Locale {
    /// The first language we speak among `ui_locales` (OpenID Connect Core §3.1.2.1, space separated), then among
    /// `Accept-Language` (RFC 9110 §12.5.4, by weight), else Korean.
    pub(crate) fn choose(ui_locales: Option<&str>, accept_language: Option<&str>) -> Self {
        ui_locales
            .and_then(|list| list.split_ascii_whitespace().find_map(Self::from_tag))
            .or_else(|| accept_language.and_then(Self::from_accept_language))
            .unwrap_or_default()
    }

    /// The BCP 47 tag, for `lang="…"` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Ko => "ko",
            Self::En => "en",
        }
    }

    /// The text of this language, of a Korean and an English one.
    pub(crate) const fn pick(self, ko: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Ko => ko,
            Self::En => en,
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next()?.to_ascii_lowercase().as_str() {
            "ko" => Some(Self::Ko),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    fn from_accept_language(header: &str) -> Option<Self> {
        let weighted = header.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let locale = Self::from_tag(parts.next()?)?;
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Some(1.0_f32), |q| q.parse().ok())
                .filter(|weight| *weight > 0.0)?;
            Some((locale, weight))
        });
        // The first of the heaviest: `max_by` would return the last.
        weighted.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(locale, _)| locale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_s_wish_comes_before_the_browser_s() {
        assert_eq!(Locale::choose(Some("fr en-GB ko"), Some("ko")), Locale::En);
        assert_eq!(Locale::choose(None, Some("en;q=0.8, ko-KR")), Locale::Ko);
        assert_eq!(Locale::choose(None, Some("fr, en;q=0.2, ko;q=0.1")), Locale::En);
        assert_eq!(Locale::choose(None, Some("en;q=0")), Locale::Ko);
        assert_eq!(Locale::choose(None, Some("en;q=nonsense,,;;")), Locale::Ko);
        assert_eq!(Locale::choose(Some(""), None), Locale::Ko);
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn languages() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let (ui_locales, header) = text.split_once('\n').unwrap_or((text, text));
            Locale::choose(Some(ui_locales), Some(header));
            Locale::choose(None, Some(header));
        });
    }
}
