//! What a token may carry: the one place that decides its scope and its audience, for every grant type.
//!
//! Our own API is a resource beside those of the clients; the issuer names it. Its scopes are given only when they are named, and
//! go only into tokens that are for it alone: whoever else receives a token of ours can do nothing with it here.

use super::{Client, Grant, Scope};

/// Scopes about a user; a client that acts for itself has none.
const OF_A_USER: [&str; 5] = ["openid", "profile", "email", "phone", ACCOUNT];

/// The scope of our own API by which a user's account is changed.
pub(crate) const ACCOUNT: &str = "account";

/// The scopes of our own API for clients that act for themselves.
const OF_A_SERVICE: [&str; 3] = ["users:read", "kakao:token", "admin"];

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    /// `scope`
    pub(crate) scope: Option<&'a Scope>,
    /// `resource` (RFC 8707); none: all that may be had but our own API.
    pub(crate) resource: &'a [String],
}

/// What a token carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Its scope.
    pub(crate) scope: Scope,
    /// Its `aud`.
    pub(crate) audience: Vec<String>,
}

/// Why a request is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessError {
    /// The client may have nothing of the scope, or not all of it.
    #[error("the client may not have this scope")]
    NotTheClients,
    /// The scope is wider than what was granted (RFC 6749 §6).
    #[error("the scope is wider than what was granted")]
    Wider,
    /// `account` is named, and not the resource that it is for.
    #[error("the scope is given with the issuer as the resource")]
    NeedsIssuer,
    /// A scope of our own API stands beside one of another.
    #[error("the scopes are of two APIs")]
    TwoApis,
    /// A resource is not the client's, or was not granted (RFC 8707 §2.2).
    #[error("a resource is not the client's, or was not granted")]
    UnknownResource,
}

/// The scope that a login grants, out of the one that was requested.
///
/// Unknown scopes and those that the client may not have are dropped, and the token response tells what is left
/// (RFC 6749 §3.3, OpenID Connect Core §3.1.2.1).
///
/// # Errors
/// When nothing is left.
pub(crate) fn of_login(client: &Client, requested: Option<&Scope>) -> Result<Scope, AccessError> {
    match requested {
        // OpenID Connect begins only where it is asked for.
        None => Ok(without(&client.scopes, |token| token == "openid" || is_of_our_api(token))),
        Some(requested) => {
            let left = without(&requested.within(&client.scopes), is_of_a_service);
            if left.is_empty() { Err(AccessError::NotTheClients) } else { Ok(left) }
        }
    }
}

/// Whether a login may ask for these resources.
///
/// # Errors
/// When one of them is neither the client's nor the issuer.
pub(crate) fn refuse_unknown(issuer: &str, client: &Client, resource: &[String]) -> Result<(), AccessError> {
    audience(issuer, client, &[], resource).map(drop)
}

/// What an access token of a user's grant carries: all that was granted, or the part that is asked for.
///
/// # Errors
/// When more is asked for than was granted, or than may stand in one token.
pub(crate) fn of_grant(
    issuer: &str,
    client: &Client,
    grant: &Grant,
    asked: Asked<'_>,
) -> Result<Access, AccessError> {
    let scope = asked.scope.unwrap_or(&grant.scope);
    if !scope.is_within(&grant.scope) {
        return Err(AccessError::Wider);
    }
    let mut audience = audience(issuer, client, &grant.resource, asked.resource)?;
    let for_us_alone = is_issuer_alone(issuer, asked.resource);
    if asked.scope.is_some_and(|scope| scope.contains(ACCOUNT)) && !for_us_alone {
        return Err(AccessError::NeedsIssuer);
    }
    let scope = without(scope, |token| is_of_a_service(token) || (token == ACCOUNT && !for_us_alone));
    // Userinfo is ours.
    if scope.contains("openid") && !audience.iter().any(|one| one == issuer) {
        audience.push(issuer.to_owned());
    }
    Ok(Access { scope, audience })
}

