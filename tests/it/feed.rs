//! The revocation feed: resource servers that verify offline learn of an ended login within seconds, and no stranger, reader or
//! user can make it large or busy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kakao_auth::domain::UserId;
use kakao_auth::flow::revocations::refresh;
use kakao_auth::store::{Pool, users};
use kakao_auth_verifier::feed::Pace;
use kakao_auth_verifier::{Refused, Verifier};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::rig::{
    Front, ISSUER, Rig, Setup, Stores, access_token, claims, feed_entry, header, http, json, user_of,
};

async fn feed(rig: &Rig, instance: usize, query: &str, etag: Option<&str>) -> Response {
    let url = rig.url(instance, &format!("/v1/revocations{query}"));
    let request = http().get(url);
    etag.map_or(request.try_clone().unwrap(), |tag| request.header("If-None-Match", tag))
        .send()
        .await
        .unwrap()
}

async fn read(reply: Response) -> (String, Value, String) {
    assert_eq!(reply.status(), StatusCode::OK);
    let etag = reply.headers()["etag"].to_str().unwrap().to_owned();
    let text = reply.text().await.unwrap();
    (etag, claims(&text), text)
}

async fn look(rig: &Rig, instance: usize) {
    refresh(rig.deps(instance), &mut rig.pool(instance).handle()).await.unwrap();
}

/// What a replica says after it has looked.
async fn fresh_with(rig: &Rig, instance: usize, query: &str) -> Value {
    look(rig, instance).await;
    read(feed(rig, instance, query, None).await).await.1
}

async fn fresh(rig: &Rig, instance: usize) -> Value {
    fresh_with(rig, instance, "").await
}

fn sid(tokens: &Value) -> String {
    feed_entry("sid", &claims(access_token(tokens))["sid"])
}

fn sub(tokens: &Value) -> String {
    feed_entry("sub", &claims(access_token(tokens))["sub"])
}

async fn revoke(rig: &Rig, tokens: &Value) {
    let form = [("token", tokens["refresh_token"].as_str().unwrap()), ("client_id", "web")];
    let reply = http().post(rig.url(0, "/oauth/revoke")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
}

/// Ended grants of a user: `ended` is SQL of when each ended (`i` counts), and when tokens of it were last issued.
async fn seed(rig: &Rig, user: UserId, count: u32, ended: &str) {
    for begin in (1..=count).step_by(10_000) {
        let end = count.min(begin + 9_999);
        rig.run(format!(
                "INSERT INTO grants (id, user_id, client_id, scope, auth_time, generation, refreshed_at, idle_expires_at,
                                     expires_at, ended_at, end_reason, created_at, logged_in_at)
                 SELECT gen_random_uuid(), '{user}', 'web', 'openid', at, 1, at, at + interval '1 day', at + interval '1 day',
                        at, 'logged_out', at, at
                 FROM (SELECT {ended} AS at FROM generate_series({begin}, {end}) AS i) AS times"
            ),
        )
        .await;
    }
}

/// A moment of the rig's clock, for Postgres.
fn moment(rig: &Rig) -> String {
    format!("to_timestamp({}::float8 / 1e6)", rig.clock.now().micros())
}

