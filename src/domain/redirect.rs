//! Redirect URIs: which may be registered, and when a requested one is the registered one.

use std::net::IpAddr;

use url::{Host, Url};

/// A redirect URI as it was registered, kept byte for byte (RFC 6749 §3.1.2, RFC 9700 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedirectUri {
    text: String,
    /// For `http` on a loopback address: what stands before and after the port, which is free (RFC 8252 §7.3).
    loopback: Option<(String, String)>,
    /// For a pattern: what stands before and after the `*`.
    pattern: Option<(String, String)>,
}

/// Why a text may not be registered as a redirect URI.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unregistrable {
    /// Not an absolute URI.
    #[error("it is not an absolute URI")]
    NotAUri,
    /// It has a fragment (RFC 6749 §3.1.2).
    #[error("it has a fragment (#…), which a redirect URI may not have")]
    Fragment,
    /// It holds a character that URIs do not have: a browser and a parser could read it in two ways.
    #[error("it holds a space, a control character, a backslash or a non-ASCII character")]
    Character,
    /// It names a user or a password.
    #[error("it has a user name before the host")]
    Userinfo,
    /// `http` anywhere but on this machine (RFC 9700 §2.6).
    #[error("http is only for localhost, 127.0.0.1 and [::1]; use https")]
    PlainHttp,
    /// A scheme that a browser would run or read locally.
    #[error("the scheme {0}: is never a redirect target")]
    Scheme(String),
    /// A private-use scheme that is not a reversed domain name (RFC 8252 §7.1).
    #[error("a private-use scheme must be a reversed domain name, such as com.example.app:/callback")]
    UndottedScheme,
    /// It holds a `*` where none may stand.
    #[error(
        "one * may stand within the left-most host label of an https URI, such as https://shop-*.preview.example.com/cb; list any \
         other redirect URI exactly"
    )]
    Pattern,
    /// Anybody may have a name there.
    #[error(
        "anybody can register a name below {0}: use a domain of your own, or list every redirect URI exactly"
    )]
    PublicSuffix(String),
}

impl RedirectUri {
    /// Takes a URI from the settings.
    ///
    /// # Errors
    /// When it could not be matched byte by byte, or would send a code in clear over a network.
    pub(crate) fn register(text: &str) -> Result<Self, Unregistrable> {
        if text.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'"' | b'<' | b'>')) {
            return Err(Unregistrable::Character);
        }
        let pattern = if text.contains('*') { Some(pattern_parts(text)?) } else { None };
        let url = Url::parse(text).map_err(|_| Unregistrable::NotAUri)?;
        if text.contains('#') {
            return Err(Unregistrable::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unregistrable::Userinfo);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(&url) => {}
            "http" => return Err(Unregistrable::PlainHttp),
            scheme @ ("javascript" | "data" | "file" | "blob" | "about" | "vbscript" | "ftp" | "ws"
            | "wss" | "mailto") => {
                return Err(Unregistrable::Scheme(scheme.to_owned()));
            }
            scheme if !scheme.contains('.') => return Err(Unregistrable::UndottedScheme),
            _ => {}
        }
        Ok(Self { text: text.to_owned(), loopback: loopback_parts(text), pattern })
    }

    /// As it was registered.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a pattern, which more than one URI matches.
    pub(crate) fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// Whether `requested` is this URI: byte for byte, save the port of an `http` loopback address (RFC 8252 §7.3) and the `*`
    /// of a pattern, which stands for a part of one host label.
    pub(crate) fn matches(&self, requested: &str) -> bool {
        if let Some((before, after)) = &self.pattern {
            let part = requested.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**after));
            return part.is_some_and(|part| !part.is_empty() && is_part_of_label(part));
        }
        if self.text == requested {
            return true;
        }
        match (&self.loopback, loopback_parts(requested)) {
            (Some(mine), Some(theirs)) => *mine == theirs,
            _ => false,
        }
    }
}

/// Whether `http` to this URL stays on this machine: a loopback address, `localhost` or a name below it (RFC 6761).
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Whether a URI leads to a program on the person's own device, where nobody can tell which program listens: a private-use
/// scheme, or `http` to a loopback address. Where the service itself runs on this machine, `localhost` is a developer's.
pub(crate) fn is_native(uri: &str, service_is_local: bool) -> bool {
    let Ok(url) = Url::parse(uri) else { return true };
    match (url.scheme(), url.host()) {
        ("https", _) => false,
        ("http", Some(Host::Domain(_))) => !service_is_local,
        _ => true,
    }
}

