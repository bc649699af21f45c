//! The parameters of an OAuth request (RFC 6749 §3.1 and §3.2): none twice, and an empty one counts as absent.

use std::collections::HashSet;

use percent_encoding::percent_decode;

/// The most parameters that a request may have: one of ours has about twenty.
const MOST: usize = 64;

/// The decoded parameters of one request, in order.
#[derive(Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// Why a query or form cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A percent-encoded byte sequence that is not UTF-8.
    #[error("a parameter is not valid UTF-8")]
    NotUtf8,
    /// A NUL, which no parameter has and some databases refuse.
    #[error("a parameter holds a NUL character")]
    Nul,
    /// More than a request needs.
    #[error("there are more than {MOST} parameters")]
    TooMany,
}

/// The parameter stands in the request more than once (RFC 6749 §3.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeated(pub(crate) &'static str);

impl Unreadable {
    /// What is wrong, as a caller reads it.
    pub(crate) const fn sentence(&self) -> &'static str {
        match self {
            Self::NotUtf8 | Self::Nul => "the parameters must be valid UTF-8 without NUL",
            Self::TooMany => "a request has at most 64 parameters",
        }
    }
}

const _: () = assert!(MOST == 64, "the sentence above says so");

impl Params {
    /// Reads `application/x-www-form-urlencoded` bytes, of a query or a body.
    ///
    /// # Errors
    /// When a name or value is not UTF-8 or holds a NUL: guessing what was meant could pass a check that the real
    /// value would not.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let parts = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        if parts.clone().nth(MOST).is_some() {
            return Err(Unreadable::TooMany);
        }
        let pairs = parts.map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            Ok((decode(&pair[..end])?, decode(pair.get(end + 1..).unwrap_or_default())?))
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }

    /// The same parameters as a query.
    pub(crate) fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The value of a parameter that may stand once; `None` when absent or empty.
    ///
    /// # Errors
    /// When it stands more than once, even with the same value.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(Repeated(name));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// The first value of a parameter, however often it stands there: for the log.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, value)| given == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Refuses a request in which any of these stands more than once, read or not.
    ///
    /// # Errors
    /// The first that does.
    pub(crate) fn refuse_repeated(&self, names: &[&'static str]) -> Result<(), Repeated> {
        names.iter().try_for_each(|name| self.one(name).map(drop))
    }

    /// All values of `resource`, the one parameter that may stand more than once (RFC 8707 §2).
    pub(crate) fn resources(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, value)| name == "resource" && !value.is_empty())
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// Whether any parameter but `resource` stands more than once (RFC 6749 §3.2).
    pub(crate) fn any_repeated(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().any(|(name, _)| name != "resource" && !seen.insert(name))
    }
}

/// Decodes a name or a value (URL Standard §5.1), except that what is not UTF-8 is refused: the standard's parser puts U+FFFD in
/// its place, which cannot be told from one that was sent.
fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text = String::from_utf8(percent_decode(&spaced).collect()).map_err(|_| Unreadable::NotUtf8)?;
    if text.contains('\0') { Err(Unreadable::Nul) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_counts_as_absent_and_a_repeated_one_as_an_error() {
        let params = Params::read(b"a=1&b=&c=2&c=2&d").unwrap();
        assert_eq!(params.one("a"), Ok(Some("1")));
        assert_eq!(params.one("b"), Ok(None));
        assert_eq!(params.one("c"), Err(Repeated("c")));
        assert_eq!(params.one("d"), Ok(None));
        assert!(params.any_repeated());
    }

    #[test]
    fn only_so_many_parameters_are_read() {
        let many = |count: usize| (0..count).map(|n| format!("p{n}=")).collect::<Vec<_>>().join("&");
        assert!(Params::read(many(64).as_bytes()).is_ok_and(|params| !params.any_repeated()));
        assert_eq!(Params::read(many(65).as_bytes()).err(), Some(Unreadable::TooMany));
        assert!(Params::read(b"resource=a&resource=b").is_ok_and(|params| !params.any_repeated()));
    }

    #[test]
    fn what_cannot_be_read_is_refused_not_guessed() {
        for bytes in [&b"a=%ff"[..], b"%ff=a", b"a=\xff", b"a=%ED%95", b"a=%C0%80", b"a=%ED%A0%80"] {
            assert_eq!(Params::read(bytes).err(), Some(Unreadable::NotUtf8), "{bytes:?}");
        }
        assert_eq!(Params::read(b"a=%00").err(), Some(Unreadable::Nul));
        assert!(Params::read(b"&&=&a=%ED%95%9C+%26").unwrap().one("a") == Ok(Some("한 &")));
    }

    #[test]
    fn what_is_utf_8_is_read_as_the_url_standard_reads_it() {
        for text in [
            "a=%EF%BF%BD",
            "a=\u{FFFD}&b",
            "=&&a==b=&a+b=%2B+%20",
            "a=%zz&b=%4&c=%",
            "%61=%26%3D",
            "a=1&=2&b=\u{10FFFF}",
        ] {
            let standard: Vec<(String, String)> =
                url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            let read = Params::read(text.as_bytes()).unwrap();
            assert_eq!(Params::read(read.to_query().as_bytes()).unwrap().0, standard, "{text}");
            assert_eq!(read.0, standard, "{text}");
        }
        assert_eq!(Params::read(b"state=%EF%BF%BD").unwrap().one("state"), Ok(Some("\u{FFFD}")));
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn params() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(params) = Params::read(bytes) else { return };
            assert!(params.0.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0')));
            let written =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&params.0).finish();
            assert_eq!(Params::read(written.as_bytes()).map(|again| again.0), Ok(params.0));
        });
    }
}