#[tokio::test]
async fn it_is_a_signed_list_that_any_resource_server_can_check_and_no_stranger_can_read() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    revoke(&rig, &tokens).await;
    look(&rig, 0).await;
    let reply = feed(&rig, 0, "", None).await;
    assert_eq!(reply.headers()["content-type"], "application/jwt");
    assert_eq!(reply.headers()["cache-control"], "public, max-age=1");
    let (_, said, text) = read(reply).await;
    assert_eq!(header(&text)["typ"], "revocations+jwt");
    assert_eq!(said["iss"], ISSUER);
    assert_eq!((&said["sids"], &said["subs"]), (&json!([sid(&tokens)]), &json!({})));
    assert_eq!((&said["window"], &said["complete"]), (&json!(720), &json!(true)));
    assert_eq!(said.get("refuse_before"), None);
    let members: BTreeSet<&str> = said.as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["iss", "iat", "window", "cursor", "complete", "sids", "subs"];
    assert_eq!(members, known.into(), "nothing else, such as when each login ended");
    let token = claims(access_token(&tokens));
    for claim in ["sid", "sub"] {
        assert!(!said.to_string().contains(token[claim].as_str().unwrap()), "{claim}");
    }
    let page = http().get(rig.url(0, "/v1/revocations")).header("Origin", "https://app.example");
    assert_eq!(page.send().await.unwrap().headers().get("access-control-allow-origin"), None);
    let jwks = json(http().get(rig.url(0, "/.well-known/jwks.json")).send().await.unwrap()).await;
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header(&text)["kid"]).unwrap();
    let key: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
    jsonwebtoken::decode::<Value>(&text, &key, &validation).unwrap();
}

#[tokio::test]
async fn another_replica_tells_of_it_within_two_seconds_to_whoever_waits() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    fresh(&rig, 1).await;
    let (etag, before, _) = read(feed(&rig, 1, "", None).await).await;
    assert_eq!(before["sids"], json!([]));
    let began = Instant::now();
    let (reply, ()) = tokio::join!(feed(&rig, 1, "?wait=20", Some(&etag)), revoke(&rig, &tokens));
    assert_eq!(reply.headers()["cache-control"], "no-store", "a proxy that keeps it would answer at once");
    assert_eq!(read(reply).await.1["sids"], json!([sid(&tokens)]));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn replicas_have_the_same_entity_tag_and_the_same_cursor() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    revoke(&rig, &tokens).await;
    let mut said = Vec::new();
    for instance in 0..2 {
        look(&rig, instance).await;
        said.push(read(feed(&rig, instance, "", None).await).await);
    }
    let [(one_tag, one, one_text), (other_tag, other, other_text)] = &said[..] else { panic!() };
    assert_ne!(one_text, other_text, "each signs it");
    assert_eq!((one_tag, one), (other_tag, other));
    let cross = feed(&rig, 1, "?wait=1", Some(one_tag)).await;
    assert_eq!(cross.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn while_nothing_happens_a_reader_costs_one_request_each_wait() {
    let rig = Rig::start().await;
    look(&rig, 0).await;
    let (etag, before, _) = read(feed(&rig, 0, "", None).await).await;
    for query in ["", "?wait=0", "?wait=1"] {
        assert_eq!(feed(&rig, 0, query, Some(&etag)).await.status(), StatusCode::NOT_MODIFIED, "{query}");
    }
    let began = Instant::now();
    let renewing = async {
        // Signed anew, to show that it is fresh: whoever waits goes on waiting.
        rig.clock.advance(Duration::from_secs(31));
        tokio::time::sleep(Duration::from_millis(100)).await;
        look(&rig, 0).await;
    };
    let (reply, ()) = tokio::join!(feed(&rig, 0, "?wait=2", Some(&etag)), renewing);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let (_, after, _) = read(reply).await;
    assert!(after["iat"].as_i64().unwrap() >= before["iat"].as_i64().unwrap() + 31);
    // An old tag of the same entries waits too.
    let began = Instant::now();
    assert_eq!(feed(&rig, 0, "?wait=1", Some(&etag)).await.status(), StatusCode::OK);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

/// Every test on both databases that reads what the store's statements say.
async fn rigs() -> Vec<Rig> {
    let mut rigs = Vec::new();
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        rigs.push(Rig::with(Setup { stores, ..Setup::default() }).await);
    }
    rigs
}

#[tokio::test]
async fn a_disabled_user_is_one_entry_with_the_time_from_which_tokens_count() {
    for rig in rigs().await {
        let tokens = rig.tokens().await;
        rig.tokens().await;
        rig.clock.advance(Duration::from_mins(1));
        let fresh_tokens = rig.tokens().await;
        let now = rig.clock.now();
        assert!(users::disable(&mut rig.db(), user_of(&tokens), now).await.unwrap());
        assert_eq!(fresh(&rig, 0).await["subs"], json!({sub(&tokens): now.secs()}), "at once");
        rig.end_rows().await;
        let said = fresh(&rig, 0).await;
        assert_eq!(said["subs"], json!({sub(&tokens): now.secs()}));
        assert_eq!(
            said["sids"],
            json!([sid(&fresh_tokens)]),
            "tokens of that very second, which the time spares"
        );
        rig.clock.advance(Duration::from_secs(721));
        let said = fresh(&rig, 0).await;
        assert_eq!((&said["subs"], &said["sids"]), (&json!({}), &json!([])));
    }
}

#[tokio::test]
async fn what_can_have_no_living_access_token_is_not_listed() {
    for rig in rigs().await {
        let (old, recent) = (rig.tokens().await, rig.tokens().await);
        rig.code().await;
        let user = user_of(&old);
        rig.clock.advance(Duration::from_mins(13));
        let refreshed = rig.refresh(0, recent["refresh_token"].as_str().unwrap()).await;
        let recent: Value = refreshed.json().await.unwrap();
        let code = rig.code().await;
        // All end, one by one: a grant that was refreshed long ago, one that was not, a code that nobody spent.
        let end = "UPDATE grants SET ended_at = {now}, end_reason = 'logged_out' WHERE ended_at IS NULL";
        let now = match &rig.pool {
            Pool::Postgres(..) => moment(&rig),
            Pool::Sqlite(_) => rig.clock.now().micros().to_string(),
        };
        rig.run(end.replace("{now}", &now)).await;
        let said = fresh(&rig, 0).await;
        assert_eq!(said["sids"], json!([sid(&recent)]), "{user} {code}");
    }
}

#[tokio::test]
async fn an_entry_goes_when_no_token_can_live_any_more() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    revoke(&rig, &tokens).await;
    rig.clock.advance(Duration::from_mins(12));
    assert_eq!(
        fresh(&rig, 0).await["sids"],
        json!([sid(&tokens)]),
        "as long as a token may live, and a leeway"
    );
    rig.clock.advance(Duration::from_secs(1));
    for instance in 0..2 {
        assert_eq!(fresh(&rig, instance).await["sids"], json!([]));
    }
}

