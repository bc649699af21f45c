//! The suite's side: its registered clients, how its browser goes on, and the checks that many modules share.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kakao_simulator::Simulator;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::process::Child;
use url::Url;

use crate::rig::{self, Program, http, location, simulator};

pub(crate) const ISSUER: &str = "https://op.localhost";
pub(crate) const CALLBACK: &str = "https://suite.example/callback";
pub(crate) const BYE: &str = "https://suite.example/post_logout_redirect";
pub(crate) const NONCE: &str = "a-nonce-of-the-suite";
pub(crate) const CLIENT: (&str, &str) = ("client", "kacs_secret-of-the-first-client-0123456789");
pub(crate) const CLIENT2: (&str, &str) = ("client2", "kacs_secret-of-the-second-client-0123456789");

/// The provider under test: the built program.
pub(crate) struct Suite {
    pub(crate) kakao: Simulator,
    program: Program,
    _running: Child,
}

impl Suite {
    pub(crate) async fn start() -> Self {
        let kakao = simulator(ISSUER).await;
        let program = Program::with(&kakao, ISSUER, &clients());
        let running = program.serve().await;
        Self { kakao, program, _running: running }
    }

    /// Where a URL of the issuer, or a path, is reached in this test: nothing listens at the public address.
    pub(crate) fn reach(&self, url: &str) -> String {
        self.program.url(url.strip_prefix(ISSUER).unwrap_or(url))
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        http().get(self.reach(url)).send().await.unwrap()
    }

    pub(crate) async fn metadata(&self) -> Value {
        let reply = self.get("/.well-known/openid-configuration").await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    pub(crate) async fn token_by_basic(&self, client: (&str, &str), form: &[(&str, &str)]) -> Response {
        let request = http().post(self.reach("/oauth/token")).basic_auth(client.0, Some(client.1));
        request.form(form).send().await.unwrap()
    }

    pub(crate) async fn token_by_post(&self, form: &[(&str, &str)]) -> Response {
        http().post(self.reach("/oauth/token")).form(form).send().await.unwrap()
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
        let reply = http().get(self.reach("/oauth/userinfo")).bearer_auth(token).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }
}

fn clients() -> String {
    let hash = |secret: &str| kakao_auth::domain::Fingerprint::of(secret.as_bytes()).to_hex();
    let confidential = [CLIENT, CLIENT2].map(|(id, secret)| {
        format!(
            "[[clients]]\nid = \"{id}\"\ntype = \"confidential\"\nsecret_sha256 = [\"{}\"]\n\
             redirect_uris = [\"{CALLBACK}\"]\npost_logout_redirect_uris = [\"{BYE}\"]\nrequire_pkce = false\n\
             scopes = [\"openid\", \"profile\", \"email\", \"phone\"]\n",
            hash(secret)
        )
    });
    let others = format!(
        "[[clients]]\nid = \"spa\"\ntype = \"public\"\nredirect_uris = [\"{CALLBACK}\"]\n\
         [[clients]]\nid = \"service\"\ntype = \"confidential\"\nsecret_sha256 = [\"{}\"]\n\
         grants = [\"client_credentials\"]\nscopes = [\"orders:read\"]\n",
        hash(CLIENT.1)
    );
    confidential.join("\n") + &others
}

/// A browser that stops at the suite's addresses.
pub(crate) type Browser<'a> = rig::Browser<'a, Suite>;

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

impl rig::Browser<'_, Suite> {
    /// The first answer to an authorization request.
    pub(crate) async fn ask(&self, changes: &[(&str, &str)]) -> Response {
        self.send(http().get(self.service.reach("/oauth/authorize")).query(&request(changes))).await
    }

    /// Follows redirects until the browser lands at the suite.
    pub(crate) async fn follow(&self, mut reply: Response) -> Landed {
        for _ in 0..5 {
            let to = location(&reply);
            if to.starts_with("https://suite.example/") {
                return Landed(Url::parse(&to).unwrap());
            }
            let url = if to.starts_with(ISSUER) { self.service.reach(&to) } else { to };
            reply = self.get(&url).await;
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
        self.service.redeem(&landed.code()).await
    }
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
