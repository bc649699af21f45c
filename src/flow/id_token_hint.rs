//! Reads an ID token of ours that a client shows back: `id_token_hint` (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2).
//!
//! It identifies a login for as long as that can live, over any number of key rotations. One that cannot be verified counts as
//! none.

use serde::Deserialize;

use super::Deps;
use crate::domain::{GrantId, UserId};

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

/// The hint, if a key of ours signed it and was not retired in haste.
pub(crate) fn read(deps: &Deps, text: &str) -> Option<Hint> {
    let hint: Hint = deps.keys.ring().verify_hint(text)?;
    (hint.iss == deps.policy.issuer.as_str()).then_some(hint)
}
