//! A person's browser.

use std::collections::HashMap;
use std::sync::Mutex;

use kakao_auth::domain::pkce::CodeChallenge;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::{ISSUER, Rig, VERIFIER, WEB, http, location, parameter};

/// A valid authorization request of the web client, with changes: a value replaces, an empty one removes.
pub(crate) fn authorization_request(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let challenge = CodeChallenge::of(VERIFIER);
    let mut pairs: Vec<(String, String)> = [
        ("client_id", "web"),
        ("redirect_uri", WEB),
        ("response_type", "code"),
        ("scope", "openid profile email account"),
        ("state", "client-state"),
        ("nonce", "client-nonce"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, value) in changes {
        pairs.retain(|(given, _)| given != name);
        if !value.is_empty() {
            pairs.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    pairs
}

/// A browser: keeps cookies, and stops at the client's address.
///
/// What it is pointed at says what else it can do: see the blocks below, and `conformance::suite`.
pub(crate) struct Browser<'a, S = Rig> {
    pub(crate) service: &'a S,
    pub(crate) cookies: Mutex<HashMap<String, String>>,
}

impl<'a, S> Browser<'a, S> {
    pub(crate) fn new(service: &'a S) -> Self {
        Self { service, cookies: Mutex::default() }
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        self.send(http().get(url)).await
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.header("Cookie", cookies.join("; ")) };
        let response = request.send().await.unwrap();
        let mut jar = self.cookies.lock().unwrap();
        for header in response.headers().get_all("set-cookie") {
            let text = header.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if text.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        drop(jar);
        response
    }
}

impl Browser<'_> {
    /// `/oauth/authorize` at an instance.
    pub(crate) async fn authorize(&self, request: &[(String, String)]) -> Response {
        self.send(http().get(self.service.url(0, "/oauth/authorize")).query(request)).await
    }

    /// From the client's button to Kakao's redirect: the URL of the callback, at an instance.
    pub(crate) async fn until_callback(&self, request: &[(String, String)]) -> String {
        let to_kakao = location(&self.authorize(request).await);
        let callback = location(&self.get(&to_kakao).await);
        assert!(callback.starts_with(ISSUER), "{callback}");
        callback
    }

    /// Opens the callback at an instance.
    pub(crate) async fn open_callback(&self, instance: usize, callback: &str) -> Response {
        let path = callback.strip_prefix(ISSUER).unwrap();
        self.get(&self.service.url(instance, path)).await
    }

    /// Posts a form to an instance.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.send(http().post(self.service.url(0, path)).form(form)).await
    }

    /// Logs in at the web client and redeems the code.
    pub(crate) async fn tokens(&self, changes: &[(&str, &str)]) -> Value {
        let landed = self.log_in(&authorization_request(changes)).await;
        self.redeem(&landed).await
    }

    /// A login without Kakao: where the browser's session leads at once.
    pub(crate) async fn at_once(&self, changes: &[(&str, &str)]) -> String {
        let landed = location(&self.authorize(&authorization_request(changes)).await);
        assert!(!landed.starts_with(self.service.kakao.base_url()), "to Kakao: {landed}");
        landed
    }

    /// Redeems the code of the web client's address.
    pub(crate) async fn redeem(&self, landed: &str) -> Value {
        let code = parameter(landed, "code").unwrap_or_else(|| panic!("no code in {landed}"));
        self.service.redeem(0, &code).await.json().await.unwrap()
    }

    /// The whole way: the address at the client where the browser lands.
    pub(crate) async fn log_in(&self, request: &[(String, String)]) -> String {
        let callback = self.until_callback(request).await;
        location(&self.open_callback(0, &callback).await)
    }
}