/// What the access token carries that a client gets for itself: all of the scope that it names, or all that it may have of other
/// APIs than ours.
///
/// # Errors
/// When it may not have that, or not in one token, or when there is nothing to have without naming it.
pub(crate) fn of_client(issuer: &str, client: &Client, asked: Asked<'_>) -> Result<Access, AccessError> {
    let own = without(&client.scopes, |token| OF_A_USER.contains(&token));
    let scope = match asked.scope {
        Some(requested) if requested.is_within(&own) => requested.clone(),
        None if own.is_empty() || own.iter().any(|token| !is_of_a_service(token)) => {
            without(&own, is_of_a_service)
        }
        Some(_) | None => return Err(AccessError::NotTheClients),
    };
    if !scope.iter().any(is_of_a_service) {
        let audience = audience(issuer, client, &[], asked.resource)?;
        return Ok(Access { scope, audience });
    }
    if !scope.iter().all(is_of_a_service) {
        return Err(AccessError::TwoApis);
    }
    if !asked.resource.is_empty() && !is_issuer_alone(issuer, asked.resource) {
        return Err(AccessError::UnknownResource);
    }
    Ok(Access { scope, audience: vec![issuer.to_owned()] })
}

/// The resources requested, or else those granted, or else all of the client's (RFC 8707 §2.2). Every client may ask for a token
/// for us.
fn audience(
    issuer: &str,
    client: &Client,
    granted: &[String],
    requested: &[String],
) -> Result<Vec<String>, AccessError> {
    let granted = if granted.is_empty() { &client.audience } else { granted };
    if requested.is_empty() {
        return Ok(granted.to_vec());
    }
    let may_have = |one: &String| one == issuer || (granted.contains(one) && client.audience.contains(one));
    if !requested.iter().all(may_have) {
        return Err(AccessError::UnknownResource);
    }
    Ok(if is_issuer_alone(issuer, requested) { vec![issuer.to_owned()] } else { requested.to_vec() })
}

fn is_issuer_alone(issuer: &str, resource: &[String]) -> bool {
    !resource.is_empty() && resource.iter().all(|one| one == issuer)
}

fn is_of_a_service(token: &str) -> bool {
    OF_A_SERVICE.contains(&token)
}

fn is_of_our_api(token: &str) -> bool {
    token == ACCOUNT || is_of_a_service(token)
}