#[tokio::test]
async fn sixty_thousand_logouts_of_one_user_add_less_than_a_kilobyte() {
    for one_by_one in [false, true] {
        let rig = Rig::instances(2).await;
        let tokens = rig.tokens().await;
        look(&rig, 0).await;
        let before = read(feed(&rig, 0, "", None).await).await.2.len();
        rig.clock.advance(Duration::from_mins(11));
        let now = moment(&rig);
        let ended = if one_by_one { format!("{now} - interval '10 milliseconds' * i") } else { now };
        seed(&rig, user_of(&tokens), 60_000, &ended).await;
        let mut tags = Vec::new();
        for instance in 0..2 {
            look(&rig, instance).await;
            let (etag, said, text) = read(feed(&rig, instance, "", None).await).await;
            assert!(text.len() < before + 1_000, "{} and {} before", text.len(), before);
            assert!(said["sids"].as_array().unwrap().len() <= 16);
            assert!(said["subs"][sub(&tokens)].as_i64().unwrap() >= rig.clock.now().secs() - 1, "{said}");
            tags.push(etag);
        }
        assert_eq!(tags[0], tags[1]);
    }
}

#[tokio::test]
async fn the_rows_of_a_user_who_was_ended_do_not_appear_one_by_one() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    rig.clock.advance(Duration::from_mins(2));
    let now = rig.clock.now();
    assert!(users::disable(&mut rig.db(), user_of(&tokens), now).await.unwrap());
    let before = read({
        look(&rig, 0).await;
        feed(&rig, 0, "", None).await
    })
    .await;
    // Rows that are ended in the minutes after, a few of them refreshed just before.
    let (at, user) = (moment(&rig), user_of(&tokens));
    seed(&rig, user, 5_000, &format!("{at} - interval '1 minute'")).await;
    rig.clock.advance(Duration::from_mins(1));
    rig.end_rows().await;
    rig.run(format!("UPDATE grants SET ended_at = {} WHERE user_id = '{user}'", moment(&rig))).await;
    for instance in 0..2 {
        let said = fresh(&rig, instance).await;
        assert_eq!((&said["subs"], &said["sids"]), (&before.1["subs"], &before.1["sids"]));
        assert_eq!((said["subs"].as_object().unwrap().len(), &said["sids"]), (1, &json!([])));
    }
}

