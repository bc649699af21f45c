//! The issuer: the address under which the world knows this service, byte for byte (RFC 8414 §2).

use url::Url;

use super::redirect::is_this_machine;

/// `server.public_url`: the `iss` of everything, and what every address of ours begins with.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    text: String,
    url: Url,
}

impl Issuer {
    /// Whether the service is reached on this machine alone, as a developer's is.
    pub(crate) fn is_local(&self) -> bool {
        is_this_machine(&self.url)
    }

    /// Reads `https://auth.example.com` or `https://example.com/auth`; `http` is only for this machine.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead, as a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url =
            Url::parse(text).map_err(|_| "it is not a URL; write https://auth.example.com".to_owned())?;
        let refuse = |why: &str| Err(why.to_owned());
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(&url) => {}
            "http" => {
                return refuse(
                    "http is only for this machine (localhost, *.localhost, 127.0.0.1); use https",
                );
            }
            _ => return refuse("it must begin with https://"),
        }
        if url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return refuse("it must have no query, fragment or user name");
        }
        if text.ends_with('/') {
            return refuse("it must not end with a slash");
        }
        if text != url.as_str() && format!("{text}/") != url.as_str() {
            return refuse("write it in lower case, without the default port and without dots in the path");
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The text, byte for byte as it was configured.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL of a path of ours, which begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// The path of the issuer itself, without a slash at its end; empty for most.
    pub(crate) fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// The origin of its pages.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether cookies can be Secure and have the `__Host-` prefix.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}
