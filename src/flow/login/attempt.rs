//! The login attempt as the browser carries it: sealed in a cookie of its own, from the authorization request to Kakao's
//! callback. The server keeps nothing of it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::{AttemptId, LoginAttempt};
use crate::flow::Error;
use crate::flow::refusal::{AuthorizeRefusal, RequestRefusal};
use crate::keys::attempt::AttemptKeys;
use crate::keys::{self, Keys, Purpose};

/// How long a person may take at Kakao.
pub(crate) const ATTEMPT_TTL: Duration = Duration::from_mins(10);

/// The largest sealed attempt that browsers keep in a cookie (RFC 6265 §6.1: 4096 bytes with its name).
const MAX_SEALED: usize = 3900;

/// A sealed attempt.
pub(crate) struct SealedAttempt {
    /// Names it, and its cookie.
    pub(crate) id: AttemptId,
    /// The value of the cookie.
    pub(crate) cookie: String,
}

/// The name of the attempt's cookie, to which its seal is bound; where there is https, `__Host-` stands before it.
pub(crate) fn cookie_name(attempt: AttemptId) -> String {
    format!("login-{attempt}")
}

/// The derivations of an attempt.
pub(crate) fn keys_of<'a>(keys: &'a Keys, attempt: &'a LoginAttempt) -> AttemptKeys<'a> {
    AttemptKeys::new(&keys.master, &attempt.seed)
}

/// Seals an attempt into the value of its cookie.
///
/// # Errors
/// When it is larger than browsers keep: then `state`, `nonce` and `redirect_uri` are.
pub(crate) fn seal(keys: &Keys, attempt: &LoginAttempt) -> Result<SealedAttempt, Error<AuthorizeRefusal>> {
    let id = AttemptId::of_state(keys_of(keys, attempt).state().reveal());
    let json = serde_json::to_vec(attempt).map_err(keys::Error::from)?;
    let sealed = keys.master.encrypt(Purpose::LoginCookie, cookie_name(id).as_bytes(), &json)?;
    let cookie = URL_SAFE_NO_PAD.encode(sealed);
    if cookie.len() > MAX_SEALED {
        let sentence = "state, nonce and redirect_uri together are too long";
        return Err(RequestRefusal::ParameterInvalid("state", sentence).into());
    }
    Ok(SealedAttempt { id, cookie })
}

/// Opens the value of the cookie of the attempt that `state` names. `None` if it is not that attempt's.
pub(crate) fn open(keys: &Keys, state: &str, cookie: &str) -> Option<LoginAttempt> {
    let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
    let name = cookie_name(AttemptId::of_state(state));
    let json = keys.master.decrypt(Purpose::LoginCookie, name.as_bytes(), &sealed)?;
    let attempt: LoginAttempt = serde_json::from_slice(&json).ok()?;
    keys_of(keys, &attempt).state().matches(state).then_some(attempt)
}
