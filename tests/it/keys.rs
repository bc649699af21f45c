//! The life of signing keys: rotation that nobody notices, and a leak that everybody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kakao_auth::domain::SigningAlg;
use kakao_auth::domain::rotation::{Stage, Step};
use kakao_auth::jobs::key_reload::reload_keys_once;
use kakao_auth::jobs::signing_keys::keys_once;
use kakao_auth::keys::Purpose;
use kakao_auth::keys::lifecycle::{self, Reencrypted, Rotated};
use kakao_auth::store::{Tx, signing_keys};
use kakao_auth_verifier::{Refused, Verifier};
use reqwest::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::rig::{
    Browser, ISSUER, MASTER_KEY, Rig, Setup, header, http, json, location, master_keys, parameter, redirect,
};

fn verifier(rig: &Rig) -> Verifier {
    let clock = rig.clock.clone();
    Verifier::builder(ISSUER, "orders")
        .jwks_url(rig.url(0, "/.well-known/jwks.json"))
        .clock(Arc::new(move || clock.now().secs()))
        .build()
        .unwrap()
}

/// What the jobs of both instances do within a minute.
async fn look(rig: &Rig, instances: usize) -> Vec<Step> {
    let steps = keys_once(rig.deps(0), &mut rig.pool(0).handle(), Uuid::from_u128(1))
        .await
        .unwrap()
        .unwrap_or_default();
    for instance in 0..instances {
        reload_keys_once(rig.deps(instance), &mut rig.pool(instance).handle()).await.unwrap();
    }
    steps
}

fn kid(tokens: &Value) -> String {
    header(tokens["access_token"].as_str().unwrap())["kid"].as_str().unwrap().to_owned()
}

