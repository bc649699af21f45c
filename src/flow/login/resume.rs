//! Resumes a login that was lost on the way: the request travels once more, sealed, in the `state` that goes to Kakao.
//!
//! Nothing of it is trusted when it comes back: it leads to the beginning, where everything is proven anew.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::{ResumeToken, paths};
use crate::flow::Deps;
use crate::flow::params::Params;
use crate::keys::{self, Keys, Purpose};

/// The longest resume token that goes into Kakao's `state`: a longer one is left out rather than a URL risked.
const MAX_SEALED: usize = 1500;

/// How long a lost login can be resumed from its callback.
const RESUMABLE: Duration = Duration::from_hours(24);

/// The way back to the beginning of a login, for a page that a person reads.
pub(crate) struct ResumeLink {
    /// The client's name.
    pub(crate) client: String,
    /// Where to go.
    pub(crate) href: String,
}

/// Kakao's `state`: that of the attempt, and behind a dot the resume token, if it is not too long.
pub(crate) fn state_with(
    keys: &Keys,
    mut state: String,
    resume: Option<&ResumeToken>,
) -> Result<String, keys::Error> {
    let Some(resume) = resume else { return Ok(state) };
    let json = serde_json::to_vec(resume).map_err(keys::Error::from)?;
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
pub(crate) fn open(keys: &Keys, state: &str) -> Option<ResumeToken> {
    let (_, sealed) = state.split_once('.')?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    serde_json::from_slice(&keys.master.decrypt(Purpose::ResumeToken, b"", &sealed)?).ok()
}

/// How the login whose callback has these parameters can be resumed in a browser that does not hold it.
pub(crate) fn link(deps: &Deps, callback: &Params) -> Option<ResumeLink> {
    let resume = open(&deps.keys, callback.one("state").ok()??)?;
    let too_old = deps.clock.now().since(resume.began_at) > RESUMABLE;
    let client = deps.clients.find(resume.client.as_str()).filter(|_| !too_old)?;
    let href = match &client.initiate_login_uri {
        // In another browser only the client itself can begin: its own state and verifier are not here.
        Some(uri) => {
            let iss = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("iss", deps.policy.issuer.as_str())
                .finish();
            format!("{uri}{}{iss}", if uri.contains('?') { '&' } else { '?' })
        }
        None => format!("{}?{}", deps.policy.issuer.join(paths::AUTHORIZE), resume.query),
    };
    Some(ResumeLink { client: client.name.clone(), href })
}
