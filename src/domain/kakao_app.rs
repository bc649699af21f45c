//! Our app at Kakao, as the operator registered it.

use std::time::Duration;

use url::Url;

use super::{AdminKey, Issuer, KakaoClientSecret, paths};

/// The one description of the app: `settings` fills it, `kakao` speaks for it.
#[derive(Clone, Debug)]
pub struct KakaoApp {
    /// The REST API key.
    pub(crate) client_id: String,
    /// The client secret of that key, unless it was switched off at Kakao.
    pub client_secret: Option<KakaoClientSecret>,
    /// Unlinks users and reads their profiles without a token of theirs; proves Kakao's unlink webhook.
    pub(crate) admin_key: Option<AdminKey>,
    /// The app's number, which `access_token_info` and the webhooks name.
    pub(crate) app_id: Option<i64>,
    /// Further keys of the same app, whose ID tokens are ours too.
    pub(crate) app_keys: Vec<String>,
    /// Consent items to ask for; none: Kakao's console decides.
    pub(crate) scopes: Vec<String>,
    /// `https://kauth.kakao.com`, or a simulator.
    pub(crate) auth_base_url: Url,
    /// `https://kapi.kakao.com`, or a simulator.
    pub(crate) api_base_url: Url,
    /// The redirect URI that is registered at Kakao.
    pub(crate) redirect_uri: String,
    /// The logout redirect URI that is registered at Kakao.
    pub(crate) logout_redirect_uri: String,
    /// For one call to Kakao in all.
    pub(crate) timeout: Duration,
}

impl KakaoApp {
    /// The redirect URI to register at Kakao.
    pub(crate) fn redirect_uri_of(issuer: &Issuer) -> String {
        issuer.join(paths::KAKAO_CALLBACK)
    }

    /// The logout redirect URI to register at Kakao.
    pub(crate) fn logout_redirect_uri_of(issuer: &Issuer) -> String {
        issuer.join(paths::KAKAO_LOGOUT)
    }
}
