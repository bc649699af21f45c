//! A person in a real browser: from the button through Kakao's page to a verified call, as after `cargo dev`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kakao_auth::settings::Settings;
use kakao_playground::{Options, Playground};
use serde_json::{Value, json};

fn variable(name: &str) -> Option<String> {
    Settings::environment()
        .find(|(given, _)| given == name)
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// A browser driven through W3C `WebDriver`: the few commands that a person's clicks need.
struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    async fn open() -> Self {
        let missing = "is not set: run the tests with scripts/test, which brings a browser";
        let driver = variable("CHROMEDRIVER").unwrap_or_else(|| panic!("CHROMEDRIVER {missing}"));
        let chrome = variable("CHROME").unwrap_or_else(|| panic!("CHROME {missing}"));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let profile = tempfile::tempdir().unwrap();
        let began = Instant::now();
        while http.get(format!("{base}/status")).send().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the driver did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let data = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=390,800",
            data.as_str(),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"binary": chrome, "args": arguments}}}});
        let reply: Value = http
            .post(format!("{base}/session"))
            .json(&capabilities)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let id = reply["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {reply}"));
        let session = format!("{base}/session/{id}");
        let browser = Self { driver, http, session, _profile: profile };
        // Finding an element waits for the page that has it.
        browser.post("/timeouts", json!({"implicit": 20_000})).await;
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let reply = self.http.post(format!("{}{path}", self.session)).json(&body).send().await.unwrap();
        let mut reply: Value = reply.json().await.unwrap();
        reply["value"].take()
    }

    async fn find(&self, selector: &str) -> String {
        let element = self.post("/element", json!({"using": "css selector", "value": selector})).await;
        let id = element.as_object().and_then(|members| members.values().next()).and_then(Value::as_str);
        id.filter(|_| element.get("error").is_none())
            .unwrap_or_else(|| panic!("{selector}: {element}"))
            .to_owned()
    }

    async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    async fn text(&self, selector: &str) -> String {
        let element = self.find(selector).await;
        // An element of a page that is just going away says nothing; `see` looks again.
        let url = format!("{}/element/{element}/text", self.session);
        let reply: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        reply["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element says this: a click returns before the page that follows it is there.
    async fn see(&self, selector: &str, expected: &str) {
        let began = Instant::now();
        loop {
            let text = self.text(selector).await;
            if text.contains(expected) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{selector} says {text:?}, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The browser loses the cookies of this beginning, as WebKit does.
    async fn lose_cookies(&self, beginning: &str) -> usize {
        let url = format!("{}/cookie", self.session);
        let reply: Value = self.http.get(&url).send().await.unwrap().json().await.unwrap();
        let names = reply["value"].as_array().unwrap().iter().filter_map(|cookie| cookie["name"].as_str());
        let lost: Vec<&str> = names.filter(|name| name.starts_with(beginning)).collect();
        for name in &lost {
            self.http.delete(format!("{url}/{name}")).send().await.unwrap();
        }
        lost.len()
    }

    async fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// Where the browser is.
    async fn address(&self) -> String {
        let reply = self.http.get(format!("{}/url", self.session)).send().await.unwrap();
        let reply: Value = reply.json().await.unwrap();
        reply["value"].as_str().unwrap_or_default().to_owned()
    }

    async fn end(self) {
        self.http.delete(&self.session).send().await.unwrap();
    }
}

/// What `cargo dev` starts, and a browser; nothing where there is to be no browser.
async fn begin() -> Option<(Playground, Browser, tempfile::TempDir)> {
    if variable("KAKAO_AUTH_SKIP_BROWSER").as_deref() == Some("1") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = Options { ports: [0; 4], folder: folder.path().to_owned() };
    Some((Playground::start(options).await.unwrap(), Browser::open().await, folder))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_calls_the_backend_refreshes_cancels_and_comes_back_without_an_address() {
    let Some((playground, browser, _folder)) = begin().await else { return };

    browser.go(&playground.frontend).await;
    browser.click("#login").await;
    browser.click("#person-all-consents").await;
    browser.see("#who", "logged in as 김하늘").await;
    browser.see("#token", "\"aud\": [\n    \"orders\"").await;
    browser.click("#orders").await;
    browser.see("#message", "200 OK").await;
    browser.see("#message", "\"verified\":true").await;
    browser.click("#refresh").await;
    browser.see("#refresh", "Refresh (1)").await;
    browser.click("#orders").await;
    browser.see("#message", "\"verified\":true").await;
    browser.click("#forget").await;

    // The login service remembers who is there: no page, and no call to Kakao.
    playground.kakao.clear_calls();
    browser.click("#login").await;
    browser.see("#who", "logged in as 김하늘").await;
    assert!(playground.kakao.calls().is_empty());

    // After a real logout, at Kakao too, Kakao asks again.
    browser.click("#logout").await;
    browser.click("#login").await;
    browser.click("#cancel").await;
    browser.see("#message", "cancelled").await;
    browser.click("#login").await;
    browser.click("#person-no-email").await;
    browser.see("#who", "logged in as 이바다").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_login_begins_again_with_one_tap_and_an_unlink_at_kakao_ends_it() {
    let Some((playground, browser, _folder)) = begin().await else { return };

    browser.go(&playground.frontend).await;
    browser.click("#login").await;
    browser.find("#person-all-consents").await;
    assert_eq!(browser.lose_cookies("login-").await, 1);
    browser.click("#person-all-consents").await;
    browser.see("a.button", "Demo").await;
    browser.click("a.button").await;
    browser.see("#who", "logged in as 김하늘").await;

    // The person removes the app in Kakao's settings: the simulator's button calls both webhooks.
    browser.go(playground.kakao.base_url()).await;
    browser.click("button[value=unlink]").await;
    browser.see("table", "webhook unlink, try 1: 200").await;
    browser.see("table", "webhook account_status, try 1: 202").await;
    let began = Instant::now();
    loop {
        browser.go(&playground.frontend).await;
        browser.click("#refresh").await;
        if browser.text("main").await.contains("error response") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the login did not end");
    }
    browser.end().await;
}

/// The button of the page leads through Kakao to the app, and the next time straight to the app. Chromium holds all redirects of
/// a form against the policy of its page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_asked_before_an_app_on_the_device_gets_a_code() {
    let Some((playground, browser, _folder)) = begin().await else { return };

    let port = reqwest::Url::parse(&playground.frontend).unwrap().port().unwrap();
    let app = format!("http://127.0.0.1:{port}/callback");
    let mut login = reqwest::Url::parse(&format!("{}/oauth/authorize", playground.issuer)).unwrap();
    login.query_pairs_mut().extend_pairs([
        ("client_id", "device"),
        ("redirect_uri", &app),
        ("response_type", "code"),
        ("scope", "openid"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("ui_locales", "en"),
    ]);
    browser.go(login.as_str()).await;
    browser.see("h1", "Demo app").await;
    browser.see("button", "Login with Kakao").await;
    browser.click("button").await;
    browser.click("#person-all-consents").await;
    browser.see("h1", "kakao-auth demo").await;
    assert!(browser.address().await.starts_with(&format!("http://127.0.0.1:{port}/")));

    playground.kakao.clear_calls();
    browser.go(login.as_str()).await;
    browser.see("button", "Demo app · Continue").await;
    browser.click("button").await;
    browser.see("h1", "kakao-auth demo").await;
    assert!(browser.address().await.starts_with(&format!("http://127.0.0.1:{port}/")));
    assert!(playground.kakao.calls().is_empty());
    browser.end().await;
}

/// Nothing shows which login is meant, so the person is asked; the answer leads through Kakao back to the app. Chromium holds
/// all redirects of a form against the policy of its page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_is_asked_about_a_logout_stays_or_leaves_kakao_too_and_comes_back_to_the_app() {
    let Some((playground, browser, _folder)) = begin().await else { return };

    browser.go(&playground.frontend).await;
    browser.click("#login").await;
    browser.click("#person-all-consents").await;
    browser.see("#who", "logged in as 김하늘").await;
    browser.click("#forget").await;
    browser.see("h1", "kakao-auth demo").await;
    let mut logout = reqwest::Url::parse(&format!("{}/oauth/logout", playground.issuer)).unwrap();
    logout.query_pairs_mut().extend_pairs([
        ("client_id", "demo"),
        ("post_logout_redirect_uri", &format!("{}/", playground.frontend)),
        ("kakao", "true"),
        ("ui_locales", "en"),
    ]);
    browser.go(logout.as_str()).await;
    browser.see("main", "You will be logged out of Demo").await;
    browser.click("button[name=stay]").await;
    browser.see("h1", "You are still logged in").await;

    browser.go(logout.as_str()).await;
    browser.click("button:not([name])").await;
    browser.see("h1", "kakao-auth demo").await;
    // Kakao asks who it is, as of anyone who is not logged in there.
    browser.click("#login").await;
    browser.click("#person-no-email").await;
    browser.see("#who", "logged in as 이바다").await;
    browser.end().await;
}
