//! Nothing secret stands in clear in the database, in Redis, or in a log line.

use kakao_auth::store::Pool;
use kakao_simulator::Endpoint;
use redis::AsyncCommands;
use sqlx::Row;

use crate::rig::{Browser, Rig, Setup, Stores, authorization_request, claims, json, parameter, variable};

/// All of the database as text.
async fn dump(pool: &Pool) -> String {
    const TABLES: [&str; 6] =
        ["users", "grants", "login_attempts", "signing_keys", "audit_events", "job_leases"];
    let Pool::Postgres(pool, _) = pool else { panic!("the dump is for Postgres") };
    let mut text = String::new();
    for table in TABLES {
        let sql = format!("SELECT row_to_json(t)::text AS line FROM {table} t");
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.unwrap() {
            text.push_str(&row.get::<String, _>("line"));
            text.push('\n');
        }
    }
    text
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[tokio::test]
async fn a_login_leaves_one_user_and_no_secret_in_clear() {
    let rig = Rig::start().await;
    let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
    let code = parameter(&landed, "code").unwrap();
    let tokens = json(rig.redeem(0, &code).await).await;
    let kakao_code = rig
        .kakao
        .calls()
        .iter()
        .find(|call| call.endpoint == Endpoint::Token)
        .unwrap()
        .parameter("code")
        .unwrap()
        .to_owned();

    let database = dump(&rig.pool).await;
    assert_eq!(database.matches("김하늘").count(), 1, "one user row");
    for secret in [
        code.as_str(),
        tokens["refresh_token"].as_str().unwrap(),
        tokens["access_token"].as_str().unwrap(),
        &kakao_code,
        "simulated-client-secret",
    ] {
        assert!(!database.contains(secret) && !database.contains(&hex(secret)));
    }
    assert!(database.contains("kakao_refresh_token\":\"\\\\x"), "the Kakao refresh token is kept, encrypted");

    let sub = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let key = format!("kakao-auth:kakao-access-token:{sub}");
    let client = redis::Client::open(variable("REDIS_URL")).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let encrypted: Vec<u8> = redis.get(&key).await.unwrap();
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!((21_000..=21_599).contains(&ttl), "{ttl}");
    assert!(encrypted.len() > 60 && !encrypted.is_ascii(), "encrypted");
    let master =
        kakao_auth::keys::MasterKeys::new(&std::array::from_fn(|i| u8::try_from(i).unwrap()), []).unwrap();
    let opened =
        master.decrypt(kakao_auth::keys::Purpose::KakaoAccessToken, key.as_bytes(), &encrypted).unwrap();
    assert!(opened.is_ascii(), "what is encrypted is Kakao's token");
}

#[tokio::test]
async fn sqlite_and_memory_carry_a_whole_life_of_tokens() {
    let rig = Rig::with(Setup { stores: Stores::SqliteAndMemory, ..Setup::default() }).await;
    let mut tokens = rig.tokens().await;
    for _ in 0..3 {
        tokens = json(rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await).await;
    }
    assert_eq!(rig.count("SELECT generation FROM grants").await, 4);
}
