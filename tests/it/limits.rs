//! What strangers can set off is limited by their address; whoever shows something valid passes, whatever came from the same
//! address.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{RequestBuilder, Response, StatusCode};

use crate::rig::{
    BACKEND_SECRET, Browser, Rig, Setup, TcpProxy, authorization_request, host_of, http, json, location,
    parameter, refresh_token, through, variable,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// With the limits of `config/default.toml`, behind a proxy that says where requests come from.
fn limited(instances: usize, more: &[(&'static str, &str)]) -> Setup {
    let settings = [
        ("SERVER__TRUSTED_PROXIES", "127.0.0.0/8"),
        ("LIMITS__CLIENT_AUTH_FAILURES", "10"),
        ("LIMITS__ANONYMOUS", "6000"),
        ("LIMITS__FAILURES", "600"),
        ("LIMITS__CALLBACK_FAILURES", "120"),
        ("LIMITS__KAKAO_TOKEN_FAILURES", "14"),
    ];
    let settings = settings.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Setup { instances, settings, ..Setup::default() }
}

/// An address that no other test or run has: all share one Redis.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let run = u32::from_be_bytes(uuid::Uuid::now_v7().as_bytes()[12..].try_into().unwrap());
    let host = run ^ NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9);
    format!("2001:db8:{:x}:{:x}::1", host >> 16, host & 0xFFFF)
}

/// Requests of the people at one address.
struct People<'a> {
    rig: &'a Rig,
    address: String,
}

impl<'a> People<'a> {
    fn of(rig: &'a Rig) -> Self {
        Self { rig, address: address() }
    }

    fn at(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("X-Forwarded-For", &self.address)
    }

    async fn form(&self, instance: usize, path: &str, form: &[(&str, &str)]) -> Response {
        self.at(http().post(self.rig.url(instance, path))).form(form).send().await.unwrap()
    }

    async fn refresh(&self, token: &str, secret: Option<(&str, &str)>) -> Response {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        match secret {
            Some((id, secret)) => form.extend([("client_id", id), ("client_secret", secret)]),
            None => form.push(("client_id", "web")),
        }
        self.form(0, "/oauth/token", &form).await
    }

    async fn exchange(&self, instance: usize, token: &str) -> Response {
        let form = [
            ("grant_type", GRANT),
            ("client_id", "app"),
            ("subject_token_type", ACCESS_TOKEN),
            ("subject_token", token),
        ];
        self.form(instance, "/oauth/token", &form).await
    }

    /// Where a login leads.
    async fn log_in(&self) -> Response {
        self.log_in_with(&Browser::new(self.rig)).await
    }

    async fn log_in_with(&self, browser: &Browser<'_>) -> Response {
        let url = self.rig.url(0, "/oauth/authorize");
        let begun = browser.send(self.at(http().get(url)).query(&authorization_request(&[]))).await;
        let callback = location(&browser.get(&location(&begun)).await);
        let path = callback.strip_prefix(crate::rig::ISSUER).unwrap();
        browser.send(self.at(http().get(self.rig.url(0, path)))).await
    }

    async fn logs_in(&self) {
        let landed = location(&self.log_in().await);
        assert!(parameter(&landed, "code").is_some(), "{landed}");
    }

    /// Comes back from Kakao, as it says, with a code that Kakao does not know.
    async fn garbage_callback(&self) -> Response {
        self.callback(self, ("code", "garbage")).await
    }

    /// Comes back from Kakao with this, of a login that was begun at the address of `beginner`.
    async fn callback(&self, beginner: &Self, said: (&str, &str)) -> Response {
        let browser = Browser::new(self.rig);
        let url = self.rig.url(0, "/oauth/authorize");
        let begun = browser.send(beginner.at(http().get(url)).query(&authorization_request(&[]))).await;
        let state = parameter(&location(&begun), "state").unwrap();
        let callback = self.rig.url(0, "/kakao/callback");
        let query = [said, ("state", state.as_str())];
        browser.send(self.at(http().get(callback)).query(&query)).await
    }
}

