//! The suite's side: three registered clients, a browser, and the checks that many modules share.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kakao_simulator::{Autopilot, Options, Simulator};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio::process::{Child, Command};
use url::Url;

pub(crate) const ISSUER: &str = "https://op.localhost";
pub(crate) const CALLBACK: &str = "https://suite.example/callback";
pub(crate) const BYE: &str = "https://suite.example/post_logout_redirect";
pub(crate) const NONCE: &str = "a-nonce-of-the-suite";
pub(crate) const CLIENT: (&str, &str) = ("client", "kacs_secret-of-the-first-client-0123456789");
pub(crate) const CLIENT2: (&str, &str) = ("client2", "kacs_secret-of-the-second-client-0123456789");

/// The provider under test.
pub(crate) struct Suite {
    pub(crate) kakao: Simulator,
    base: String,
    http: Client,
    _program: Child,
    _folder: tempfile::TempDir,
}

impl Suite {
    pub(crate) async fn start() -> Self {
        let options =
            Options { redirect_uris: vec![format!("{ISSUER}/kakao/callback")], ..Options::default() };
        let kakao = Simulator::start(options).await.unwrap();
        kakao.autopilot(Autopilot::Person("all-consents".into()));
        let folder = tempfile::tempdir().unwrap();
        let hash = |secret: &str| kakao_auth::domain::Fingerprint::of(secret.as_bytes()).to_hex();
        let clients = [CLIENT, CLIENT2].map(|(id, secret)| {
            format!(
                "[[clients]]\nid = \"{id}\"\ntype = \"confidential\"\nsecret_sha256 = [\"{}\"]\n\
                 redirect_uris = [\"{CALLBACK}\"]\npost_logout_redirect_uris = [\"{BYE}\"]\nrequire_pkce = false\n\
                 scopes = [\"openid\", \"profile\", \"email\", \"phone\"]\n",
                hash(secret)
            )
        });
        let settings = folder.path().join("settings.toml");
        let others = format!(
            "[[clients]]\nid = \"spa\"\ntype = \"public\"\nredirect_uris = [\"{CALLBACK}\"]\n\
             [[clients]]\nid = \"service\"\ntype = \"confidential\"\nsecret_sha256 = [\"{}\"]\n\
             grants = [\"client_credentials\"]\nscopes = [\"orders:read\"]\n",
            hash(CLIENT.1)
        );
        std::fs::write(&settings, clients.join("\n") + &others).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let app = kakao.app();
        let variables = [
            ("CONFIG", settings.display().to_string()),
            ("_SERVER__BIND", format!("127.0.0.1:{port}")),
            ("_SERVER__MANAGEMENT_BIND", "127.0.0.1:0".to_owned()),
            ("_SERVER__PUBLIC_URL", ISSUER.to_owned()),
            ("_DATABASE__URL", format!("sqlite://{}/db.sqlite", folder.path().display())),
            ("_CACHE__URL", "memory:".to_owned()),
            ("_SECRETS__MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
            ("_KAKAO__CLIENT_ID", app.rest_api_key),
            ("_KAKAO__CLIENT_SECRET", app.client_secret),
            ("_KAKAO__AUTH_BASE_URL", kakao.base_url().to_owned()),
            ("_KAKAO__API_BASE_URL", kakao.base_url().to_owned()),
        ];
        let program = Command::new(env!("CARGO_BIN_EXE_kakao-auth"))
            .arg("serve")
            .env_clear()
            .envs(variables.map(|(name, value)| (format!("KAKAO_AUTH_{name}"), value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let suite = Self {
            kakao,
            base: format!("http://127.0.0.1:{port}"),
            http,
            _program: program,
            _folder: folder,
        };
        let began = Instant::now();
        while suite.http.get(suite.reach("/health/ready")).send().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the provider did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        suite
    }

    /// Where a URL of the issuer, or a path, is reached in this test: nothing listens at the public address.
    pub(crate) fn reach(&self, url: &str) -> String {
        format!("{}{}", self.base, url.strip_prefix(ISSUER).unwrap_or(url))
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        self.http.get(self.reach(url)).send().await.unwrap()
    }

    pub(crate) async fn metadata(&self) -> Value {
        let reply = self.get("/.well-known/openid-configuration").await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    pub(crate) async fn token_by_basic(&self, client: (&str, &str), form: &[(&str, &str)]) -> Response {
        let request = self.http.post(self.reach("/oauth/token")).basic_auth(client.0, Some(client.1));
        request.form(form).send().await.unwrap()
    }

    pub(crate) async fn token_by_post(&self, form: &[(&str, &str)]) -> Response {
        self.http.post(self.reach("/oauth/token")).form(form).send().await.unwrap()
    }

    /// Redeems a code as the first client does, and checks all that a token response must be.
    pub(crate) async fn redeem(&self, code: &str) -> Value {
        self.checked(self.redeem_unchecked(code).await).await
    }

    pub(crate) async fn redeem_unchecked(&self, code: &str) -> Response {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        self.token_by_basic(CLIENT, &form).await
    }

    /// `CheckTokenEndpointCacheHeaders`, the response's members, and the ID token.
    pub(crate) async fn checked(&self, reply: Response) -> Value {
        assert_eq!(reply.status(), StatusCode::OK);
        assert!(reply.headers()["cache-control"].to_str().unwrap().contains("no-store"));
        assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("application/json"));
        let tokens: Value = reply.json().await.unwrap();
        assert!(tokens["access_token"].as_str().unwrap().len() >= 22);
        assert!(tokens["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"));
        assert!(tokens["expires_in"].is_u64(), "{tokens}");
        self.id_token(&tokens).await;
        tokens
    }

    /// Verifies the ID token by the published keys (OpenID Connect Core §3.1.3.7) and gives its claims.
    pub(crate) async fn id_token(&self, tokens: &Value) -> Value {
        let token = tokens["id_token"].as_str().unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.alg, Algorithm::RS256);
        let jwks: Value = self.get("/.well-known/jwks.json").await.json().await.unwrap();
        let key =
            jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *header.kid.as_ref().unwrap());
        let key: Jwk = serde_json::from_value(key.unwrap().clone()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[CLIENT.0, CLIENT2.0]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        let decoding = DecodingKey::from_jwk(&key).unwrap();
        let claims = jsonwebtoken::decode::<Value>(token, &decoding, &validation).unwrap().claims;
        assert!(claims["iat"].is_i64() && claims["sub"].as_str().unwrap().len() <= 255, "{claims}");
        claims
    }

    pub(crate) async fn userinfo(&self, tokens: &Value) -> Value {
        let token = tokens["access_token"].as_str().unwrap();
        let reply = self.http.get(self.reach("/oauth/userinfo")).bearer_auth(token).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Response {
        request.send().await.unwrap()
    }

    pub(crate) fn http(&self) -> &Client {
        &self.http
    }
}

/// A browser that keeps cookies and stops at the suite's addresses.
pub(crate) struct Browser<'a> {
    suite: &'a Suite,
    jar: Mutex<HashMap<String, String>>,
}

/// The request of most modules, with changes: a value replaces, an empty one removes.
pub(crate) fn request<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("client_id", CLIENT.0),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "a-state-of-the-suite"),
        ("nonce", NONCE),
    ];
    pairs.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    pairs.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    pairs
}

