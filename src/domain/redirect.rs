//! Redirect URIs: which may be registered, and when a requested one is the registered one.

use std::net::IpAddr;

use url::{Host, Url};

/// A redirect URI as it was registered, kept byte for byte (RFC 6749 §3.1.2, RFC 9700 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedirectUri {
    text: String,
    /// For `http` on a loopback address: what stands before and after the port, which is free (RFC 8252 §7.3).
    loopback: Option<(String, String)>,
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
    /// It holds a pattern: matching is exact.
    #[error("patterns are not supported: list every redirect URI exactly")]
    Pattern,
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
        if text.contains('*') {
            return Err(Unregistrable::Pattern);
        }
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
        Ok(Self { text: text.to_owned(), loopback: loopback_parts(text) })
    }

    /// Whether `requested` is this URI: byte for byte, save the port of an `http` loopback address (RFC 8252 §7.3).
    pub(crate) fn matches(&self, requested: &str) -> bool {
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
            ("https://*.app.example/cb", Unregistrable::Pattern),
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
