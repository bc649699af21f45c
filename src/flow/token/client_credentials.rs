//! A client asks for a token of its own (RFC 6749 §4.4).

use super::issue::{TokenResponse, issue_to_client};
use crate::domain::access::{self, Access, Asked};
use crate::domain::{Client, Scope};
use crate::flow::refusal::TokenRefusal;
use crate::flow::{Deps, Error};

/// Issues an access token without a user. Without `scope` the client gets all that it may have of other APIs than ours.
pub(crate) fn client_credentials(
    deps: &Deps,
    client: &Client,
    scope: Option<&Scope>,
    resource: &[String],
) -> Result<TokenResponse, Error<TokenRefusal>> {
    let asked = Asked { scope, resource };
    let Access { scope, audience } = access::of_client(deps.policy.issuer.as_str(), client, asked)?;
    Ok(issue_to_client(deps, client, &scope, &audience)?)
}