#[tokio::test]
async fn after_a_cursor_only_what_is_newer_is_listed() {
    let rig = Rig::instances(2).await;
    let all: Vec<Value> = [rig.tokens().await, rig.tokens().await, rig.tokens().await].into();
    let mut cursors = Vec::new();
    for tokens in &all {
        revoke(&rig, tokens).await;
        cursors.push(fresh(&rig, 0).await["cursor"].as_str().unwrap().to_owned());
        rig.clock.advance(Duration::from_mins(2));
    }
    for instance in 0..2 {
        look(&rig, instance).await;
        let asked = format!("?after={}", cursors[1]);
        let said = fresh_with(&rig, instance, &asked).await;
        let mut newer = vec![sid(&all[1]), sid(&all[2])];
        newer.sort();
        let mut sids: Vec<String> = serde_json::from_value(said["sids"].clone()).unwrap();
        sids.sort();
        assert_eq!(sids, newer, "what ended in the last moments before the cursor is told again");
        assert_eq!((&said["complete"], &said["after"]), (&json!(false), &json!(cursors[1])));
        assert_eq!(said["cursor"], json!(cursors[2]));
    }
    for unknown in ["x", "0", "-1", "99999999999", "9223372036854775807", "1e3", "%00"] {
        let reply = feed(&rig, 0, &format!("?after={unknown}"), None).await;
        if unknown == "%00" {
            assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
            continue;
        }
        let said = read(reply).await.1;
        assert_eq!((&said["complete"], said.get("after")), (&json!(true), None), "{unknown}");
        assert_eq!(said["sids"].as_array().unwrap().len(), 3, "{unknown}");
    }
}

#[tokio::test]
async fn a_cursor_does_not_pass_what_is_committed_late() {
    let rig = Rig::instances(2).await;
    let (late, early) = (rig.tokens().await, rig.tokens().await);
    let Pool::Postgres(pool, _) = &rig.pool else { panic!() };
    let mut under_way = pool.begin().await.unwrap();
    let end = format!(
        "UPDATE grants SET ended_at = {}, end_reason = 'logged_out' WHERE id = '{}'",
        moment(&rig),
        claims(access_token(&late))["sid"].as_str().unwrap()
    );
    sqlx::query(AssertSqlSafe(end)).execute(&mut *under_way).await.unwrap();
    rig.clock.advance(Duration::from_secs(29));
    revoke(&rig, &early).await;
    let mut cursor = String::new();
    for instance in 0..2 {
        let said = fresh(&rig, instance).await;
        assert_eq!(said["sids"], json!([sid(&early)]));
        cursor = said["cursor"].as_str().unwrap().to_owned();
    }
    under_way.commit().await.unwrap();
    rig.clock.advance(Duration::from_secs(10));
    for instance in 0..2 {
        let said = fresh_with(&rig, instance, &format!("?after={cursor}")).await;
        assert_eq!(said["complete"], json!(false));
        assert!(said["sids"].as_array().unwrap().contains(&json!(sid(&late))), "{said}");
    }
}