fn asks_to_wait(reply: &Response, limit: &str, quota: u32) {
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    let field = |name: &str| reply.headers()[name].to_str().unwrap().to_owned();
    let seconds: u64 = field("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(field("ratelimit-policy"), format!("\"{limit}\";q={quota};w=60"));
    assert_eq!(field("ratelimit"), format!("\"{limit}\";r=0;t={seconds}"));
}

#[tokio::test]
async fn wrong_secrets_wait_and_a_right_one_always_passes() {
    let rig = Rig::with(limited(1, &[])).await;
    let guesser = People::of(&rig);
    let guess = || guesser.refresh("x", Some(("backend", "wrong")));
    for _ in 0..10 {
        assert_eq!(guess().await.status(), StatusCode::UNAUTHORIZED);
    }
    for _ in 0..3 {
        let reply = guess().await;
        asks_to_wait(&reply, "client_authentication", 10);
        assert_eq!(json(reply).await["code"], "too_many_failures");
    }
    let right = guesser.refresh("x", Some(("backend", BACKEND_SECRET))).await;
    assert_eq!(right.status(), StatusCode::BAD_REQUEST, "the secret is right, the token is not");
    let neighbour = People { rig: &rig, address: guesser.address.replace("::1", "::2") };
    let reply = neighbour.refresh("x", Some(("backend", "wrong"))).await;
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS, "an IPv6 network of 64 bits is one caller");
    let elsewhere = People::of(&rig).refresh("x", Some(("backend", "wrong"))).await;
    assert_eq!(elsewhere.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_form_of_another_site_locks_no_public_client_out() {
    let rig = Rig::with(limited(1, &[])).await;
    let people = People::of(&rig);
    let tokens = rig.tokens().await;
    for _ in 0..30 {
        let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("client_secret", "x")];
        let request =
            people.at(http().post(rig.url(0, "/oauth/token"))).header("Origin", "https://evil.example");
        assert!(request.form(&form).send().await.unwrap().status().is_client_error());
    }
    assert_eq!(people.refresh(refresh_token(&tokens), None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_public_client_may_send_basic_with_nothing_behind_the_colon() {
    let rig = Rig::start().await;
    let code = rig.code().await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::rig::WEB),
        ("code_verifier", crate::rig::VERIFIER),
    ];
    let basic = |id: &'static str| {
        http().post(rig.url(0, "/oauth/token")).basic_auth(id, Some("")).form(&form).send()
    };
    assert_eq!(basic("backend").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(basic("web").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_thousand_unknown_kakao_tokens_are_at_most_thirty_calls_to_kakao_and_others_log_in() {
    let rig = Rig::with(limited(2, &[])).await;
    let tokens = rig.tokens().await;
    let thief = People::of(&rig);
    let garbage = |n: usize| {
        let thief = &thief;
        async move { thief.exchange(n, &format!("garbage-{n:019}")).await }
    };
    let replies: Vec<Response> = stream::iter(0..1_000).map(garbage).buffer_unordered(40).collect().await;
    let calls = rig.kakao.calls_to(Endpoint::AccessTokenInfo);
    assert!((1..=30).contains(&calls), "{calls} calls");
    let limited: Vec<&Response> =
        replies.iter().filter(|reply| reply.status() == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(limited.len() >= 970, "{}", limited.len());
    asks_to_wait(limited[0], "kakao_access_token", 14);
    // Of the same address, and of another.
    thief.logs_in().await;
    assert_eq!(thief.refresh(refresh_token(&tokens), None).await.status(), StatusCode::OK);
    let others = People::of(&rig);
    others.logs_in().await;
    let sdk = rig.kakao.sdk_login("all-consents", &rig.kakao.app().native_app_key, None, None);
    assert_eq!(others.exchange(0, &sdk.access_token).await.status(), StatusCode::OK);
    rig.clock.advance(Duration::from_mins(2));
    let later = thief.exchange(1, "garbage-that-comes-later").await;
    assert!([400, 429].contains(&later.status().as_u16()), "Redis has a clock of its own");
}

#[tokio::test]
async fn codes_that_kakao_does_not_know_are_limited_by_address() {
    let rig = Rig::with(limited(1, &[("LIMITS__CALLBACK_FAILURES", "5")])).await;
    let stranger = People::of(&rig);
    for _ in 0..5 {
        let landed = location(&stranger.garbage_callback().await);
        assert!(parameter(&landed, "error").is_some(), "{landed}");
    }
    let rows = rig.count("SELECT count(*) FROM login_attempts").await;
    for _ in 0..10 {
        asks_to_wait(&stranger.garbage_callback().await, "callback_code", 5);
    }
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 5);
    assert_eq!(rig.count("SELECT count(*) FROM login_attempts").await, rows, "no row either");
    People::of(&rig).logs_in().await;
}

#[tokio::test]
async fn callbacks_that_tell_of_an_error_are_limited_by_address() {
    let rig = Rig::with(limited(1, &[("LIMITS__ANONYMOUS", "3")])).await;
    let cancel = async |people: &People<'_>| {
        // Begun elsewhere: that counts as well.
        people.callback(&People::of(&rig), ("error", "access_denied")).await
    };
    let error_of = |landed: &Response| parameter(&location(landed), "error");
    let stranger = People::of(&rig);
    for _ in 0..3 {
        assert_eq!(error_of(&cancel(&stranger).await).as_deref(), Some("access_denied"));
    }
    let rows = rig.count("SELECT count(*) FROM login_attempts").await;
    for _ in 0..3 {
        asks_to_wait(&cancel(&stranger).await, "callback_error", 3);
    }
    assert_eq!(rig.count("SELECT count(*) FROM login_attempts").await, rows, "no row either");
    assert_eq!(error_of(&cancel(&People::of(&rig)).await).as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn what_fails_or_proves_nothing_is_limited_at_every_endpoint_and_valid_requests_pass() {
    let more = [("LIMITS__ANONYMOUS", "3"), ("LIMITS__FAILURES", "3")];
    let rig = Rig::with(limited(1, &more)).await;
    let (people, browser) = (People::of(&rig), Browser::new(&rig));
    let code_of = |landed: &Response| parameter(&location(landed), "code").unwrap();
    let tokens = json(rig.redeem(0, &code_of(&people.log_in().await)).await).await;
    let code = code_of(&people.log_in_with(&browser).await);
    let stranger = People::of(&rig);
    let begin = || stranger.at(http().get(rig.url(0, "/oauth/authorize")).query(&authorization_request(&[])));
    let garbage_code = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", "kac_x"),
        ("redirect_uri", crate::rig::WEB),
        ("code_verifier", crate::rig::VERIFIER),
    ];
    let id_token = [
        ("grant_type", GRANT),
        ("client_id", "app"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("subject_token", "a.b.c"),
    ];
    let unlink =
        || http().get(rig.url(0, "/kakao/webhooks/unlink?user_id=1")).header("Authorization", "KakaoAK no");
    for (limit, request) in [
        ("authorize", &(|| begin()) as &dyn Fn() -> RequestBuilder),
        ("nonce", &|| stranger.at(http().post(rig.url(0, "/v1/nonces")))),
        ("authorization_code", &|| stranger.at(http().post(rig.url(0, "/oauth/token")).form(&garbage_code))),
        ("refresh_token", &|| {
            let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", "kart_x")];
            stranger.at(http().post(rig.url(0, "/oauth/token")).form(&form))
        }),
        ("kakao_id_token", &|| stranger.at(http().post(rig.url(0, "/oauth/token")).form(&id_token))),
        ("webhook", &|| stranger.at(unlink())),
    ] {
        for n in 0..3 {
            let status = request().send().await.unwrap().status();
            assert_ne!(status, StatusCode::TOO_MANY_REQUESTS, "{limit} {n}");
        }
        asks_to_wait(&request().send().await.unwrap(), limit, 3);
    }
    // A valid session, code, refresh token and admin key pass there all the same.
    let silent = browser.send(begin()).await;
    assert!(parameter(&location(&silent), "code").is_some());
    let mut form = garbage_code;
    form[2].1 = &code;
    assert_eq!(stranger.form(0, "/oauth/token", &form).await.status(), StatusCode::OK);
    assert_eq!(stranger.refresh(refresh_token(&tokens), None).await.status(), StatusCode::OK);
    let key = format!("KakaoAK {}", rig.kakao.app().admin_key);
    let proven =
        stranger.at(http().get(rig.url(0, "/kakao/webhooks/unlink?user_id=1")).header("Authorization", key));
    assert_eq!(proven.send().await.unwrap().status(), StatusCode::OK);
    let korean = begin().header("Accept-Language", "ko").send().await.unwrap();
    assert!(korean.text().await.unwrap().contains("요청이 너무 많이"));
}

#[tokio::test]
async fn limits_hold_on_all_replicas_and_without_redis_on_each() {
    let mut rig = Rig::with(limited(0, &[])).await;
    let proxy = TcpProxy::to(host_of(&variable("REDIS_URL"), 6379)).await;
    let redis = through(&variable("REDIS_URL"), &proxy);
    for _ in 0..2 {
        rig.add_instance(&limited(1, &[("LIMITS__FAILURES", "4"), ("CACHE__URL", redis.as_str())])).await;
    }
    let garbage = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", "kart_x")];
    let refused = async |people: &People<'_>| {
        let mut refused = 0;
        for n in 0..16 {
            let reply = people.form(n, "/oauth/token", &garbage).await;
            refused += usize::from(reply.status() == StatusCode::TOO_MANY_REQUESTS);
        }
        refused
    };
    assert_eq!(refused(&People::of(&rig)).await, 12, "four for both");
    proxy.shut();
    assert_eq!(refused(&People::of(&rig)).await, 8, "four for each");
}

#[tokio::test]
async fn two_thousand_people_of_one_address_log_in_within_a_minute() {
    let rig = Rig::with(limited(1, &[])).await;
    let carrier = People { rig: &rig, address: "198.51.100.7".into() };
    // Their first half of a login is what the address is counted for; the rest shows something valid.
    let login = |_| async {
        let url = rig.url(0, "/oauth/authorize");
        carrier.at(http().get(url).query(&authorization_request(&[]))).send().await.unwrap().status()
    };
    let statuses: Vec<StatusCode> = stream::iter(0..2_000).map(login).buffer_unordered(32).collect().await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(), 2_000);
    for _ in 0..12 {
        carrier.logs_in().await;
    }
}

#[tokio::test]
async fn a_limit_is_counted_by_client_and_named_with_it() {
    let rig = Rig::with(limited(1, &[])).await;
    let guesser = People::of(&rig);
    for id in ["backend", "no-such-client"] {
        for _ in 0..12 {
            guesser.refresh("x", Some((id, "wrong"))).await;
        }
    }
    let metrics = http().get(rig.management_url(0, "/metrics")).send().await.unwrap().text().await.unwrap();
    for client in ["backend", "unknown"] {
        let series =
            format!("kakao_auth_limited_total{{limit=\"client_authentication\",client=\"{client}\"}}");
        assert!(metrics.lines().any(|line| line.starts_with(&series)), "{series} in {metrics}");
    }
    assert!(!metrics.contains("no-such-client"));
}

#[tokio::test]
async fn a_used_up_quota_has_one_api_rest_for_five_seconds_and_never_because_a_stranger_asked() {
    let rig = Rig::start().await;
    let people = People::of(&rig);
    let quota = |endpoint| {
        let effect = Effect::Api { status: 400, code: -10 };
        rig.kakao.fault(Fault { endpoint, times: Some(1), delay_ms: 0, effect });
    };
    quota(Endpoint::AccessTokenInfo);
    assert_eq!(people.exchange(0, "garbage").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let sdk = rig.kakao.sdk_login("all-consents", &rig.kakao.app().native_app_key, None, None);
    assert_eq!(people.exchange(0, &sdk.access_token).await.status(), StatusCode::OK, "nobody else waits");
    people.logs_in().await;

    quota(Endpoint::Me);
    let error = async || parameter(&location(&people.log_in().await), "error");
    assert_eq!(error().await.as_deref(), Some("temporarily_unavailable"));
    let (profiles, codes) = (rig.kakao.calls_to(Endpoint::Me), rig.kakao.calls_to(Endpoint::Token));
    assert_eq!(error().await.as_deref(), Some("temporarily_unavailable"));
    assert_eq!(rig.kakao.calls_to(Endpoint::Me), profiles, "this API rests");
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), codes + 1, "and no other");
    rig.clock.advance(Duration::from_secs(5));
    people.logs_in().await;
}
