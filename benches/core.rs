//! What a request costs in the parts that are ours: sign, verify, seal, the refresh decision, the attempt's cookie.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};
use kakao_auth::domain::refresh::judge;
use kakao_auth::domain::{ClientId, Grant, GrantId, Scope, SigningAlg, Stage, Timestamp, UserId};
use kakao_auth::keys::signer::{SigningKey, TokenType};
use kakao_auth::keys::{MasterKeys, Purpose, refresh_token};
use serde_json::{Value, json};

fn claims() -> Value {
    json!({
        "iss": "https://auth.example.com", "sub": "01a2083d-17cf-72be-b65f-86b8f33ef147", "aud": "orders",
        "client_id": "shop", "scope": "openid profile email", "iat": 1_800_000_000, "nbf": 1_800_000_000,
        "exp": 4_000_000_000_u64, "jti": "01a2083d-17cf-72be-b65f-86b8f33ef148",
        "sid": "01a2083d-17cf-72be-b65f-86b8f33ef149", "auth_time": 1_800_000_000,
    })
}

fn signatures(c: &mut Criterion) {
    for alg in SigningAlg::ALL {
        let key = SigningKey::from_pkcs8(alg, &SigningKey::generate(alg).unwrap()).unwrap();
        let claims = claims();
        c.bench_function(&format!("sign {}", alg.name()), |b| {
            b.iter(|| key.sign(TokenType::AccessToken, black_box(&claims)).unwrap());
        });
        let token = key.sign(TokenType::AccessToken, &claims).unwrap();
        let jwk: Jwk = serde_json::from_value(serde_json::to_value(key.public()).unwrap()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = Validation::new(alg.name().parse().unwrap());
        validation.set_audience(&["orders"]);
        c.bench_function(&format!("verify {}", alg.name()), |b| {
            b.iter(|| jsonwebtoken::decode::<Value>(black_box(&token), &decoding, &validation).unwrap());
        });
    }
}

fn sealing(c: &mut Criterion) {
    let keys = MasterKeys::new(&[7; 32], []).unwrap();
    let attempt = vec![b'x'; 600];
    c.bench_function("seal a cookie", |b| {
        b.iter(|| {
            keys.encrypt(Purpose::LoginCookie, b"login-abcdefghijklmnop", black_box(&attempt)).unwrap()
        });
    });
    let sealed = keys.encrypt(Purpose::LoginCookie, b"login-abcdefghijklmnop", &attempt).unwrap();
    c.bench_function("open a cookie", |b| {
        b.iter(|| keys.decrypt(Purpose::LoginCookie, b"login-abcdefghijklmnop", black_box(&sealed)).unwrap());
    });
}

fn refreshing(c: &mut Criterion) {
    let keys = MasterKeys::new(&[7; 32], []).unwrap();
    let grant = GrantId::generate();
    c.bench_function("write a refresh token", |b| b.iter(|| refresh_token::mint(&keys, grant, black_box(3))));
    let token = refresh_token::mint(&keys, grant, 3);
    c.bench_function("read a refresh token", |b| {
        b.iter(|| refresh_token::read(&keys, black_box(token.reveal())).unwrap());
    });
    let now = Timestamp::from_secs(1_800_000_000);
    let client = ClientId("shop".into());
    let stored = Grant {
        id: grant,
        user: UserId::generate(),
        client: client.clone(),
        scope: Scope::default(),
        resource: Vec::new(),
        auth_time: Some(now),
        roles: Vec::new(),
        expires_at: now + Duration::from_mins(1),
        stage: Stage::Live {
            generation: 4,
            refreshed_at: now,
            unanswered_at: None,
            idle_expires_at: now + Duration::from_mins(1),
        },
    };
    c.bench_function("judge a refresh", |b| {
        b.iter(|| judge(black_box(&stored), &client, 3, now, Duration::from_secs(10)));
    });
}

criterion_group!(benches, signatures, sealing, refreshing);
criterion_main!(benches);
