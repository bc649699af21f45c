//! Leads a person whose login was lost on the way back to the client: where the login began travels, sealed, in the `state` that
//! goes to Kakao.
//!
//! Whoever shows that `state` may be a stranger, and in another browser the client's own `state` and verifier are not there: so
//! nothing of the first request is shown or used again, and the client begins anew.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::request::ClientResponseTarget;
use crate::domain::{LoginAttempt, ResponseMode, ResumeToken};
use crate::flow::Deps;
use crate::flow::params::Params;
use crate::keys::{self, Keys, Purpose};

/// The longest resume token that goes into Kakao's `state`: a longer one is left out rather than a URL risked.
const MAX_SEALED: usize = 1500;

/// How long a lost login can be resumed from its callback.
const RESUMABLE: Duration = Duration::from_hours(24);

/// The way back to the beginning of a login, for a page that a person reads.
pub(crate) struct WayBack {
    /// The client's name.
    pub(crate) client: String,
    pub(crate) to: BackTo,
}

/// Where a lost login leads back to.
pub(crate) enum BackTo {
    /// The address where the client's logins begin.
    Beginning(String),
    /// The client's redirect URI, where an error tells it that there is no login.
    RedirectUri(ClientResponseTarget),
}

/// Kakao's `state`: that of the attempt, and behind a dot the resume token, if it is not too long.
pub(crate) fn state_with(
    keys: &Keys,
    mut state: String,
    attempt: &LoginAttempt,
) -> Result<String, keys::Error> {
    let resume = ResumeToken {
        client: attempt.request.client.clone(),
        redirect_uri: attempt.binding.redirect_uri.clone(),
        mode: attempt.mode,
        began_at: attempt.began_at,
    };
    let json = serde_json::to_vec(&resume).map_err(keys::Error::from)?;
    let sealed = URL_SAFE_NO_PAD.encode(keys.master.encrypt(Purpose::ResumeToken, b"", &json)?);
    if sealed.len() <= MAX_SEALED {
        state.push('.');
        state.push_str(&sealed);
    }
    Ok(state)
}

/// The part of Kakao's `state` that names the attempt.
pub(crate) fn attempt_state(state: &str) -> &str {
    state.split_once('.').map_or(state, |(attempt, _)| attempt)
}

/// The resume token out of a `state` that came back from Kakao.
fn open(keys: &Keys, state: &str) -> Option<ResumeToken> {
    let (_, sealed) = state.split_once('.')?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    serde_json::from_slice(&keys.master.decrypt(Purpose::ResumeToken, b"", &sealed)?).ok()
}

/// The way back for the login whose callback has these parameters, in a browser that does not hold it.
pub(crate) fn way_back(deps: &Deps, callback: &Params) -> Option<WayBack> {
    let resume = open(&deps.keys, callback.one("state").ok()??)?;
    let too_old = deps.clock.now().since(resume.began_at) > RESUMABLE;
    let client = deps.clients.find(resume.client.as_str()).filter(|_| !too_old)?;
    let to = match &client.initiate_login_uri {
        Some(uri) => {
            let iss = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("iss", deps.policy.issuer.as_str())
                .finish();
            BackTo::Beginning(format!("{uri}{}{iss}", if uri.contains('?') { '&' } else { '?' }))
        }
        // A link cannot post.
        None if resume.mode == ResponseMode::FormPost || !client.has_redirect_uri(&resume.redirect_uri) => {
            return None;
        }
        None => BackTo::RedirectUri(ClientResponseTarget {
            redirect_uri: resume.redirect_uri,
            state: None,
            mode: resume.mode,
        }),
    };
    Some(WayBack { client: client.name.clone(), to })
}
