//! A client asks for a token of its own (RFC 6749 §4.4).

use super::issue::{TokenResponse, issue_to_client};
use super::{Deps, Error, Refusal};
use crate::domain::{Client, Scope};

/// Scopes that are about a person; nobody is there.
const OF_A_PERSON: [&str; 4] = ["openid", "profile", "email", "phone"];

/// Issues an access token without a user. Without `scope` the client gets all that it may have.
pub fn client_credentials(
    deps: &Deps,
    client: &Client,
    scope: Option<&Scope>,
    resource: &[String],
) -> Result<TokenResponse, Error> {
    let own: Scope = client.scopes.iter().filter(|token| !OF_A_PERSON.contains(token)).collect();
    let granted = match scope {
        None => own,
        Some(asked) if asked.is_within(&own) => asked.clone(),
        Some(_) => return Err(Refusal::ScopeInvalid.into()),
    };
    let audience = client.audience_of(&[], resource).ok_or(Refusal::ResourceUnknown)?;
    issue_to_client(deps, client, &granted, audience)
}
