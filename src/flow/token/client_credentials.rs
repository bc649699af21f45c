//! A client asks for a token of its own (RFC 6749 §4.4).

use super::issue::{TokenResponse, issue_to_client};
use crate::domain::access::{self, Basis};
use crate::domain::{Client, Scope};
use crate::flow::refusal::TokenRefusal;
use crate::flow::{Deps, Error};

/// Issues an access token without a user. Without `scope` the client gets all that it may have.
pub(crate) fn client_credentials(
    deps: &Deps,
    client: &Client,
    scope: Option<&Scope>,
    resource: &[String],
) -> Result<TokenResponse, Error<TokenRefusal>> {
    let granted = access::scope(Basis::Itself(client), scope)?;
    let audience = access::audience(client, &[], resource)?;
    Ok(issue_to_client(deps, client, &granted, audience)?)
}