fn without(scope: &Scope, dropped: impl Fn(&str) -> bool) -> Scope {
    scope.iter().filter(|token| !dropped(token)).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ClientId, GrantId, Stage, Timestamp, UserId};

    const ISSUER: &str = "https://auth.example";

    fn client(scopes: &str) -> Client {
        Client {
            scopes: scope_of(scopes),
            audience: vec!["orders".into(), "stock".into()],
            ..Client::sample("web")
        }
    }

    fn scope_of(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(|one| if one == "us" { ISSUER } else { one }.to_owned()).collect()
    }

    /// A scope and an audience, in which "us" stands for the issuer.
    fn access(scope: &str, audience: &str) -> Access {
        Access { scope: scope_of(scope), audience: list(audience) }
    }

    #[test]
    fn what_a_login_may_have_is_given_and_the_rest_is_dropped() {
        let client = client("openid profile account orders:read users:read admin");
        for (requested, given) in [
            (None, Ok("profile orders:read")),
            (Some("openid"), Ok("openid")),
            (Some("orders:read unknown openid"), Ok("orders:read openid")),
            (Some("openid account"), Ok("openid account")),
            (Some("openid admin users:read kakao:token"), Ok("openid")),
            (Some("admin"), Err(AccessError::NotTheClients)),
            (Some("unknown"), Err(AccessError::NotTheClients)),
            (Some(""), Err(AccessError::NotTheClients)),
        ] {
            let scope = of_login(&client, requested.map(scope_of).as_ref());
            assert_eq!(scope, given.map(scope_of), "{requested:?}");
        }
        for (resource, known) in [("", true), ("stock us", true), ("us", true), ("elsewhere", false)] {
            assert_eq!(refuse_unknown(ISSUER, &client, &list(resource)).is_ok(), known, "{resource}");
        }
    }

    #[test]
    fn a_client_itself_gets_what_it_named_of_one_api_and_never_a_users_scope() {
        let client = client("openid account orders:read stock:read users:read admin");
        let theirs = "orders stock";
        for (requested, resource, given) in [
            (None, "", Ok(access("orders:read stock:read", theirs))),
            (Some("orders:read"), "orders", Ok(access("orders:read", "orders"))),
            (Some("users:read"), "", Ok(access("users:read", "us"))),
            (Some("admin users:read"), "us", Ok(access("admin users:read", "us"))),
            (Some("admin orders:read"), "", Err(AccessError::TwoApis)),
            (Some("admin"), "orders", Err(AccessError::UnknownResource)),
            (Some("admin"), "us orders", Err(AccessError::UnknownResource)),
            (Some("kakao:token"), "", Err(AccessError::NotTheClients)),
            (Some("account"), "us", Err(AccessError::NotTheClients)),
            (Some("openid"), "", Err(AccessError::NotTheClients)),
            (Some("orders:read unknown"), "", Err(AccessError::NotTheClients)),
            (None, "elsewhere", Err(AccessError::UnknownResource)),
        ] {
            let scope = requested.map(scope_of);
            let resource = list(resource);
            let asked = Asked { scope: scope.as_ref(), resource: &resource };
            assert_eq!(of_client(ISSUER, &client, asked), given, "{requested:?} {resource:?}");
        }
        let service = Client { scopes: scope_of("openid admin"), ..client.clone() };
        let nothing_named = of_client(ISSUER, &service, Asked::default());
        assert_eq!(nothing_named, Err(AccessError::NotTheClients), "what is ours must be named");
        let bare = Client { scopes: scope_of("openid"), ..client };
        assert_eq!(of_client(ISSUER, &bare, Asked::default()), Ok(access("", theirs)));
    }

    #[test]
    fn a_grant_s_token_carries_what_was_granted_and_reaches_us_where_openid_or_the_resource_says_so() {
        let client = client("openid profile account orders:read");
        for (granted, of, requested, resource, given) in [
            ("openid profile", "", None, "", Ok(access("openid profile", "orders stock us"))),
            ("profile", "", None, "", Ok(access("profile", "orders stock"))),
            ("openid profile", "", Some("profile"), "", Ok(access("profile", "orders stock"))),
            ("openid profile", "", Some("profile email"), "", Err(AccessError::Wider)),
            ("openid", "", None, "stock", Ok(access("openid", "stock us"))),
            ("openid", "orders", None, "", Ok(access("openid", "orders us"))),
            ("profile", "orders", None, "orders", Ok(access("profile", "orders"))),
            ("profile", "orders", None, "stock", Err(AccessError::UnknownResource)),
            ("profile", "", None, "elsewhere", Err(AccessError::UnknownResource)),
            // The settings took it from the client since it was granted.
            ("profile", "elsewhere", None, "elsewhere", Err(AccessError::UnknownResource)),
            // The account is for us alone.
            ("openid account", "", None, "", Ok(access("openid", "orders stock us"))),
            ("openid account", "orders", None, "us", Ok(access("openid account", "us"))),
            ("openid account", "", None, "us us", Ok(access("openid account", "us"))),
            ("openid account", "", None, "us orders", Ok(access("openid", "us orders"))),
            ("account", "", Some("account"), "us", Ok(access("account", "us"))),
            ("openid account", "", Some("account"), "", Err(AccessError::NeedsIssuer)),
            ("openid account", "us", Some("account"), "", Err(AccessError::NeedsIssuer)),
            ("openid account", "us", None, "", Ok(access("openid", "us"))),
            ("openid account", "", Some("openid"), "us", Ok(access("openid", "us"))),
            ("openid", "", None, "us", Ok(access("openid", "us"))),
            ("openid", "", Some("account"), "us", Err(AccessError::Wider)),
            // Granted before the scope became ours.
            ("profile admin", "", None, "us", Ok(access("profile", "us"))),
        ] {
            let grant = Grant {
                id: GrantId(Uuid::nil()),
                user: UserId(Uuid::nil()),
                client: ClientId("web".into()),
                scope: scope_of(granted),
                resource: list(of),
                auth_time: None,
                roles: Vec::new(),
                expires_at: Timestamp::from_secs(0),
                stage: Stage::Issued { code_expires_at: Timestamp::from_secs(0) },
            };
            let (scope, resources) = (requested.map(scope_of), list(resource));
            let asked = Asked { scope: scope.as_ref(), resource: &resources };
            let got = of_grant(ISSUER, &client, &grant, asked);
            assert_eq!(got, given, "{granted} of {of}: {requested:?} {resource}");
        }
    }
}
