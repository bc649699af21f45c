//! Reads an access token of ours that a caller shows to us (RFC 6750, RFC 9068 §4).

use serde::Deserialize;
use uuid::Uuid;

use super::refusal::BearerRefusal;
use super::{Deps, Error};
use crate::domain::secret::Secret;
use crate::domain::{AccessToken, Audience, GrantId, Scope, UserId};
use crate::keys::signer::TokenType;
use crate::store::grants;
use crate::store::{self, Db};

/// What an access token of ours says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct VerifiedToken {
    iss: String,
    /// A user's id, or the id of a client that acts for itself.
    pub(crate) sub: String,
    /// For whom.
    pub(crate) aud: Audience,
    /// To whom it was issued.
    pub(crate) client_id: String,
    /// What was granted.
    #[serde(default)]
    pub(crate) scope: String,
    /// Seconds since the epoch.
    pub(crate) iat: i64,
    /// Seconds since the epoch.
    pub(crate) exp: i64,
    pub(crate) jti: Uuid,
    /// The login; a client that acts for itself has none.
    pub(crate) sid: Option<GrantId>,
    /// Seconds since the epoch.
    pub(crate) auth_time: Option<i64>,
}

/// A person behind an access token, whose login still lives.
pub(crate) struct Bearer {
    pub(crate) user: UserId,
    /// To whom the token was issued.
    pub(crate) client: String,
    /// The login.
    pub(crate) grant: GrantId,
    /// What was granted.
    pub(crate) scope: Scope,
}

/// A client that acts for itself behind an access token.
pub(crate) struct Service {
    pub(crate) client: String,
}

impl VerifiedToken {
    /// Verifies form, signature, issuer and time; whether the login still lives is for the caller to ask. One of our own
    /// clocks wrote the times, so no leeway is needed.
    pub(crate) fn read<K>(deps: &Deps, token: &Secret<K>) -> Option<Self> {
        let claims: Self = deps.keys.ring().verify(TokenType::AccessToken, token.reveal())?;
        (claims.iss == deps.policy.issuer.as_str() && claims.exp > deps.clock.now().secs()).then_some(claims)
    }

    /// The same of a token that is for our own endpoints (RFC 9068 §4): whoever else it is for could call them with it.
    fn for_us(deps: &Deps, token: &AccessToken) -> Result<Self, BearerRefusal> {
        let claims = Self::read(deps, token).ok_or(BearerRefusal::TokenInvalid)?;
        if claims.aud.contains(deps.policy.issuer.as_str()) {
            Ok(claims)
        } else {
            Err(BearerRefusal::NotForUs)
        }
    }

    /// Whether its client is still one of ours, and the login that it came of has not been ended. One SELECT by primary key.
    pub(crate) async fn is_live(&self, deps: &Deps, db: &mut Db) -> Result<bool, store::Error> {
        if deps.clients.find(&self.client_id).is_none() {
            return Ok(false);
        }
        match self.sid {
            Some(grant) => Ok(grants::is_not_ended(db, grant).await?),
            None => Ok(true),
        }
    }
}

/// Accepts the access token that a client got for itself (RFC 6749 §4.4), with this scope.
pub(crate) fn service(
    deps: &Deps,
    token: &AccessToken,
    scope: &'static str,
) -> Result<Service, BearerRefusal> {
    let claims = VerifiedToken::for_us(deps, token)?;
    // A person's token has a login; its `sub` is never a client's id.
    if claims.sid.is_some()
        || claims.sub != claims.client_id
        || deps.clients.find(&claims.client_id).is_none()
    {
        return Err(BearerRefusal::TokenInvalid);
    }
    if !Scope::parse(&claims.scope).unwrap_or_default().contains(scope) {
        return Err(BearerRefusal::ScopeMissing(scope));
    }
    Ok(Service { client: claims.client_id })
}

/// Accepts the access token of a person whose login still lives, with this scope.
pub(crate) async fn bearer(
    deps: &Deps,
    db: &mut Db,
    token: &AccessToken,
    required: &'static str,
) -> Result<Bearer, Error<BearerRefusal>> {
    let claims = VerifiedToken::for_us(deps, token)?;
    let grant = claims.sid.ok_or(BearerRefusal::TokenInvalid)?;
    if !claims.is_live(deps, db).await? {
        return Err(BearerRefusal::TokenInvalid.into());
    }
    let user = UserId(claims.sub.parse().map_err(|_| BearerRefusal::TokenInvalid)?);
    let scope = Scope::parse(&claims.scope).unwrap_or_default();
    if !scope.contains(required) {
        return Err(BearerRefusal::ScopeMissing(required).into());
    }
    Ok(Bearer { user, client: claims.client_id, grant, scope })
}

/// Refuses whoever did not log in lately: what cannot be undone is not for a session that was left open (RFC 9470).
pub(crate) async fn require_fresh_login(
    deps: &Deps,
    db: &mut Db,
    caller: &Bearer,
) -> Result<(), Error<BearerRefusal>> {
    let max_age = deps.policy.account.fresh_login;
    if grants::is_of_login_since(db, caller.grant, deps.clock.now() - max_age).await? {
        Ok(())
    } else {
        Err(BearerRefusal::LoginTooOld { max_age }.into())
    }
}
