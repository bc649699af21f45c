//! What happens to a linked person: consent, terms, unlink, webhooks, limits, as at Kakao.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use kakao_simulator::{
    Autopilot, Endpoint, Event, Options, Simulator, Term, USER_UNLINKED, Unconfirmed, UnlinkMethod, Webhooks,
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

const BACK: &str = "https://app.example/cb";
const ID: i64 = 4_412_345_678;

struct Kakao {
    simulator: Simulator,
    http: Client,
}

impl Kakao {
    async fn start() -> Self {
        let options = Options { redirect_uris: vec![BACK.to_owned()], ..Options::default() };
        let simulator = Simulator::start(options).await.unwrap();
        simulator.autopilot(Autopilot::Person("all-consents".into()));
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { simulator, http }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.base_url())
    }

    async fn log_in(&self, scope: &str) -> (StatusCode, Value) {
        let app = self.simulator.app();
        let mut query =
            vec![("client_id", app.rest_api_key.as_str()), ("redirect_uri", BACK), ("response_type", "code")];
        if !scope.is_empty() {
            query.push(("scope", scope));
        }
        let reply = self.http.get(self.url("/oauth/authorize")).query(&query).send().await.unwrap();
        let target = url::Url::parse(reply.headers()["location"].to_str().unwrap()).unwrap();
        let code = target.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &app.rest_api_key),
            ("client_secret", &app.client_secret),
            ("redirect_uri", BACK),
            ("code", &code),
        ];
        read(self.http.post(self.url("/oauth/token")).form(&form).send().await.unwrap()).await
    }

    async fn token(&self) -> String {
        self.log_in("").await.1["access_token"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        read(self.http.get(self.url(path)).bearer_auth(token).send().await.unwrap()).await
    }

    async fn by_admin(
        &self,
        method: reqwest::Method,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        self.by_key(&self.simulator.app().admin_key, method, path, fields).await
    }

    async fn by_key(
        &self,
        key: &str,
        method: reqwest::Method,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let request = self
            .http
            .request(method.clone(), self.url(path))
            .header("Authorization", format!("KakaoAK {key}"));
        let request =
            if method == reqwest::Method::GET { request.query(fields) } else { request.form(fields) };
        read(request.send().await.unwrap()).await
    }
}

async fn read(reply: reqwest::Response) -> (StatusCode, Value) {
    (reply.status(), reply.json().await.unwrap())
}

const TARGET: [(&str, &str); 2] = [("target_id_type", "user_id"), ("target_id", "4412345678")];

