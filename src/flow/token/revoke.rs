//! Revokes a token (RFC 7009). Both kinds end the whole grant: a client that gives a token back is done with the login.

use super::end::end;
use crate::domain::{AnyToken, Client, EndReason};
use crate::flow::bearer::VerifiedToken;
use crate::flow::refusal::TokenRefusal;
use crate::flow::{Deps, Error};
use crate::keys::refresh_token;
use crate::store::{Db, grants};

/// Ends the grant of a token of this client. A token that is unknown, expired or somebody else's is left alone, and the
/// answer does not tell (RFC 7009 §2.2).
pub(crate) async fn revoke(
    deps: &Deps,
    db: &mut Db,
    client: &Client,
    token: &AnyToken,
) -> Result<(), Error<TokenRefusal>> {
    let grant = if refresh_token::is_meant(token.reveal()) {
        refresh_token::read(&deps.keys.master, token.reveal()).map(|presented| presented.grant)
    } else {
        match VerifiedToken::read(deps, token) {
            Some(claims) if claims.client_id != client.id.as_str() => None,
            Some(claims) => Some(claims.sid.ok_or(TokenRefusal::TokenKindUnrevocable)?),
            None => None,
        }
    };
    let Some(grant) = grant else { return Ok(()) };
    match grants::find(db, grant).await? {
        Some(grant) if grant.client == client.id => Ok(end(deps, db, &grant, EndReason::Revoked).await?),
        _ => Ok(()),
    }
}