#[tokio::test]
async fn after_a_database_was_restored_the_whole_list_is_told() {
    let mut rig = Rig::start().await;
    let (kept, lost) = (rig.tokens().await, rig.tokens().await);
    revoke(&rig, &kept).await;
    rig.clock.advance(Duration::from_mins(5));
    revoke(&rig, &lost).await;
    let cursor = fresh(&rig, 0).await["cursor"].as_str().unwrap().to_owned();
    let lost_sid = claims(access_token(&lost))["sid"].as_str().unwrap().to_owned();
    rig.run(format!("UPDATE grants SET ended_at = NULL, end_reason = NULL WHERE id = '{lost_sid}'")).await;
    rig.add_instance(&Setup::default()).await;
    let said = fresh_with(&rig, 1, &format!("?after={cursor}")).await;
    assert_eq!((&said["complete"], said.get("after")), (&json!(true), None));
    assert_eq!(said["sids"], json!([sid(&kept)]));
}

/// A resource server that asks an address, with a pace that a test counts: how many seconds it has slept.
fn backend(rig: &Rig, url: &str) -> (Verifier, Arc<AtomicU64>) {
    let clock = rig.clock.clone();
    let slept = Arc::new(AtomicU64::new(0));
    let (read, moved) = (Arc::clone(&slept), Arc::clone(&slept));
    let pace = Pace {
        elapsed: Arc::new(move || Duration::from_millis(read.load(Ordering::SeqCst))),
        sleep: Arc::new(move |time| {
            moved.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
            Box::pin(tokio::time::sleep(Duration::from_millis(1)))
        }),
    };
    let verifier = Verifier::builder(ISSUER, "orders")
        .jwks_url(rig.url(0, "/.well-known/jwks.json"))
        .revocation_feed_url(format!("{url}/v1/revocations"))
        .clock(Arc::new(move || clock.now().secs()))
        .pace(pace)
        .build()
        .unwrap();
    (verifier, slept)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_balancer_a_reader_waits_and_does_not_spin() {
    let rig = Rig::instances(2).await;
    for instance in 0..2 {
        look(&rig, instance).await;
    }
    let tokens = rig.tokens().await;
    let (url, requests) = Front::RoundRobin.before(vec![rig.url(0, ""), rig.url(1, "")]).await;
    let (backend, slept) = backend(&rig, &url);
    backend.verify(access_token(&tokens)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(requests.load(Ordering::SeqCst), 2, "one, and one that waits");
    let began = Instant::now();
    revoke(&rig, &tokens).await;
    while backend.verify(access_token(&tokens)).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(2), "still accepted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Whichever replica answers from now on, it is not un-learned.
    for _ in 0..100 {
        assert_eq!(backend.verify(access_token(&tokens)).await.err(), Some(Refused::Revoked));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (requests, slept) = (requests.load(Ordering::SeqCst), slept.load(Ordering::SeqCst));
    assert!(u64::try_from(requests).unwrap() <= slept / 1_000 + 2, "{requests} in {slept} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_answers_at_once_a_reader_asks_once_a_second() {
    let rig = Rig::instances(2).await;
    for front in [Front::AnswersNotModified, Front::DropsIfNoneMatch] {
        for instance in 0..2 {
            look(&rig, instance).await;
        }
        let tokens = rig.tokens().await;
        let (url, requests) = front.before(vec![rig.url(0, ""), rig.url(1, "")]).await;
        let (backend, slept) = backend(&rig, &url);
        backend.verify(access_token(&tokens)).await.unwrap();
        let began = Instant::now();
        while slept.load(Ordering::SeqCst) < 60_000 {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{front:?}: {requests:?} requests, {slept:?} ms"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (requests, slept) = (requests.load(Ordering::SeqCst), slept.load(Ordering::SeqCst));
        assert!(u64::try_from(requests).unwrap() <= slept / 1_000 + 2, "{front:?}: {requests} in {slept} ms");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_is_listed_closes_the_door_and_never_opens_it() {
    let rig = Rig::start().await;
    let (early, living) = (rig.tokens().await, rig.tokens().await);
    rig.clock.advance(Duration::from_mins(2));
    // More users than entries, each with a grant that has just ended.
    let now = moment(&rig);
    rig.run(format!(
        "INSERT INTO users (id, kakao_id, created_at, updated_at, last_login_at)
             SELECT gen_random_uuid(), 1000000 + i, {now}, {now}, {now} FROM generate_series(1, 50100) AS i"
    ))
    .await;
    rig.run(format!(
            "INSERT INTO grants (id, user_id, client_id, scope, auth_time, generation, refreshed_at, idle_expires_at,
                                 expires_at, ended_at, end_reason, created_at, logged_in_at)
             SELECT gen_random_uuid(), id, 'web', 'openid', {now}, 1, {now}, {now}, {now},
                    {now} - interval '0.5 milliseconds' * (kakao_id - 1000000), 'logged_out', {now}, {now}
             FROM users WHERE kakao_id BETWEEN 1000001 AND 1050100"
        ),
    )
    .await;
    revoke(&rig, &early).await;
    rig.clock.advance(Duration::from_secs(10));
    look(&rig, 0).await;
    let (_, said, text) = read(feed(&rig, 0, "", None).await).await;
    let entries = said["sids"].as_array().unwrap().len() + said["subs"].as_object().unwrap().len();
    assert!(entries <= 50_000, "{entries}");
    assert!(text.len() < 2_200_000, "{}", text.len());
    let refuse_before = said["refuse_before"].as_i64().unwrap();
    assert!(
        (rig.clock.now().secs() - 34..rig.clock.now().secs() - 29).contains(&refuse_before),
        "{said:.200}"
    );
    let (backend, _) = backend(&rig, rig.url(0, "").trim_end_matches('/'));
    for token in [access_token(&early), access_token(&living)] {
        assert_eq!(backend.verify(token).await.err(), Some(Refused::Revoked));
    }
    let refreshed = rig.refresh(0, living["refresh_token"].as_str().unwrap()).await;
    backend.verify(access_token(&refreshed.json().await.unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_wait_that_is_no_number_is_refused_and_a_long_one_is_cut() {
    let rig = Rig::start().await;
    look(&rig, 0).await;
    for wait in ["?wait=-1", "?wait=x", "?wait=1.5", "?wait=1&wait=1"] {
        let reply = feed(&rig, 0, wait, None).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{wait}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        assert!(json(reply).await["detail"].as_str().unwrap().contains("wait"), "{wait}");
    }
    for wait in ["?wait=31", "?wait=99999999999999999999999"] {
        assert_eq!(feed(&rig, 0, wait, None).await.status(), StatusCode::OK, "{wait}");
    }
    let post = http().post(rig.url(0, "/v1/revocations")).send().await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// The whole way: after "log out everywhere" a resource server on another replica, which asks nobody at each request, refuses
/// what it accepted before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_with_the_verifier_refuses_within_two_seconds_of_a_logout_everywhere() {
    let rig = Rig::instances(2).await;
    let clock = rig.clock.clone();
    let backend = Verifier::builder(ISSUER, "orders")
        .jwks_url(rig.url(1, "/.well-known/jwks.json"))
        .revocation_feed_url(rig.url(1, "/v1/revocations"))
        .clock(Arc::new(move || clock.now().secs()))
        .build()
        .unwrap();
    let token = |tokens: &Value| access_token(tokens).to_owned();
    let mine = rig.tokens().await;
    let (here, there) = (token(&mine), token(&rig.tokens().await));
    let account_token = rig.account_token(&mine).await;
    rig.kakao.autopilot(kakao_simulator::Autopilot::Person("no-email".into()));
    let somebody_else = token(&rig.tokens().await);
    for token in [&here, &there, &somebody_else] {
        backend.verify(token).await.unwrap();
    }
    let request = http().delete(rig.url(0, "/v1/me/sessions")).bearer_auth(&account_token);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let began = Instant::now();
    for token in [&here, &there] {
        while backend.verify(token).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(2), "still accepted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(backend.verify(token).await.err(), Some(Refused::Revoked));
    }
    backend.verify(&somebody_else).await.unwrap();
}
