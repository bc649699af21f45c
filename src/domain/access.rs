//! What a token may carry: the one place that decides its scope and its audience, for every grant type.

use super::{Client, Scope};

/// Scopes about a user; a client that acts for itself has none.
const OF_A_USER: [&str; 4] = ["openid", "profile", "email", "phone"];

/// By what a requested scope is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Basis<'a> {
    /// A user logs in at this client (authorization code, token exchange).
    Login(&'a Client),
    /// This client acts for itself (client credentials).
    Itself(&'a Client),
    /// What was granted already (code exchange, refresh).
    Granted(&'a Scope),
}

/// Why a requested scope is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScopeError {
    /// The client may have nothing of it, or not all of it.
    #[error("the client may not have this scope")]
    NotTheClients,
    /// It is wider than what was granted (RFC 6749 §6).
    #[error("the scope is wider than what was granted")]
    Wider,
}

/// A resource is not the client's, or was not granted (RFC 8707 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource is not the client's, or was not granted")]
pub(crate) struct UnknownResource;

/// The scope of a token or grant, out of the one that was requested.
///
/// At a login, unknown scopes and those that the client may not have are dropped, and the token response tells what is left
/// (RFC 6749 §3.3, OpenID Connect Core §3.1.2.1). Elsewhere all of it is given or none.
///
/// # Errors
/// When nothing may be given of it, or not all where all is to be given.
pub(crate) fn scope(basis: Basis<'_>, requested: Option<&Scope>) -> Result<Scope, ScopeError> {
    let all_of = |requested: &Scope, most: &Scope, error| {
        if requested.is_within(most) { Ok(requested.clone()) } else { Err(error) }
    };
    match (basis, requested) {
        // OpenID Connect begins only where it is asked for.
        (Basis::Login(client), None) => Ok(client.scopes.iter().filter(|token| *token != "openid").collect()),
        (Basis::Login(client), Some(requested)) => {
            let left = requested.within(&client.scopes);
            if left.is_empty() { Err(ScopeError::NotTheClients) } else { Ok(left) }
        }
        (Basis::Itself(client), requested) => {
            let own: Scope = client.scopes.iter().filter(|token| !OF_A_USER.contains(token)).collect();
            all_of(requested.unwrap_or(&own), &own, ScopeError::NotTheClients)
        }
        (Basis::Granted(granted), None) => Ok(granted.clone()),
        (Basis::Granted(granted), Some(requested)) => all_of(requested, granted, ScopeError::Wider),
    }
}

/// The audience of a token: the resources requested, or else those granted, or else all of the client's (RFC 8707 §2.2).
///
/// # Errors
/// When one is requested that is not the client's, or was not granted.
pub(crate) fn audience<'a>(
    client: &'a Client,
    granted: &'a [String],
    requested: &'a [String],
) -> Result<&'a [String], UnknownResource> {
    let granted = if granted.is_empty() { &client.audience } else { granted };
    if requested.is_empty() {
        return Ok(granted);
    }
    let known = requested.iter().all(|one| granted.contains(one) && client.audience.contains(one));
    if known { Ok(requested) } else { Err(UnknownResource) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client {
            scopes: scope_of("openid profile orders:read"),
            audience: vec!["orders".into(), "stock".into()],
            ..Client::sample("web")
        }
    }

    fn scope_of(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn what_a_login_may_have_is_given_and_the_rest_is_dropped() {
        let client = client();
        for (requested, given) in [
            (None, Ok("profile orders:read")),
            (Some("openid"), Ok("openid")),
            (Some("orders:read unknown openid"), Ok("orders:read openid")),
            (Some("unknown"), Err(ScopeError::NotTheClients)),
            (Some(""), Err(ScopeError::NotTheClients)),
        ] {
            let scope = scope(Basis::Login(&client), requested.map(scope_of).as_ref());
            assert_eq!(scope, given.map(scope_of), "{requested:?}");
        }
    }

    #[test]
    fn a_client_itself_gets_all_that_it_named_or_nothing_and_never_a_users_scope() {
        let client = client();
        for (requested, given) in [
            (None, Ok("orders:read")),
            (Some("orders:read"), Ok("orders:read")),
            (Some("orders:read unknown"), Err(ScopeError::NotTheClients)),
            (Some("profile"), Err(ScopeError::NotTheClients)),
        ] {
            let scope = scope(Basis::Itself(&client), requested.map(scope_of).as_ref());
            assert_eq!(scope, given.map(scope_of), "{requested:?}");
        }
    }

    #[test]
    fn nothing_is_given_beyond_what_was_granted() {
        let granted = scope_of("openid profile");
        for (requested, given) in [
            (None, Ok("openid profile")),
            (Some("profile"), Ok("profile")),
            (Some("profile email"), Err(ScopeError::Wider)),
        ] {
            let scope = scope(Basis::Granted(&granted), requested.map(scope_of).as_ref());
            assert_eq!(scope, given.map(scope_of), "{requested:?}");
        }
    }

    #[test]
    fn an_audience_is_what_was_requested_of_what_was_granted_of_what_is_the_clients() {
        let client = client();
        let list = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        for (granted, requested, given) in [
            ("", "", Ok("orders stock")),
            ("", "stock", Ok("stock")),
            ("orders", "", Ok("orders")),
            ("orders", "orders", Ok("orders")),
            ("orders", "stock", Err(UnknownResource)),
            ("", "elsewhere", Err(UnknownResource)),
            // The settings took it from the client since it was granted.
            ("elsewhere", "elsewhere", Err(UnknownResource)),
        ] {
            let (granted, requested) = (list(granted), list(requested));
            let audience = audience(&client, &granted, &requested).map(<[String]>::to_vec);
            assert_eq!(audience, given.map(list), "{granted:?} {requested:?}");
        }
    }
}
