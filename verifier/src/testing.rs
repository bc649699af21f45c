//! An issuer for your own tests: it mints tokens that its verifier accepts, without a service and without a network.
//!
//! ```
//! use kakao_auth_verifier::testing::Issuer;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let issuer = Issuer::new("https://auth.example.com", "orders");
//! let verifier = issuer.verifier();
//! let token = issuer.token().user("01a20875-c4f8-716e-aeec-93a82e38191f").scope("orders:read").mint();
//! assert!(verifier.verify(&token).await.unwrap().has_scope("orders:read"));
//! assert!(verifier.verify(&issuer.token().expired().mint()).await.is_err());
//! # });
//! ```

#![expect(clippy::expect_used, reason = "for tests: a machine that makes no keys should say so at once")]

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::feed::Feed;
use crate::keys::Keys;
use crate::{Clock, Refused, Verifier, system_clock};

const KID: &str = "test";

/// Signs with a key of its own, made anew for each issuer.
pub struct Issuer {
    url: String,
    audience: String,
    pair: EcdsaKeyPair,
}

/// A token about to be signed. Everything it needs is there; change what your test is about.
pub struct Token<'a> {
    issuer: &'a Issuer,
    claims: Value,
}

impl Issuer {
    /// For tokens of this issuer and audience.
    ///
    /// # Panics
    /// When no key can be made.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made");
        Self { url: issuer.into(), audience: audience.into(), pair }
    }

    /// A verifier that knows this issuer's key and asks nobody.
    ///
    /// # Panics
    /// When the issuer is not a URL.
    pub fn verifier(&self) -> Verifier {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let jwks = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]});
        verifier_of(&self.url, &self.audience, jwks.to_string().as_bytes(), Arc::new(system_clock))
    }

    /// A good token: of somebody, with no scope, for ten minutes.
    pub fn token(&self) -> Token<'_> {
        let now = system_clock();
        Token {
            issuer: self,
            claims: json!({
                "iss": self.url, "aud": self.audience, "client_id": "test-client", "scope": "",
                "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "jti": Uuid::from_u128(3),
                "iat": now, "nbf": now, "exp": now + 600, "auth_time": now,
            }),
        }
    }
}

/// A verifier that knows these keys and asks nobody.
///
/// # Panics
/// When the issuer is not a URL, or the keys are none.
pub fn verifier_of(issuer: &str, audience: &str, jwks: &[u8], clock: Clock) -> Verifier {
    let mut verifier = Verifier::builder(issuer, audience).clock(clock).build().expect("the issuer is a URL");
    let inner = Arc::get_mut(&mut verifier.0).expect("it was made just now");
    let url: url::Url = issuer.parse().expect("the issuer is a URL");
    inner.keys = Keys::fixed(url.clone(), jwks).expect("the keys can be read");
    inner.feed = Some(Feed::fixed(issuer, url).expect("an HTTP client can be made"));
    verifier
}

impl Verifier {
    /// Takes an answer of the feed over, as if it had come to a request with this cursor.
    ///
    /// # Errors
    /// Why it is refused. What is known stays then.
    pub async fn take_feed(&self, body: &str, after: Option<&str>) -> Result<(), Refused> {
        self.0.take_feed(body, after).await
    }

    /// Whether the feed voids a token of this grant and user that was issued then.
    pub fn is_revoked(&self, sid: Option<&str>, sub: &str, iat: i64) -> bool {
        let feed = self.0.feed.as_ref();
        feed.is_some_and(|feed| feed.check(sid, sub, iat, (self.0.clock)()) == Err(Refused::Revoked))
    }

    /// Makes the verifier of an [`Issuer`] refuse the tokens of this `sid`, as after a logout.
    pub fn revoke(&self, sid: Uuid) {
        if let Some(feed) = &self.0.feed {
            feed.revoke(&sid.to_string());
        }
    }
}

impl Token<'_> {
    /// Sets the user: `sub`.
    #[must_use]
    pub fn user(self, sub: impl Into<String>) -> Self {
        self.claim("sub", sub.into())
    }

    /// Sets the login: `sid`.
    #[must_use]
    pub fn sid(self, sid: Uuid) -> Self {
        self.claim("sid", sid.to_string())
    }

    /// Sets the scopes, separated by spaces.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets the roles.
    #[must_use]
    pub fn roles(self, roles: &[&str]) -> Self {
        self.claim("roles", roles)
    }

    /// Makes it too old.
    #[must_use]
    pub fn expired(self) -> Self {
        self.claim("exp", system_clock() - 3_600)
    }

    /// Sets any claim.
    ///
    /// # Panics
    /// When the value is not JSON.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl serde::Serialize) -> Self {
        self.claims[name] = serde_json::to_value(value).expect("a claim is JSON");
        self
    }

    /// Signs it.
    ///
    /// # Panics
    /// When the key cannot sign.
    pub fn mint(self) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KID});
        let input = format!("{}.{}", encode(&header), encode(&self.claims));
        let signature = self.issuer.pair.sign(&SystemRandom::new(), input.as_bytes()).expect("it can sign");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