impl<'a> Browser<'a> {
    pub(crate) fn new(suite: &'a Suite) -> Self {
        Self { suite, jar: Mutex::default() }
    }

    pub(crate) async fn open(&self, request: reqwest::RequestBuilder) -> Response {
        let cookies: Vec<String> =
            self.jar.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = request.header("Cookie", cookies.join("; ")).send().await.unwrap();
        let mut jar = self.jar.lock().unwrap();
        for header in reply.headers().get_all("set-cookie") {
            let text = header.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
            }
        }
        drop(jar);
        reply
    }

    /// The first answer to an authorization request.
    pub(crate) async fn ask(&self, changes: &[(&str, &str)]) -> Response {
        let http = self.suite.http();
        self.open(http.get(self.suite.reach("/oauth/authorize")).query(&request(changes))).await
    }

    /// Follows redirects until the browser lands at the suite.
    pub(crate) async fn follow(&self, mut reply: Response) -> Landed {
        for _ in 0..5 {
            let to = location(&reply).unwrap_or_else(|| panic!("no redirect but {}", reply.status()));
            if to.starts_with("https://suite.example/") {
                return Landed(Url::parse(&to).unwrap());
            }
            let url = if to.starts_with(ISSUER) { self.suite.reach(&to) } else { to };
            reply = self.open(self.suite.http().get(url)).await;
        }
        panic!("a loop of redirects")
    }

    /// An authorization request, all the way.
    pub(crate) async fn authorize(&self, changes: &[(&str, &str)]) -> Landed {
        self.follow(self.ask(changes).await).await
    }

    /// A login, checked, and its tokens.
    pub(crate) async fn tokens(&self, changes: &[(&str, &str)]) -> Value {
        let landed = self.authorize(changes).await;
        self.suite.redeem(&landed.code()).await
    }
}

pub(crate) fn location(reply: &Response) -> Option<String> {
    reply.headers().get("location").map(|value| value.to_str().unwrap().to_owned())
}

/// Where the browser landed.
pub(crate) struct Landed(pub(crate) Url);

impl Landed {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
    }

    /// The code of an answer that is right in every other way too (RFC 9207, minimum entropy).
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.get("error"), None, "{}", self.0);
        assert_eq!(self.get("state").as_deref(), Some("a-state-of-the-suite"));
        assert_eq!(self.get("iss").as_deref(), Some(ISSUER));
        let code = self.get("code").unwrap();
        assert!(code.len() >= 22, "EnsureMinimumAuthorizationCodeLength");
        code
    }

    /// The error of an answer that says nothing else (RFC 6749 §4.1.2.1).
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.get("state").as_deref(), Some("a-state-of-the-suite"));
        for (name, value) in self.0.query_pairs() {
            assert!(
                ["error", "error_description", "error_uri", "state", "iss"].contains(&name.as_ref()),
                "{name}"
            );
            if name.starts_with("error") {
                assert!(
                    value.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
                    "{value}"
                );
            }
        }
        self.get("error").unwrap()
    }
}
