//! Tells what a person shares with a client (OpenID Connect Core §5.3).

use serde_json::{Value, json};

use super::refusal::BearerRefusal;
use super::token::claims::ProfileClaims;
use super::users as users_flow;
use super::{Bearer, Error};
use crate::keys;
use crate::store::Db;
use crate::store::users;

/// The claims that the token's scopes tell, always with `sub`.
pub(crate) async fn userinfo(db: &mut Db, caller: &Bearer) -> Result<Value, Error<BearerRefusal>> {
    let user = users::find(db, caller.user).await?.ok_or(BearerRefusal::TokenInvalid)?;
    if user.disabled_at.is_some() {
        return Err(BearerRefusal::TokenInvalid.into());
    }
    let mut claims =
        serde_json::to_value(ProfileClaims::of_scope(&user, &caller.scope)).map_err(keys::Error::from)?;
    claims["sub"] = json!(user.id);
    Ok(claims)
}

/// The claims that the token's scopes tell, with what is the service's own: roles, and when the account was made.
pub(crate) async fn me(db: &mut Db, caller: &Bearer) -> Result<Value, Error<BearerRefusal>> {
    let user = users::find(db, caller.user).await?.ok_or(BearerRefusal::TokenInvalid)?;
    let mut claims =
        serde_json::to_value(ProfileClaims::of_scope(&user, &caller.scope)).map_err(keys::Error::from)?;
    claims["id"] = json!(user.id);
    claims["roles"] = json!(user.roles);
    claims["created_at"] = json!(user.created_at.secs());
    claims["last_login_at"] = json!(user.last_login_at.secs());
    if caller.scope.contains("profile") {
        claims["kakao"] = users_flow::kakao(&user);
    }
    Ok(claims)
}