#[tokio::test]
async fn scope_and_profile_follow_what_was_agreed_and_withdrawn() {
    let kakao = Kakao::start().await;
    let (_, tokens) = kakao.log_in("").await;
    assert_eq!(tokens["scope"], "account_email age_range profile_image profile_nickname openid");
    let (_, tokens) = kakao.log_in("openid,talk_message").await;
    assert!(tokens["scope"].as_str().unwrap().contains("talk_message"), "{tokens}");
    let token = tokens["access_token"].as_str().unwrap();
    kakao.simulator.withdraw_consent(ID, &["account_email", "age_range"]);
    let (_, me) = kakao.get("/v2/user/me", token).await;
    let account = &me["kakao_account"];
    assert_eq!((&account["email_needs_agreement"], account.get("email")), (&json!(true), None), "{me}");
    assert_eq!(
        (&account["age_range_needs_agreement"], account.get("age_range")),
        (&json!(true), None),
        "{me}"
    );
    let (_, scopes) = kakao.get("/v2/user/scopes", token).await;
    let row =
        |id: &str| scopes["scopes"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
    assert_eq!(
        (&row("account_email")["agreed"], &row("talk_message")["agreed"]),
        (&json!(false), &json!(true))
    );
    // Asked for by name, it is agreed to again.
    kakao.log_in("openid,account_email").await;
    assert!(kakao.get("/v2/user/me", token).await.1["kakao_account"]["email"].is_string());
    let scopes = [TARGET[0], TARGET[1], ("scopes", r#"["talk_message"]"#)];
    assert_eq!(
        kakao.by_admin(reqwest::Method::POST, "/v2/user/revoke/scopes", &scopes).await.0,
        StatusCode::OK
    );
    for (wrong, status, code) in
        [(r#"["profile_nickname"]"#, 403, -3), (r#"["invented"]"#, 400, -2), ("talk_message", 400, -2)]
    {
        let fields = [TARGET[0], TARGET[1], ("scopes", wrong)];
        let (got, body) = kakao.by_admin(reqwest::Method::POST, "/v2/user/revoke/scopes", &fields).await;
        assert_eq!((got.as_u16(), &body["code"]), (status, &json!(code)), "{wrong}");
    }
}

#[tokio::test]
async fn unlink_ends_tokens_and_link_and_calls_no_webhook() {
    let kakao = Kakao::start().await;
    let token = kakao.token().await;
    kakao
        .simulator
        .set_webhooks(Webhooks { unlink_url: Some("http://127.0.0.1:9/".into()), ..Webhooks::default() });
    let reply = kakao.http.post(kakao.url("/v1/user/unlink")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(read(reply).await, (StatusCode::OK, json!({ "id": ID })));
    assert!(!kakao.simulator.is_linked(ID) && kakao.simulator.deliveries().is_empty());
    assert_eq!(kakao.get("/v2/user/me", &token).await.0, StatusCode::UNAUTHORIZED);
    let (status, body) = kakao.by_admin(reqwest::Method::POST, "/v1/user/unlink", &TARGET).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(-101)));
    let token = kakao.token().await;
    assert_eq!(kakao.get("/v2/user/me", &token).await.1["id"], ID, "the same person after a return");
}

#[tokio::test]
async fn the_admin_key_is_judged_before_its_list_and_its_list_before_arguments() {
    let kakao = Kakao::start().await;
    kakao.token().await;
    let post = reqwest::Method::POST;
    let (status, body) = kakao.by_key("wrong", post.clone(), "/v1/user/unlink", &TARGET).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNAUTHORIZED, &json!(-401)));
    assert!(body["msg"].as_str().unwrap().contains("wrong"), "Kakao repeats the key");
    let (status, body) =
        kakao.by_admin(post.clone(), "/v1/user/unlink", &[("target_id_type", "user_id")]).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(-2)));
    kakao.simulator.allow_admin(Endpoint::Unlink, false);
    let (status, body) = kakao.by_admin(post, "/v1/user/unlink", &TARGET).await;
    assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!(-3)));
    assert!(kakao.simulator.is_linked(ID));
}

#[tokio::test]
async fn service_terms_are_listed_agreed_to_and_taken_back() {
    let kakao = Kakao::start().await;
    kakao.simulator.set_terms(vec![
        Term { tag: "required".into(), required: true, revocable: false },
        Term { tag: "marketing".into(), required: false, revocable: true },
    ]);
    let token = kakao.token().await;
    let (_, agreed) = kakao.get("/v2/user/service_terms", &token).await;
    assert_eq!(agreed["service_terms"][0]["tag"], "required");
    assert_eq!(agreed["service_terms"].as_array().unwrap().len(), 1);
    let post = reqwest::Method::POST;
    let fields = [TARGET[0], TARGET[1], ("tags", "marketing")];
    let (_, body) = kakao.by_admin(post.clone(), "/v2/user/upgrade/service_terms", &fields).await;
    assert_eq!(body["agreed_service_terms"][0]["agreed_by"], "KAPI");
    let (_, all) = kakao.get("/v2/user/service_terms?result=app_service_terms", &token).await;
    assert_eq!(all["service_terms"].as_array().unwrap().len(), 2);
    assert_eq!(
        kakao.by_admin(post.clone(), "/v2/user/revoke/service_terms", &fields).await.0,
        StatusCode::OK
    );
    for (tags, status) in [("required", 403), ("unknown", 400), ("", 400)] {
        let fields = [TARGET[0], TARGET[1], ("tags", tags)];
        assert_eq!(
            kakao.by_admin(post.clone(), "/v2/user/revoke/service_terms", &fields).await.0.as_u16(),
            status
        );
    }
}