/// The backend service reads the JWKS when its copy is older than `max-age`, or lacks a key and has not read lately; tokens are
/// made and verified all the time, on both instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_rotations_under_load_fail_no_verification() {
    let settings = vec![("KEYS__ROTATE_EVERY", "10m".to_owned())];
    let rig = Arc::new(Rig::with(Setup { instances: 2, settings, ..Setup::default() }).await);
    let verifier = verifier(&rig);
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (rig, stop, count, verifier) =
            (Arc::clone(&rig), Arc::clone(&stop), Arc::clone(&count), verifier.clone());
        tokio::spawn(async move {
            let mut tokens = rig.tokens().await;
            let mut instance = 0;
            while !stop.load(Ordering::Relaxed) {
                instance += 1;
                let reply = rig.refresh(instance, tokens["refresh_token"].as_str().unwrap()).await;
                assert_eq!(reply.status(), StatusCode::OK);
                tokens = json(reply).await;
                verifier.verify(tokens["access_token"].as_str().unwrap()).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut rotations = 0;
    while rotations < 10 {
        rig.clock.advance(Duration::from_secs(30));
        let steps = look(&rig, 2).await;
        rotations += steps
            .iter()
            .filter(|step| matches!(step, Step::Activate { current: Some(_), .. }))
            .count()
            .div_ceil(2);
        // The load takes part in each half minute.
        let before = count.load(Ordering::Relaxed);
        while count.load(Ordering::Relaxed) < before + 2 && !load.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(!load.is_finished(), "a verification failed");
    }
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    assert!(count.load(Ordering::Relaxed) > 200);
}

#[tokio::test]
async fn a_key_signs_on_every_replica_after_it_was_published_and_the_one_before_verifies_on() {
    let settings = vec![("KEYS__ROTATE_EVERY", "10m".to_owned())];
    let rig = Rig::with(Setup { instances: 2, settings, ..Setup::default() }).await;
    let before = rig.tokens().await;
    rig.clock.advance(Duration::from_secs(599));
    assert_eq!(look(&rig, 2).await, []);
    rig.clock.advance(Duration::from_secs(1));
    let old = rig.tokens().await;
    assert_eq!(kid(&old), kid(&before));
    assert_eq!(look(&rig, 2).await.len(), 6, "of two algorithms: one signs, one is made, hints are kept");
    assert_eq!(
        keys_once(rig.deps(1), &mut rig.pool(1).handle(), Uuid::from_u128(2)).await.unwrap(),
        None,
        "one replica at a time"
    );
    for instance in 0..2 {
        let new = json(rig.refresh(instance, old["refresh_token"].as_str().unwrap()).await).await;
        assert_ne!(kid(&new), kid(&old));
        let active =
            rig.introspected(instance, old["access_token"].as_str().unwrap()).await["active"].clone();
        assert_eq!(active, true, "tokens of the key before are good");
    }
    rig.clock.advance(Duration::from_mins(11));
    look(&rig, 2).await;
    let jwks = json(http().get(rig.url(1, "/.well-known/jwks.json")).send().await.unwrap()).await;
    let kids: Vec<&str> =
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert!(!kids.contains(&kid(&old).as_str()), "gone when its last token has expired");
}

/// The person whose login spans many rotations logs out with the ID token of its beginning.
#[tokio::test]
async fn over_ten_rotations_the_first_id_token_still_identifies_its_login() {
    let settings = vec![("KEYS__ROTATE_EVERY", "10m".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let (browser, other) = (Browser::new(&rig), Browser::new(&rig));
    let (tokens, theirs) = (browser.tokens(&[]).await, other.tokens(&[]).await);
    let hint = tokens["id_token"].as_str().unwrap();
    let signed_by = header(hint)["kid"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        // The second minute drops what the first one superseded.
        for pause in [Duration::from_mins(10), Duration::from_mins(11)] {
            rig.clock.advance(pause);
            look(&rig, 1).await;
        }
        let landed = browser.at_once(&[("id_token_hint", hint), ("prompt", "none")]).await;
        assert!(parameter(&landed, "code").is_some(), "{landed}");
    }
    let jwks = http().get(rig.url(0, "/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap();
    assert!(!jwks.contains(&signed_by), "it is not published");
    assert_eq!(
        rig.count("SELECT count(*) FROM signing_keys WHERE private_key_encrypted IS NOT NULL").await,
        6,
        "next, current and previous; of the others only the public half is left"
    );
    let logout =
        format!("/oauth/logout?post_logout_redirect_uri=https://app.example/bye&id_token_hint={hint}");
    let left = browser.get(&rig.url(0, &logout)).await;
    assert_eq!(location(&left), "https://app.example/bye");
    let refresh = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(json(refresh).await["error"], "invalid_grant");

    let (master, policy, now) = (master_keys(MASTER_KEY, &[]), rig.key_policy(0), rig.clock.now());
    assert!(lifecycle::retire(&mut rig.db(), &master, policy, &signed_by, now).await.unwrap());
    look(&rig, 1).await;
    let hint = theirs["id_token"].as_str().unwrap();
    let landed = other.at_once(&[("id_token_hint", hint), ("prompt", "none")]).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("login_required"), "a leaked key proves nothing");
    let logout =
        format!("/oauth/logout?post_logout_redirect_uri=https://app.example/bye&id_token_hint={hint}");
    assert_eq!(redirect(&other.get(&rig.url(0, &logout)).await), None);
    let refresh = rig.refresh(0, theirs["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refresh.status(), StatusCode::OK, "and ends nothing");
}

#[tokio::test]
async fn a_command_rotates_when_every_backend_knows_the_next_key_and_not_before() {
    let rig = Rig::start().await;
    let (master, policy) = (master_keys(MASTER_KEY, &[]), rig.key_policy(0));
    let rotate = async || {
        lifecycle::rotate(&mut rig.db(), &master, policy, SigningAlg::Es256, rig.clock.now()).await.unwrap()
    };
    let first = kid(&rig.tokens().await);
    let Rotated::NotBefore(when) = rotate().await else { panic!("the next key is not known yet") };
    rig.clock.advance(when.since(rig.clock.now()));
    let Rotated::Now(second) = rotate().await else { panic!("it is known now") };
    look(&rig, 1).await;
    assert_eq!(kid(&rig.tokens().await), second);
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_leaked_key_s_tokens_fail_here_at_once_and_at_backends_within_the_max_age() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    let backend = verifier(&rig);
    backend.verify(token).await.unwrap();
    let (master, policy, now) = (master_keys(MASTER_KEY, &[]), rig.key_policy(0), rig.clock.now());
    assert!(lifecycle::retire(&mut rig.db(), &master, policy, &kid(&tokens), now).await.unwrap());
    assert!(!lifecycle::retire(&mut rig.db(), &master, policy, &kid(&tokens), now).await.unwrap(), "once");
    look(&rig, 1).await;
    assert_eq!(rig.introspected(0, token).await["active"], false);
    let reply = rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await;
    let fresh = json(reply).await;
    backend.verify(fresh["access_token"].as_str().unwrap()).await.unwrap();
    rig.clock.advance(Duration::from_secs(301));
    assert_eq!(backend.verify(token).await.err(), Some(Refused::UnknownKey));
}

#[tokio::test]
async fn after_the_master_key_was_changed_everything_is_encrypted_anew_and_the_old_one_can_go() {
    let mut rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let old = MASTER_KEY;
    let new = "HxAREhMUFRYXGBkaGxwdHgABAgMEBQYHCAkKCwwNDg8=";
    let changed =
        vec![("SECRETS__MASTER_KEY", new.to_owned()), ("SECRETS__PREVIOUS_MASTER_KEYS", old.to_owned())];
    rig.add_instance(&Setup { settings: changed, ..Setup::default() }).await;
    let reply = rig.refresh(1, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(reply.status(), StatusCode::OK, "tokens of the old master key are good");
    let tokens = json(reply).await;
    let both = master_keys(new, &[old]);
    assert_eq!(
        lifecycle::reencrypt(&mut rig.db(), &both).await.unwrap(),
        Reencrypted { done: 4 + 1, unreadable: 0 },
        "four keys, one Kakao token"
    );
    let again = lifecycle::reencrypt(&mut rig.db(), &both).await.unwrap();
    assert_eq!(again, Reencrypted::default(), "nothing is left");

    rig.add_instance(&Setup { settings: vec![("SECRETS__MASTER_KEY", new.to_owned())], ..Setup::default() })
        .await;
    let reply = rig.refresh(2, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(reply.status(), StatusCode::OK, "without the old master key");
    let forgotten = master_keys(old, &[]);
    for key in signing_keys::all(&mut rig.db()).await.unwrap() {
        assert!(
            forgotten
                .decrypt(Purpose::SigningKey, key.kid.as_bytes(), &key.private_key_encrypted.unwrap())
                .is_none()
        );
    }
}

#[tokio::test]
async fn on_both_databases_a_change_is_applied_once() {
    for stores in [crate::rig::Stores::PostgresAndRedis, crate::rig::Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let now = rig.clock.now();
        let states = lifecycle::states(&mut rig.db()).await.unwrap();
        let find = |stage| {
            states.iter().find(|key| key.alg == SigningAlg::Es256 && key.stage(now) == stage).unwrap()
        };
        let (current, next) = (&find(Stage::Current).kid, &find(Stage::Next).kid);
        let until = now + Duration::from_mins(1);
        assert!(!signing_keys::remove(&mut rig.db(), current).await.unwrap(), "a key that signs stays");
        for first in [true, false] {
            let mut db = rig.db();
            let mut tx = Tx::begin(&mut db).await.unwrap();
            let done = signing_keys::activate(&mut tx, next, Some(current), now, until).await.unwrap();
            assert_eq!(done, first, "only once");
            tx.commit().await.unwrap();
        }
        assert!(signing_keys::remove(&mut rig.db(), current).await.unwrap());
        assert!(!signing_keys::remove(&mut rig.db(), current).await.unwrap());
    }
}

#[tokio::test]
async fn an_operator_sees_age_stage_and_use_of_each_key_on_the_management_address_alone() {
    let rig = Rig::start().await;
    let kid = kid(&rig.tokens().await);
    rig.clock.advance(Duration::from_mins(2));
    let reply = http().get(rig.management_url(0, "/metrics")).send().await.unwrap();
    assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = reply.text().await.unwrap();
    let line = |name: &str, part: &str| {
        let found = text.lines().find(|line| line.starts_with(name) && line.contains(part));
        found.unwrap_or_else(|| panic!("no {name} with {part} in {text}")).to_owned()
    };
    let age = line("kakao_auth_signing_key_age_seconds", &kid);
    assert!(age.contains("stage=\"current\"") && age.ends_with(" 120"), "{age}");
    line("kakao_auth_signing_key_age_seconds", "stage=\"next\"");
    let signed: f64 = line("kakao_auth_signatures_total", &kid).rsplit(' ').next().unwrap().parse().unwrap();
    assert!(signed >= 1.0, "the access token at least, and the feed: {text}");
    line("kakao_auth_database_connections", "open");
    assert_eq!(
        http().get(rig.management_url(0, "/health/ready")).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(http().get(rig.url(0, "/metrics")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let inside = http().get(rig.management_url(0, "/oauth/authorize")).send().await.unwrap();
    assert_eq!(inside.status(), StatusCode::NOT_FOUND);
}

const GARBAGE: &str = "UPDATE users SET kakao_refresh_token = $2 WHERE id = $1";
const UNLINK: &str = "INSERT INTO outbox (queue, key, lane, payload, created_at, next_at, set_aside_at)
                      SELECT 'kakao_unlink', $1, '7', $2, created_at, created_at, created_at FROM users WHERE id = $1";

#[tokio::test]
async fn a_value_that_no_master_key_decrypts_stops_no_other_and_waiting_unlinks_are_encrypted_anew_too() {
    let new = "HxAREhMUFRYXGBkaGxwdHgABAgMEBQYHCAkKCwwNDg8=";
    for stores in [crate::rig::Stores::PostgresAndRedis, crate::rig::Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let lost = crate::rig::user_of(&rig.tokens().await);
        rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
        let kept = crate::rig::user_of(&rig.tokens().await);
        let (old, both) = (master_keys(MASTER_KEY, &[]), master_keys(new, &[MASTER_KEY]));
        let context = 7_i64.to_be_bytes();
        let encrypted = old.encrypt(Purpose::KakaoRefreshToken, &context, b"of a deleted account").unwrap();
        let encrypted = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, encrypted);
        // Somebody else's master key encrypted one, and an account is gone of which Kakao does not know yet.
        let (id, garbage) = (lost.0, vec![0xAB_u8; 64]);
        let unlink = format!("{{\"kakao_id\":7,\"refresh_token\":\"{encrypted}\"}}");
        match &rig.pool {
            kakao_auth::store::Pool::Postgres(pool, _) => {
                sqlx::query(GARBAGE).bind(id).bind(garbage).execute(pool).await.unwrap();
                let unlink: Value = serde_json::from_str(&unlink).unwrap();
                sqlx::query(UNLINK).bind(kept.0).bind(unlink).execute(pool).await.unwrap();
            }
            kakao_auth::store::Pool::Sqlite(pool) => {
                sqlx::query(GARBAGE).bind(id).bind(garbage).execute(pool).await.unwrap();
                sqlx::query(UNLINK).bind(kept.0).bind(unlink).execute(pool).await.unwrap();
            }
        }
        let first = lifecycle::reencrypt(&mut rig.db(), &both).await.unwrap();
        assert_eq!(
            first,
            Reencrypted { done: 4 + 1 + 1, unreadable: 1 },
            "keys, a token, an unlink: {stores:?}"
        );
        let again = lifecycle::reencrypt(&mut rig.db(), &both).await.unwrap();
        assert_eq!(again, Reencrypted { done: 0, unreadable: 1 }, "{stores:?}");
    }
}

#[tokio::test]
async fn a_next_key_that_cannot_be_opened_is_found_out_at_the_start() {
    let rig = Rig::start().await;
    let kakao_auth::store::Pool::Postgres(pool, _) = &rig.pool else { panic!("this test is for Postgres") };
    let sql =
        "UPDATE signing_keys SET private_key_encrypted = decode('abababababababababababababababab', 'hex')
               WHERE activated_at IS NULL";
    assert!(sqlx::query(sql).execute(pool).await.unwrap().rows_affected() > 0);
    let program = crate::rig::Program::on(&rig);
    let ended = tokio::time::timeout(Duration::from_secs(30), program.run(&["serve"])).await;
    let (code, said) = ended.expect("it serves, with a next key that it cannot use");
    assert!(code.is_some_and(|code| code != 0) && said.contains("a signing key"), "{code:?} {said}");
}
