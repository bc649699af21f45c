//! The simulator is as strict as Kakao: what a service gets wrong here, it would get wrong there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use kakao_simulator::{Autopilot, Effect, Endpoint, Fault, Options, Simulator};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

const BACK: &str = "https://app.example/cb";
/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct App {
    kakao: Simulator,
    http: Client,
}

impl App {
    async fn start() -> Self {
        let options = Options { redirect_uris: vec![BACK.to_owned()], ..Options::default() };
        let kakao = Simulator::start(options).await.unwrap();
        kakao.autopilot(Autopilot::Person("all-consents".into()));
        Self { kakao, http: Client::builder().redirect(Policy::none()).build().unwrap() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.kakao.base_url())
    }

    async fn authorize(&self, changes: &[(&str, &str)]) -> Response {
        let key = self.kakao.app().rest_api_key;
        let mut query = vec![
            ("client_id", key.as_str()),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        change(&mut query, changes);
        self.http.get(self.url("/oauth/authorize")).query(&query).send().await.unwrap()
    }

    async fn code(&self) -> String {
        parameter(&self.authorize(&[]).await, "code").unwrap()
    }

    async fn token(&self, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let app = self.kakao.app();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", app.rest_api_key.as_str()),
            ("client_secret", app.client_secret.as_str()),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        change(&mut form, changes);
        read(self.http.post(self.url("/oauth/token")).form(&form).send().await.unwrap()).await
    }

    async fn get(&self, path: &str, token: &Value) -> (StatusCode, Value) {
        let token = token.as_str().unwrap();
        read(self.http.get(self.url(path)).bearer_auth(token).send().await.unwrap()).await
    }
}

/// A value replaces, an empty one removes.
fn change<'a>(pairs: &mut Vec<(&'a str, &'a str)>, changes: &[(&'a str, &'a str)]) {
    pairs.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    pairs.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
}

async fn read(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.unwrap())
}

