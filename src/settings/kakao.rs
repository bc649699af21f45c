//! `[kakao]`: the app, and what flows do with it.

use std::time::Duration;

use url::Url;

use super::reader::Reader;
use super::value::seconds;
use crate::domain::redirect::is_this_machine;
use crate::domain::{AdminKey, Issuer, KakaoApp, KakaoClientSecret, KakaoPolicy};

pub(super) fn app(r: &mut Reader, issuer: Option<&Issuer>) -> Option<KakaoApp> {
    let client_id = r.required("kakao.client_id", plain);
    let client_secret =
        r.optional_secret("kakao.client_secret", |text| plain(text).map(KakaoClientSecret::new));
    let admin_key = r.optional_secret("kakao.admin_key", |text| plain(text).map(AdminKey::new));
    let app_id = r.optional("kakao.app_id", app_number);
    let app_keys = r.list("kakao.app_keys", plain);
    let scopes = r.list("kakao.scopes", consent_item);
    let auth_base_url = r.required("kakao.auth_base_url", base_url);
    let api_base_url = r.required("kakao.api_base_url", base_url);
    let timeout = r.duration("kakao.timeout", &(Duration::from_millis(100)..=seconds(30)));
    let issuer = issuer?;
    Some(KakaoApp {
        client_id: client_id?,
        client_secret,
        admin_key,
        app_id,
        app_keys,
        scopes,
        auth_base_url: auth_base_url?,
        api_base_url: api_base_url?,
        redirect_uri: KakaoApp::redirect_uri_of(issuer),
        logout_redirect_uri: KakaoApp::logout_redirect_uri_of(issuer),
        timeout,
    })
}

pub(super) fn policy(r: &mut Reader) -> KakaoPolicy {
    KakaoPolicy {
        service_terms: r.flag("kakao.service_terms"),
        in_app_login: r.flag("kakao.in_app_login"),
        renew_per_minute: r.number("kakao.renew_per_minute", 0..=600),
    }
}

fn plain(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("it must be printable ASCII without spaces".to_owned()) }
}

fn app_number(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| "it must be the app's number".to_owned())
}

fn consent_item(text: &str) -> Result<String, String> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    if fits { Ok(text.to_owned()) } else { Err(format!("{text:?} is not the id of a consent item")) }
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "it is not a URL".to_owned())?;
    let single_label = url.host_str().is_some_and(|host| !host.contains(['.', ':']));
    match url.scheme() {
        "https" => {}
        // A simulator beside us, on this machine or in the same container network.
        "http" if is_this_machine(&url) || single_label => {}
        _ => {
            return Err(
                "it must begin with https://; http is only for a simulator on this machine".to_owned()
            );
        }
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no path, query or fragment".to_owned());
    }
    Ok(url)
}
