//! A client proves who it is with a key of its own (RFC 7523, OpenID Connect Core §9).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use kakao_auth::domain::Fingerprint;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{BACKEND_SECRET, ISSUER, Rig, Setup, json};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The client's id: one that no other test has, because failures are counted per client in a cache that all share.
    fn id(&self) -> String {
        format!("keyed-{}", &Fingerprint::of(self.0.public_key().as_ref()).to_hex()[..16])
    }

    fn good(&self, rig: &Rig) -> (Value, Value) {
        let now = rig.clock.now().secs();
        let (id, jti) = (self.id(), uuid::Uuid::now_v7());
        (
            json!({"alg": "ES256", "kid": "one"}),
            json!({"iss": id, "sub": id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": jti}),
        )
    }

    async fn rig(&self, instances: usize) -> Rig {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        let clients = format!(
            "[[clients]]\nid = \"{}\"\ntype = \"confidential\"\ngrants = [\"client_credentials\"]\nscopes = [\"a\"]\n\
             jwks = [{{ kty = \"EC\", crv = \"P-256\", kid = \"one\", x = \"{}\", y = \"{}\" }}]\n",
            self.id(),
            URL_SAFE_NO_PAD.encode(x),
            URL_SAFE_NO_PAD.encode(y)
        );
        Rig::with(Setup { clients, instances, ..Setup::default() }).await
    }
}

async fn ask(rig: &Rig, instance: usize, assertion: &str, more: &[(&str, &str)]) -> Response {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    form.retain(|(name, _)| !more.iter().any(|(changed, _)| changed == name));
    form.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    rig.token(instance, &form).await
}

#[tokio::test]
async fn a_signed_assertion_is_as_good_as_a_secret() {
    let signer = Signer::new();
    let rig = signer.rig(1).await;
    for (change, value) in [
        ("aud", json!(ISSUER)),
        ("aud", json!(format!("{ISSUER}/oauth/token"))),
        ("aud", json!([ISSUER])),
        ("nbf", json!(rig.clock.now().secs())),
    ] {
        let (header, mut claims) = signer.good(&rig);
        claims[change] = value;
        let reply = ask(&rig, 0, &signer.sign(&header, &claims), &[]).await;
        assert_eq!(reply.status(), StatusCode::OK, "{change}");
    }
    let (_, claims) = signer.good(&rig);
    let without_kid = signer.sign(&json!({"alg": "ES256"}), &claims);
    assert_eq!(ask(&rig, 0, &without_kid, &[("client_id", &signer.id())]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn each_assertion_is_good_once_on_any_instance() {
    let signer = Signer::new();
    let rig = signer.rig(2).await;
    let (header, claims) = signer.good(&rig);
    let assertion = signer.sign(&header, &claims);
    let answers = join_all((0..10).map(|i| ask(&rig, i, &assertion, &[]))).await;
    assert_eq!(answers.iter().filter(|reply| reply.status() == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn whatever_is_wrong_with_it_the_client_is_unproven() {
    let signer = Signer::new();
    let rig = signer.rig(1).await;
    let now = rig.clock.now().secs();
    let mut cases = Vec::new();
    for (name, value) in [
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("aud", json!("https://elsewhere.example")),
        ("aud", json!([ISSUER, "https://elsewhere.example"])),
        ("aud", json!([])),
        ("exp", json!(now - 31)),
        ("exp", json!(now + 3_600)),
        ("exp", json!("soon")),
        ("exp", Value::Null),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
    ] {
        let (header, mut claims) = signer.good(&rig);
        claims[name] = value.clone();
        cases.push((format!("{name}={value}"), signer.sign(&header, &claims)));
    }
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("kid", json!("two")),
        ("crit", json!(["b64"])),
    ] {
        let (mut header, claims) = signer.good(&rig);
        header[name] = value.clone();
        cases.push((format!("{name}={value}"), signer.sign(&header, &claims)));
    }
    let (header, claims) = signer.good(&rig);
    cases.push(("a stranger's key".into(), Signer::new().sign(&header, &claims)));
    cases.push(("garbage".into(), "x".into()));
    cases.push(("huge".into(), "a".repeat(10_000)));
    for (name, assertion) in cases {
        let reply = ask(&rig, 0, &assertion, &[("client_id", &signer.id())]).await;
        let status = reply.status();
        let said = json(reply).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {said}");
        assert_eq!(said["error"], "invalid_client", "{name}");
        rig.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn two_ways_at_once_and_another_type_say_what_is_wrong() {
    let signer = Signer::new();
    let rig = signer.rig(1).await;
    let (header, claims) = signer.good(&rig);
    let assertion = signer.sign(&header, &claims);
    for more in [
        vec![("client_secret", BACKEND_SECRET), ("client_id", &signer.id())],
        vec![("client_assertion_type", "")],
        vec![("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")],
    ] {
        let reply = ask(&rig, 0, &assertion, &more).await;
        assert_eq!(json(reply).await["error"], "invalid_request", "{more:?}");
    }
    assert_eq!(ask(&rig, 0, &assertion, &[]).await.status(), StatusCode::OK, "and nothing was spent");
    let secretless = rig.token(0, &[("grant_type", "client_credentials"), ("client_id", &signer.id())]).await;
    assert_eq!(secretless.status(), StatusCode::UNAUTHORIZED);
}
