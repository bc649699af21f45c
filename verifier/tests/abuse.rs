//! Tokens that must not be accepted, each with its own reason; and how the keys are fetched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use actix_web::{App, HttpResponse, HttpServer, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakao_auth_verifier::{Refused, Verifier};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://auth.example.com";

struct Issuer {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Issuer {
    fn new(kid: &'static str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
               "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A JWKS endpoint that counts, and whose answer can be changed.
struct Server {
    url: String,
    fetches: Arc<AtomicUsize>,
    body: Arc<std::sync::Mutex<Option<Value>>>,
}

fn serve(body: Value) -> Server {
    let fetches = Arc::new(AtomicUsize::new(0));
    let shared = Arc::new(std::sync::Mutex::new(Some(body)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let (counter, content) = (Arc::clone(&fetches), Arc::clone(&shared));
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let (counter, content) = (Arc::clone(&counter), Arc::clone(&content));
                App::new().route(
                    "/jwks",
                    web::get().to(move || {
                        counter.fetch_add(1, Ordering::SeqCst);
                        let body = content.lock().unwrap().clone();
                        async move {
                            match body {
                                Some(body) => HttpResponse::Ok()
                                    .insert_header(("Cache-Control", "public, max-age=300"))
                                    .json(body),
                                None => HttpResponse::InternalServerError().finish(),
                            }
                        }
                    }),
                )
            });
            server.workers(1).disable_signals().listen(listener).unwrap().run().await.unwrap();
        });
    });
    Server { url, fetches, body: shared }
}

fn verifier(server: &Server, clock: &Arc<AtomicI64>) -> Verifier {
    let clock = Arc::clone(clock);
    Verifier::builder(ISSUER, "orders")
        .jwks_url(&server.url)
        .clock(Arc::new(move || clock.load(Ordering::SeqCst)))
        .build()
        .unwrap()
}

fn good() -> (Value, Value) {
    (
        json!({"alg": "ES256", "typ": "at+jwt", "kid": "one"}),
        json!({"iss": ISSUER, "aud": "orders", "sub": "u", "client_id": "web", "jti": "j",
               "iat": NOW, "nbf": NOW, "exp": NOW + 600, "scope": "profile email", "sid": "s", "roles": ["staff"]}),
    )
}

#[tokio::test]
async fn a_good_token_is_accepted_and_each_bad_one_says_why() {
    let issuer = Issuer::new("one");
    let server = serve(json!({"keys": [issuer.jwk(), {"kty": "OKP", "crv": "X448", "kid": "new"}]}));
    let verifier = verifier(&server, &Arc::new(AtomicI64::new(NOW)));
    let (header, claims) = good();
    let accepted = verifier.verify(&issuer.sign(&header, &claims)).await.unwrap();
    assert_eq!((accepted.sub.as_str(), accepted.roles.as_slice()), ("u", &["staff".to_owned()][..]));
    assert_eq!(accepted.require_scope("email"), Ok(()));
    assert_eq!(accepted.require_scope("admin"), Err(Refused::InsufficientScope("admin")));

    for (name, value, why) in [
        ("alg", json!("none"), Refused::Algorithm),
        ("alg", json!("HS256"), Refused::Algorithm),
        ("alg", json!("RS256"), Refused::Algorithm),
        ("typ", json!("JWT"), Refused::NotAnAccessToken),
        ("typ", Value::Null, Refused::NotAnAccessToken),
        ("crit", json!(["b64"]), Refused::Critical),
        ("kid", json!("../../etc/passwd"), Refused::UnknownKey),
        ("kid", Value::Null, Refused::UnknownKey),
    ] {
        let mut header = header.clone();
        header[name] = value.clone();
        assert_eq!(verifier.verify(&issuer.sign(&header, &claims)).await.unwrap_err(), why, "{name}={value}");
    }
    for (name, value, why) in [
        ("iss", json!("https://evil.example"), Refused::Issuer),
        ("aud", json!("billing"), Refused::Audience),
        ("aud", json!(["billing", "users"]), Refused::Audience),
        ("exp", json!(NOW - 30), Refused::Expired),
        ("exp", json!((NOW + 600).to_string()), Refused::Claims),
        ("nbf", json!(NOW + 31), Refused::NotYet),
        ("iat", json!(NOW + 3_600), Refused::NotYet),
        ("sub", json!(""), Refused::Claims),
        ("sub", Value::Null, Refused::Claims),
        ("jti", Value::Null, Refused::Claims),
        ("client_id", Value::Null, Refused::Claims),
    ] {
        let mut claims = claims.clone();
        claims[name] = value.clone();
        assert_eq!(verifier.verify(&issuer.sign(&header, &claims)).await.unwrap_err(), why, "{name}={value}");
    }
    let strange = Issuer::new("one").sign(&header, &claims);
    assert_eq!(verifier.verify(&strange).await.unwrap_err(), Refused::Signature);
    let token = issuer.sign(&header, &claims);
    let signature_gone = token.rsplit_once('.').unwrap().0.to_owned() + ".";
    for broken in
        ["", "a.b", "a.b.c.d", " ", &format!("{token}.x"), &format!(" {token}"), &"x".repeat(1_000_000)]
    {
        assert_eq!(verifier.verify(broken).await.unwrap_err(), Refused::Malformed, "{broken:.40}");
    }
    assert!(verifier.verify(&signature_gone).await.is_err());
    assert!(verifier.verify(&format!("{token} ")).await.is_err());
    assert!(verifier.verify(&format!("{token}=")).await.is_err());
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch_and_a_rotation_is_picked_up() {
    let (one, two) = (Issuer::new("one"), Issuer::new("two"));
    let server = serve(json!({"keys": [one.jwk()]}));
    let clock = Arc::new(AtomicI64::new(NOW));
    let verifier = verifier(&server, &clock);
    let (header, claims) = good();
    verifier.verify(&one.sign(&header, &claims)).await.unwrap();
    assert_eq!(server.fetches.load(Ordering::SeqCst), 1);
    for i in 0..50 {
        let mut header = header.clone();
        header["kid"] = json!(format!("unknown-{i}"));
        assert_eq!(verifier.verify(&one.sign(&header, &claims)).await.unwrap_err(), Refused::UnknownKey);
    }
    assert_eq!(server.fetches.load(Ordering::SeqCst), 1);
    *server.body.lock().unwrap() = Some(json!({"keys": [one.jwk(), two.jwk()]}));
    clock.fetch_add(31, Ordering::SeqCst);
    let mut rotated = header.clone();
    rotated["kid"] = json!("two");
    verifier.verify(&two.sign(&rotated, &claims)).await.unwrap();
    assert_eq!(server.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_changes_nothing_for_known_keys() {
    let issuer = Issuer::new("one");
    let server = serve(json!({"keys": [issuer.jwk()]}));
    let clock = Arc::new(AtomicI64::new(NOW));
    let verifier = verifier(&server, &clock);
    let (header, mut claims) = good();
    claims["exp"] = json!(NOW + 3_600);
    let token = issuer.sign(&header, &claims);
    *server.body.lock().unwrap() = None;
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Refused::Unavailable);
    *server.body.lock().unwrap() = Some(json!({"keys": [issuer.jwk()]}));
    verifier.verify(&token).await.unwrap();
    *server.body.lock().unwrap() = None;
    clock.fetch_add(1_000, Ordering::SeqCst);
    verifier.verify(&token).await.unwrap();
}
