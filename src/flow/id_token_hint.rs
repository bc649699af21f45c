//! Reads an ID token of ours that a client shows back: `id_token_hint` (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2).

use serde::Deserialize;

use super::Deps;
use crate::domain::{GrantId, UserId};
use crate::keys::signer::TokenType;

/// What a genuine ID token of ours says. It may be long expired: it tells who is meant, it proves nobody's presence.
#[derive(Deserialize)]
pub(crate) struct Hint {
    iss: String,
    pub(crate) sub: UserId,
    /// At which client.
    #[serde(rename = "aud")]
    pub(crate) client: String,
    /// In which login.
    pub(crate) sid: GrantId,
}

/// The hint, if a key of ours signed it.
pub(crate) fn read(deps: &Deps, text: &str) -> Option<Hint> {
    let hint: Hint = deps.keys.ring().verify(TokenType::IdToken, text)?;
    (hint.iss == deps.policy.issuer.as_str()).then_some(hint)
}