#[tokio::test]
async fn logout_ends_this_login_or_all_of_them() {
    let kakao = Kakao::start().await;
    let first = kakao.token().await;
    kakao.simulator.advance_clock(Duration::from_secs(5));
    let second = kakao.token().await;
    let reply = kakao.http.post(kakao.url("/v1/user/logout")).bearer_auth(&first).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(kakao.get("/v2/user/me", &first).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(kakao.get("/v2/user/me", &second).await.0, StatusCode::OK);
    kakao.by_admin(reqwest::Method::POST, "/v1/user/logout", &TARGET).await;
    assert_eq!(kakao.get("/v2/user/me", &second).await.0, StatusCode::UNAUTHORIZED);
    assert!(kakao.simulator.is_linked(ID), "a logout is no unlink");
}

#[tokio::test]
async fn ids_are_listed_in_pages_a_hundred_times_a_minute() {
    let kakao = Kakao::start().await;
    for slug in ["all-consents", "no-email", "long-id"] {
        kakao.simulator.autopilot(Autopilot::Person(slug.into()));
        kakao.token().await;
    }
    let get = reqwest::Method::GET;
    let (_, page) = kakao.by_admin(get.clone(), "/v1/user/ids", &[("limit", "2")]).await;
    assert_eq!((&page["elements"], &page["before_url"]), (&json!([ID, ID + 1]), &Value::Null));
    assert!(page["after_url"].as_str().unwrap().contains("from_id=1376016924429759228"));
    let (_, last) = kakao.by_admin(get.clone(), "/v1/user/ids", &[("order", "desc"), ("limit", "1")]).await;
    assert_eq!(last["elements"], json!([1_376_016_924_429_759_228_i64]));
    for wrong in [[("limit", "0")], [("limit", "101")], [("order", "up")], [("from_id", "x")]] {
        assert_eq!(kakao.by_admin(get.clone(), "/v1/user/ids", &wrong).await.0, StatusCode::BAD_REQUEST);
    }
    let mut last = StatusCode::OK;
    for _ in 0..100 {
        last = kakao.by_admin(get.clone(), "/v1/user/ids", &[]).await.0;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let users = [("target_id_type", "user_id"), ("target_ids", "[4412345678,7]")];
    let (_, found) = kakao.by_admin(get.clone(), "/v2/app/users", &users).await;
    assert_eq!(found["elements"].as_array().unwrap().len(), 1);
    kakao.simulator.set_unconfirmed(Unconfirmed { app_users_in_elements: false, ..Unconfirmed::default() });
    assert!(kakao.by_admin(get, "/v2/app/users", &users).await.1.is_array());
}

#[tokio::test]
async fn twenty_tokens_in_ten_minutes_are_the_limit_of_a_person() {
    let kakao = Kakao::start().await;
    kakao.simulator.set_token_limits(true);
    for _ in 0..20 {
        assert_eq!(kakao.log_in("").await.0, StatusCode::OK);
    }
    let (status, body) = kakao.log_in("").await;
    assert_eq!((status, &body["error_code"]), (StatusCode::BAD_REQUEST, &json!("KOE237")));
    kakao.simulator.set_unconfirmed(Unconfirmed { koe237_status: 429, ..Unconfirmed::default() });
    assert_eq!(kakao.log_in("").await.0, StatusCode::TOO_MANY_REQUESTS);
    kakao.simulator.autopilot(Autopilot::Person("no-email".into()));
    assert_eq!(kakao.log_in("").await.0, StatusCode::OK, "the limit is one person's");
    kakao.simulator.autopilot(Autopilot::Person("all-consents".into()));
    kakao.simulator.advance_clock(Duration::from_secs(601));
    assert_eq!(kakao.log_in("").await.0, StatusCode::OK);
}

/// Path, authorization, content type and parameters of a call.
type Call = (String, String, String, String);

/// What a service was called with.
type Heard = Mutex<Vec<Call>>;

async fn hear(request: HttpRequest, body: Bytes, heard: Data<Heard>) -> HttpResponse {
    let header = |name: &str| {
        request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let body = String::from_utf8(body.to_vec()).unwrap();
    let told = if body.is_empty() { request.query_string().to_owned() } else { body };
    let mut heard = heard.lock().unwrap();
    heard.push((request.path().to_owned(), header("authorization"), header("content-type"), told));
    let wanted = if request.path() == "/unlink" { 200 } else { 202 };
    // The first call of each fails.
    let first = heard.iter().filter(|one| one.0 == request.path()).count() == 1;
    HttpResponse::build(actix_web::http::StatusCode::from_u16(if first { 500 } else { wanted }).unwrap())
        .finish()
}

fn service() -> (String, Arc<Heard>) {
    let heard: Arc<Heard> = Arc::default();
    let shared = Arc::clone(&heard);
    let server = HttpServer::new(move || {
        App::new().app_data(Data::from(Arc::clone(&shared))).default_service(web::to(hear))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    (format!("http://{address}"), heard)
}

#[tokio::test]
async fn whoever_removes_the_app_in_kakao_s_settings_is_told_of_by_both_webhooks_and_again_if_need_be() {
    let kakao = Kakao::start().await;
    let token = kakao.token().await;
    let (base, heard) = service();
    kakao.simulator.set_webhooks(Webhooks {
        unlink_url: Some(format!("{base}/unlink")),
        unlink_method: UnlinkMethod::Get,
        account_status_url: Some(format!("{base}/events")),
        retries: 2,
    });
    let deliveries = kakao.simulator.unlink(ID, "ACCOUNT_DELETE").await;
    let told: Vec<_> = deliveries.iter().map(|one| (one.kind.as_str(), one.status, one.attempt)).collect();
    assert_eq!(told, [("unlink", Some(200), 2), ("account_status", Some(202), 2)]);
    assert_eq!(kakao.get("/v2/user/me", &token).await.0, StatusCode::UNAUTHORIZED);
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 4);
    assert_eq!(heard[0].1, format!("KakaoAK {}", kakao.simulator.app().admin_key));
    assert_eq!(heard[0].3, "app_id=123456&user_id=4412345678&referrer_type=ACCOUNT_DELETE");
    assert_eq!((&heard[2].2, &heard[2].3), (&"application/secevent+jwt".to_owned(), &heard[3].3));
    assert_eq!(kakao.simulator.deliveries().len(), 4);
}

#[tokio::test]
async fn a_security_event_token_is_as_kakao_s_pages_describe_it() {
    let kakao = Kakao::start().await;
    let event = Event {
        at: Some(1_790_000_000),
        reason: Some("UNLINK_FROM_APPS".into()),
        ..Event::new(ID, USER_UNLINKED)
    };
    let token = kakao.simulator.sign_event(&event);
    let part = |index: usize| -> Value {
        use base64::Engine;
        let text = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap())
            .unwrap()
    };
    assert_eq!((&part(0)["typ"], &part(0)["alg"]), (&json!("secevent+jwt"), &json!("RS256")));
    let claims = part(1);
    assert_eq!((&claims["sub"], &claims["toe"]), (&json!("4412345678"), &json!(1_790_000_000)));
    assert_eq!(claims["aud"], json!(kakao.simulator.app().rest_api_key));
    assert!(claims["jti"].is_string() && claims["txm"].is_string() && claims.get("exp").is_none());
    assert_eq!(claims["events"][USER_UNLINKED]["subject"]["sub"], "4412345678");
    assert_eq!(claims["events"][USER_UNLINKED]["reason"], "UNLINK_FROM_APPS");
}

#[tokio::test]
async fn a_set_up_that_is_broken_shows_kakao_s_page_and_the_date_is_kakao_s() {
    let kakao = Kakao::start().await;
    let app = kakao.simulator.app();
    let koe = async |key: &str, scope: &str| {
        let query = [("client_id", key), ("redirect_uri", BACK), ("response_type", "code"), ("scope", scope)];
        let reply = kakao.http.get(kakao.url("/oauth/authorize")).query(&query).send().await.unwrap();
        let page = reply.text().await.unwrap();
        page.split("KOE").nth(1).map(|rest| rest[..3].to_owned())
    };
    assert_eq!(koe(&app.native_app_key, "").await.as_deref(), Some("008"));
    assert_eq!(koe(&app.admin_key, "").await.as_deref(), Some("008"));
    kakao.simulator.set_consent_item("friends", false);
    assert_eq!(koe(&app.rest_api_key, "friends").await.as_deref(), Some("205"));
    kakao.simulator.set_login_enabled(false);
    assert_eq!(koe(&app.rest_api_key, "").await.as_deref(), Some("004"));
    kakao.simulator.set_clock_offset(-3_600);
    let reply = kakao.http.get(kakao.url("/.well-known/jwks.json")).send().await.unwrap();
    let date = reply.headers()["date"].to_str().unwrap().to_owned();
    let date = time::OffsetDateTime::parse(
        &date.replace("GMT", "+0000"),
        &time::format_description::well_known::Rfc2822,
    );
    let clock: Value =
        kakao.http.get(kakao.url("/simulator/clock")).send().await.unwrap().json().await.unwrap();
    assert!((clock["now"].as_i64().unwrap() - date.unwrap().unix_timestamp()).abs() <= 2);
}

#[tokio::test]
async fn the_page_shows_what_happened_and_its_buttons_work() {
    let kakao = Kakao::start().await;
    kakao.token().await;
    let page = async || kakao.http.get(kakao.url("/")).send().await.unwrap().text().await.unwrap();
    let before = page().await;
    assert!(before.contains("access token issued") && before.contains("user-profile-changed"));
    let press = async |form: &[(&str, &str)]| {
        kakao.http.post(kakao.url("/simulator/press")).form(form).send().await.unwrap().status()
    };
    let user = ("user", "4412345678");
    assert_eq!(
        press(&[("button", "withdraw"), user, ("value", "account_email")]).await,
        StatusCode::SEE_OTHER
    );
    assert_eq!(press(&[("button", "unlink"), user]).await, StatusCode::SEE_OTHER);
    assert_eq!(press(&[("button", "advance"), ("value", "86400")]).await, StatusCode::SEE_OTHER);
    assert_eq!(press(&[("button", "explode")]).await, StatusCode::BAD_REQUEST);
    let after = page().await;
    assert!(after.contains("withdrew account_email") && after.contains("unlinked"), "{after}");
    let events: Value =
        kakao.http.get(kakao.url("/simulator/events")).send().await.unwrap().json().await.unwrap();
    assert!(
        events.as_array().unwrap().iter().any(|event| event["what"] == "unlinked" && event["user"] == ID)
    );
}

#[tokio::test]
async fn switches_and_sdk_logins_work_over_http_too() {
    let kakao = Kakao::start().await;
    let put = async |body: Value| {
        kakao.http.put(kakao.url("/simulator/switches")).json(&body).send().await.unwrap().status()
    };
    let switches = json!({ "terms": [{ "tag": "t", "required": false, "revocable": true }], "token_limits": true,
                           "unconfirmed": { "koe237_status": 429 }, "webhooks": { "retries": 1 }, "login_enabled": false });
    assert_eq!(put(switches).await, StatusCode::NO_CONTENT);
    assert_eq!(put(json!({ "login_enabeld": true })).await, StatusCode::BAD_REQUEST, "a typo is no switch");
    let ask = json!({ "person": "no-email", "nonce": "n" });
    let reply = kakao.http.post(kakao.url("/simulator/sdk-login")).json(&ask).send().await.unwrap();
    let (status, tokens) = read(reply).await;
    assert_eq!((status, &tokens["id"]), (StatusCode::OK, &json!(ID + 1)));
    let (_, info) = kakao.get("/v1/user/access_token_info", tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(info["app_id"], 123_456);
    let event = json!({ "user": ID, "kind": USER_UNLINKED });
    let reply =
        kakao.http.post(kakao.url("/simulator/webhooks/account-status")).json(&event).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::CONFLICT, "no webhook is registered");
}