/// Splits `https://one-*.example.com/…` around the `*`.
fn pattern_parts(text: &str) -> Result<(String, String), Unregistrable> {
    let (before, after) = text.split_once('*').ok_or(Unregistrable::Pattern)?;
    let label_begin = before.strip_prefix("https://").ok_or(Unregistrable::Pattern)?;
    let (label_end, behind) = after.split_once('.').ok_or(Unregistrable::Pattern)?;
    let parent = behind.split([':', '/', '?', '#']).next().unwrap_or_default();
    let is_domain = parent.split('.').all(|label| !label.is_empty() && is_part_of_label(label));
    if !is_part_of_label(label_begin) || !is_part_of_label(label_end) || !is_domain || behind.contains('*') {
        return Err(Unregistrable::Pattern);
    }
    // A suffix has no domain that somebody registered: everybody's names stand below it.
    if psl::domain_str(parent).is_none() {
        return Err(Unregistrable::PublicSuffix(parent.to_owned()));
    }
    Ok((before.to_owned(), after.to_owned()))
}

/// Whether browsers write these characters in a host label, and in nothing else.
fn is_part_of_label(text: &str) -> bool {
    text.len() <= 63 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Splits `http://127.0.0.1:PORT/…` or `http://[::1]:PORT/…` around the port. `localhost` has no such freedom: a name
/// may resolve elsewhere (RFC 8252 §8.3).
fn loopback_parts(text: &str) -> Option<(String, String)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let host_end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(host_end);
    let ip: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let port_is_one = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok_and(|n| n > 0) && !digits.starts_with(['+', '0']),
        None => port.is_empty(),
    };
    (ip.is_loopback() && port_is_one).then(|| (host.to_owned(), after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leak_a_code_is_not_registered() {
        for (bad, why) in [
            ("/callback", Unregistrable::NotAUri),
            ("https://app.example/cb#top", Unregistrable::Fragment),
            ("https://app.example/cb#", Unregistrable::Fragment),
            ("http://app.example/cb", Unregistrable::PlainHttp),
            ("http://localhost.evil.example/cb", Unregistrable::PlainHttp),
            ("javascript:alert(1)", Unregistrable::Scheme("javascript".into())),
            ("data:text/html,x", Unregistrable::Scheme("data".into())),
            ("file:///etc/passwd", Unregistrable::Scheme("file".into())),
            ("myapp:/cb", Unregistrable::UndottedScheme),
            ("https://user@app.example/cb", Unregistrable::Userinfo),
            ("https://app.example\\@evil.example/", Unregistrable::Character),
            ("https://앱.example/", Unregistrable::Character),
            ("https://*/cb", Unregistrable::Pattern),
            ("https://*.*.app.example/cb", Unregistrable::Pattern),
            ("https://**.app.example/cb", Unregistrable::Pattern),
            ("https://app.*.example/cb", Unregistrable::Pattern),
            ("https://app.example/*", Unregistrable::Pattern),
            ("https://app.example/cb?next=*", Unregistrable::Pattern),
            ("https://app-*/cb.example", Unregistrable::Pattern),
            ("https://*@app.example/cb", Unregistrable::Pattern),
            ("https://user@*.app.example/cb", Unregistrable::Pattern),
            ("https://*.app.example./cb", Unregistrable::Pattern),
            ("https://*.APP.example/cb", Unregistrable::Pattern),
            ("http://*.localhost/cb", Unregistrable::Pattern),
            ("com.example.*:/cb", Unregistrable::Pattern),
            ("https://*.app.example/cb#x", Unregistrable::Fragment),
            ("https://*.com/cb", Unregistrable::PublicSuffix("com".into())),
            ("https://*.co.kr/cb", Unregistrable::PublicSuffix("co.kr".into())),
            ("https://shop-*.vercel.app/cb", Unregistrable::PublicSuffix("vercel.app".into())),
            ("https://*.github.io/cb", Unregistrable::PublicSuffix("github.io".into())),
            ("https://*.unknown-top-level/cb", Unregistrable::PublicSuffix("unknown-top-level".into())),
        ] {
            assert_eq!(RedirectUri::register(bad), Err(why), "{bad}");
        }
        for good in
            ["https://app.example/cb", "com.example.app:/cb", "http://localhost:3000/cb", "http://[::1]/cb"]
        {
            assert!(RedirectUri::register(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn matching_is_byte_for_byte() {
        let uri = RedirectUri::register("https://app.example/cb").unwrap();
        assert!(uri.matches("https://app.example/cb"));
        for other in [
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example./cb",
            "https://app.example/c%62",
            "https://app.example/cb?x=1",
            "https://app.example//cb",
            "https://app.example/cb;x",
            "https://user@app.example/cb",
            "https://app.example\\@evil.example/cb",
            " https://app.example/cb",
        ] {
            assert!(!uri.matches(other), "{other}");
        }
    }

    #[test]
    fn a_pattern_stands_for_a_part_of_one_label_and_for_nothing_else() {
        let uri = RedirectUri::register("https://shop-*-team.preview.app.example:8443/cb?a=1").unwrap();
        for good in ["x", "git-main-4f2", "0"] {
            assert!(
                uri.matches(&format!("https://shop-{good}-team.preview.app.example:8443/cb?a=1")),
                "{good}"
            );
        }
        let long = "x".repeat(64);
        for bad in
            ["", "*", "a.b", "a/b", "a@b", "a:b", "a?b", "a#b", "A", "a%2eb", "a\\b", "ä", "a b", &long]
        {
            assert!(
                !uri.matches(&format!("https://shop-{bad}-team.preview.app.example:8443/cb?a=1")),
                "{bad}"
            );
        }
        for other in [
            "https://shop-team.preview.app.example:8443/cb?a=1",
            "https://shop-x-team.preview.app.example:8443/cb",
            "https://shop-x-team.preview.app.example:8443/cb?a=1&b=2",
            "https://shop-x-team.preview.app.example/cb?a=1",
            "https://shop-x-team.preview.app.example.evil.example:8443/cb?a=1",
            "http://shop-x-team.preview.app.example:8443/cb?a=1",
            "https://evil.example/shop-x-team.preview.app.example:8443/cb?a=1",
        ] {
            assert!(!uri.matches(other), "{other}");
        }
        assert!(uri.is_pattern() && !RedirectUri::register("https://app.example/cb").unwrap().is_pattern());
    }

    #[test]
    fn only_the_web_can_tell_who_listens() {
        for (uri, at_home, elsewhere) in [
            ("https://app.example/cb", false, false),
            ("http://localhost:3000/cb", false, true),
            ("http://127.0.0.1:3000/cb", true, true),
            ("http://[::1]/cb", true, true),
            ("com.example.app:/cb", true, true),
        ] {
            assert_eq!((is_native(uri, true), is_native(uri, false)), (at_home, elsewhere), "{uri}");
        }
    }

    #[test]
    fn only_a_loopback_address_has_a_free_port() {
        let v4 = RedirectUri::register("http://127.0.0.1/cb").unwrap();
        assert!(v4.matches("http://127.0.0.1:51234/cb") && v4.matches("http://127.0.0.1/cb"));
        for other in [
            "http://127.0.0.2:1/cb",
            "http://127.0.0.1:1/other",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://localhost:1/cb",
            "https://127.0.0.1:1/cb",
            "http://127.0.0.1:+1/cb",
        ] {
            assert!(!v4.matches(other), "{other}");
        }
        let v6 = RedirectUri::register("http://[::1]:80/cb?a=1").unwrap();
        assert!(v6.matches("http://[::1]:5/cb?a=1") && !v6.matches("http://[::1]:5/cb"));
        let name = RedirectUri::register("http://localhost:3000/cb").unwrap();
        assert!(!name.matches("http://localhost:3001/cb"));
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// What matches a registered URI differs from it in nothing but the port of a loopback address.
    #[test]
    fn redirect_uris() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let (registered, requested) = text.split_once('\n').unwrap_or((text, text));
            let Ok(uri) = RedirectUri::register(registered) else { return };
            assert!(
                registered.contains('*') || uri.matches(registered),
                "a URI matches itself: {registered}"
            );
            if registered.contains('*') || registered == requested || !uri.matches(requested) {
                return;
            }
            let (mut mine, mut theirs) = (Url::parse(registered).unwrap(), Url::parse(requested).unwrap());
            assert!(is_this_machine(&mine) && mine.scheme() == "http", "{registered} {requested}");
            mine.set_port(None).unwrap();
            theirs.set_port(None).unwrap();
            assert_eq!(mine, theirs);
        });
    }
}