fn parameter(response: &Response, name: &str) -> Option<String> {
    let target = Url::parse(response.headers().get("location")?.to_str().unwrap()).unwrap();
    target.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_code_becomes_tokens_once() {
    let app = App::start().await;
    let code = app.code().await;
    let (status, tokens) = app.token(&[("code", &code)]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(tokens["token_type"], "bearer");
    assert!(tokens["refresh_token"].is_string() && tokens["id_token"].is_string(), "{tokens}");
    let (status, again) = app.token(&[("code", &code)]).await;
    assert_eq!((status, &again["error_code"]), (StatusCode::BAD_REQUEST, &json!("KOE320")));
    let (status, me) = app.get("/v2/user/me", &tokens["access_token"]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(me["id"].as_i64().unwrap() > i64::from(u32::MAX), "ids are larger than 32 bits: {me}");
    assert!(me["kakao_account"]["profile"]["profile_image_url"].as_str().unwrap().starts_with("http://"));
}

#[tokio::test]
async fn what_kakao_refuses_at_the_token_endpoint_is_refused() {
    let app = App::start().await;
    for (wrong, status, koe) in [
        (("client_secret", ""), 401, "KOE010"),
        (("client_secret", "wrong"), 401, "KOE010"),
        (("client_id", ""), 401, "KOE101"),
        (("client_id", "unknown"), 401, "KOE101"),
        (("redirect_uri", "https://app.example/cb/"), 400, "KOE303"),
        (("grant_type", "password"), 400, "KOE310"),
    ] {
        let code = app.code().await;
        let (got, body) = app.token(&[("code", code.as_str()), wrong]).await;
        assert_eq!((got.as_u16(), &body["error_code"]), (status, &json!(koe)), "{wrong:?}");
    }
    let (code, verifier) = (app.code().await, "a".repeat(43));
    let (status, body) = app.token(&[("code", &code), ("code_verifier", &verifier)]).await;
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant")),
        "PKCE is checked"
    );
}

#[tokio::test]
async fn what_kakao_shows_on_its_own_page_is_not_redirected() {
    let app = App::start().await;
    for (wrong, koe) in [
        (("redirect_uri", "https://evil.example/cb"), "KOE006"),
        (("client_id", "unknown"), "KOE101"),
        (("client_id", ""), "KOE207"),
    ] {
        let page = app.authorize(&[wrong]).await;
        assert!(page.headers().get("location").is_none(), "{wrong:?}");
        assert!(page.text().await.unwrap().contains(koe), "{wrong:?}");
    }
    app.kakao.autopilot(Autopilot::Cancel);
    let cancelled = app.authorize(&[]).await;
    assert_eq!(parameter(&cancelled, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&cancelled, "state").as_deref(), Some("s"));
}

#[tokio::test]
async fn a_refresh_token_is_replaced_only_in_its_last_month() {
    let app = App::start().await;
    let code = app.code().await;
    let (_, tokens) = app.token(&[("code", &code)]).await;
    let old = tokens["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", old.as_str())];
    let (_, fresh) = app.token(&refresh).await;
    assert!(fresh["access_token"].is_string() && fresh.get("refresh_token").is_none(), "{fresh}");
    app.kakao.advance_clock(Duration::from_hours(24 * 31));
    let (_, fresh) = app.token(&refresh).await;
    let new = fresh["refresh_token"].as_str().unwrap().to_owned();
    let (status, gone) = app.token(&refresh).await;
    assert_eq!((status, &gone["error_code"]), (StatusCode::BAD_REQUEST, &json!("KOE322")));
    app.kakao.advance_clock(Duration::from_hours(24 * 61));
    let (_, dead) = app.token(&[("grant_type", "refresh_token"), ("refresh_token", &new)]).await;
    assert_eq!(dead["error_code"], "KOE322");
}

#[tokio::test]
async fn the_mobile_sdks_log_in_with_the_native_key_and_without_a_secret() {
    let app = App::start().await;
    let native = app.kakao.app().native_app_key;
    let back = format!("kakao{native}://oauth");
    let landed = app.authorize(&[("client_id", &native), ("redirect_uri", &back)]).await;
    let code = parameter(&landed, "code").unwrap();
    let form =
        [("client_id", native.as_str()), ("redirect_uri", &back), ("client_secret", ""), ("code", &code)];
    let (status, tokens) = app.token(&form).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let (status, info) = app.get("/v1/user/access_token_info", &tokens["access_token"]).await;
    assert_eq!((status, &info["app_id"]), (StatusCode::OK, &json!(app.kakao.app().app_id)));
    app.kakao.advance_clock(Duration::from_hours(13));
    let (status, info) = app.get("/v1/user/access_token_info", &tokens["access_token"]).await;
    assert_eq!((status, &info["code"]), (StatusCode::UNAUTHORIZED, &json!(-401)));
}

#[tokio::test]
async fn a_scripted_fault_strikes_as_often_as_it_says_and_every_call_is_logged() {
    let app = App::start().await;
    let effect = Effect::Koe { status: 400, code: "KOE237".into() };
    app.kakao.fault(Fault { endpoint: Endpoint::Token, times: Some(1), delay_ms: 0, effect });
    let code = app.code().await;
    assert_eq!(app.token(&[("code", &code)]).await.1["error_code"], "KOE237");
    assert_eq!(app.token(&[("code", &code)]).await.0, StatusCode::OK, "the code was not spent by the fault");
    assert_eq!((app.kakao.calls_to(Endpoint::Authorize), app.kakao.calls_to(Endpoint::Token)), (1, 2));
    let sent = app.kakao.calls().pop().unwrap();
    assert!(sent.parameters.iter().any(|(name, value)| name == "code" && *value == code));
}

#[tokio::test]
async fn the_control_api_does_what_the_methods_do() {
    let app = App::start().await;
    let switch = |body: Value| app.http.put(app.url("/simulator/switches")).json(&body).send();
    assert_eq!(switch(json!({"autopilot": "cancel"})).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(parameter(&app.authorize(&[]).await, "error").is_some());
    let unknown = switch(json!({"autopliot": "off"})).await.unwrap();
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST, "a misspelt switch is an error");
    let jwks =
        || async { read(app.http.get(app.url("/.well-known/jwks.json")).send().await.unwrap()).await.1 };
    let before = jwks().await;
    app.http.post(app.url("/simulator/keys/rotate")).send().await.unwrap();
    let after = jwks().await;
    assert_ne!(before["keys"][0]["kid"], after["keys"][0]["kid"]);
    assert!(after["keys"].as_array().unwrap().contains(&before["keys"][0]), "the one before stays published");
    app.http.post(app.url("/simulator/reset")).send().await.unwrap();
    assert!(parameter(&app.authorize(&[]).await, "code").is_none(), "back to the page: nobody is picked");
}
