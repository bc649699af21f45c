//! What verification costs beside the bare signature check, and what it costs to take a feed over.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use kakao_auth_verifier::feed::RevocationList;
use kakao_auth_verifier::testing::Issuer;
use serde_json::json;
use uuid::Uuid;

fn verify(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issuer = Issuer::new("https://auth.example.com", "orders");
    let (verifier, token) = (issuer.verifier(), issuer.token().scope("profile email").mint());
    for i in 0..10_000 {
        verifier.revoke(Uuid::from_u128(1_000_000 + i * 7_919));
    }
    c.bench_function("verify a token", |b| {
        b.iter(|| runtime.block_on(verifier.verify(black_box(&token))).unwrap());
    });

    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let input = token.rsplit_once('.').unwrap().0.as_bytes();
    let signature = pair.sign(&SystemRandom::new(), input).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    c.bench_function("the bare signature check", |b| {
        b.iter(|| public.verify(black_box(input), signature.as_ref()).unwrap());
    });

    let entry = |i: u32| URL_SAFE_NO_PAD.encode([&[0; 8][..], &i.to_be_bytes()].concat());
    let sids: Vec<String> = (0..10_000).map(entry).collect();
    let payload = json!({"iss": "https://auth.example.com", "iat": 1, "window": 720, "cursor": "1", "complete": true,
                         "sids": sids, "subs": {}});
    let payload = payload.to_string();
    c.bench_function("take a feed of 10,000 entries over", |b| {
        b.iter(|| {
            let mut list = RevocationList::new("https://auth.example.com");
            list.add(black_box(payload.as_bytes()), None, 1, 30).unwrap();
            list
        });
    });
}

criterion_group!(benches, verify);
criterion_main!(benches);
