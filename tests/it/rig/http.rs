//! What every test does with a request, an answer or a token.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakao_auth::domain::UserId;
use reqwest::{Client, Response};
use serde_json::Value;
use url::Url;

/// A client without cookies that follows nothing.
pub(crate) fn http() -> Client {
    // Making one costs more than a request: two hundred at once would keep the others waiting past the service's patience.
    // It keeps no connection, so tests do not meet in it.
    static ONE: LazyLock<Client> = LazyLock::new(|| {
        Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    });
    ONE.clone()
}

/// Where an answer redirects to, if it does.
pub(crate) fn redirect(response: &Response) -> Option<String> {
    response.headers().get("location").map(|value| value.to_str().unwrap().to_owned())
}

/// Where an answer redirects to, which it must.
pub(crate) fn location(response: &Response) -> String {
    redirect(response).unwrap_or_else(|| panic!("no redirect but {}", response.status()))
}

/// A parameter of a URL's query, decoded.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token, unverified.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// The access token of a token response.
pub(crate) fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("no access token in {tokens}"))
}

/// The refresh token of a token response.
pub(crate) fn refresh_token(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().unwrap_or_else(|| panic!("no refresh token in {tokens}"))
}

/// The user of a token response.
pub(crate) fn user_of(tokens: &Value) -> UserId {
    UserId(claims(access_token(tokens))["sub"].as_str().unwrap().parse().unwrap())
}

/// What the revocation feed lists for a claim of a token.
pub(crate) fn feed_entry(claim: &str, value: &Value) -> String {
    let text = [super::ISSUER, claim, value.as_str().unwrap()].join("\0");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..12])
}

/// The body of an answer that must be JSON.
pub(crate) async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}
