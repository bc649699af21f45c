//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): a client's own server is told, again and again until it knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode as Status;
use actix_web::{App, HttpResponse, HttpServer, web};
use kakao_auth::flow::backchannel_logout::notify_clients;
use kakao_auth::store::users;
use serde_json::{Value, json};

use crate::rig::{
    Browser, ISSUER, Rig, Setup, VERIFIER, authorization_request, claims, feed_entry, header, http, json,
    parameter, user_of,
};

/// The client's server: keeps what it is told, and answers as it is asked to.
struct Server {
    url: String,
    told: Arc<Mutex<Vec<String>>>,
    status: Arc<AtomicU16>,
}

fn serve() -> Server {
    let (told, status) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicU16::new(200)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/logout", listener.local_addr().unwrap());
    let (kept, answer) = (Arc::clone(&told), Arc::clone(&status));
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                let handler = move |form: web::Form<HashMap<String, String>>| {
                    kept.lock().unwrap().push(form["logout_token"].clone());
                    let status = Status::from_u16(answer.load(Ordering::SeqCst)).unwrap();
                    async move { HttpResponse::build(status).finish() }
                };
                App::new().route("/logout", web::post().to(handler))
            });
            server.workers(1).disable_signals().listen(listener).unwrap().run().await.unwrap();
        });
    });
    Server { url, told, status }
}

async fn rig(server: &Server, instances: usize) -> Rig {
    let clients = format!(
        "[[clients]]\nid = \"told\"\ntype = \"public\"\nredirect_uris = [\"https://told.example/cb\"]\n\
         scopes = [\"openid\", \"account\"]\n\
         backchannel_logout_uri = \"{}\"\n",
        server.url
    );
    Rig::with(Setup { clients, instances, ..Setup::default() }).await
}

async fn log_in(rig: &Rig, browser: &Browser<'_>) -> Value {
    let request =
        authorization_request(&[("client_id", "told"), ("redirect_uri", "https://told.example/cb")]);
    let landed = browser.log_in(&request).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "told"),
        ("code", &parameter(&landed, "code").unwrap()),
        ("redirect_uri", "https://told.example/cb"),
        ("code_verifier", VERIFIER),
    ];
    json(rig.token(0, &form).await).await
}

async fn revoke(rig: &Rig, tokens: &Value) {
    let form = [("token", tokens["refresh_token"].as_str().unwrap()), ("client_id", "told")];
    http().post(rig.url(0, "/oauth/revoke")).form(&form).send().await.unwrap();
}

fn told(server: &Server) -> Vec<String> {
    server.told.lock().unwrap().clone()
}

async fn wait_for(server: &Server, count: usize) {
    let began = Instant::now();
    while told(server).len() < count {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the client was told {} times",
            told(server).len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_logout_reaches_the_client_once_with_a_token_it_can_check() {
    let server = serve();
    let rig = rig(&server, 2).await;
    let browser = Browser::new(&rig);
    let tokens = log_in(&rig, &browser).await;
    let other = log_in(&rig, &Browser::new(&rig)).await;
    browser.post("/oauth/logout", &[("id_token_hint", tokens["id_token"].as_str().unwrap())]).await;
    wait_for(&server, 1).await;
    // Both instances look again: nobody is told twice.
    for instance in 0..2 {
        assert_eq!(notify_clients(rig.deps(instance), rig.pool(instance)).await.unwrap(), 0);
    }
    let all = told(&server);
    assert_eq!(all.len(), 1);
    assert_eq!(header(&all[0])["typ"], "logout+jwt");
    let (said, id) = (claims(&all[0]), claims(tokens["id_token"].as_str().unwrap()));
    for (name, value) in [
        ("iss", json!(ISSUER)),
        ("aud", json!("told")),
        ("sub", id["sub"].clone()),
        ("sid", id["sid"].clone()),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    assert_eq!(said["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
    assert!(said.get("nonce").is_none() && said["jti"].is_string());
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 120);
    assert_ne!(said["sid"], claims(other["id_token"].as_str().unwrap())["sid"]);
}

/// Until what the job has under way is written down.
async fn settled(rig: &Rig) {
    while rig.count("SELECT count(*) FROM outbox WHERE claimed_until IS NOT NULL").await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_told_again_until_it_knows_and_in_the_end_left_alone() {
    let server = serve();
    let rig = rig(&server, 1).await;
    server.status.store(500, Ordering::SeqCst);
    revoke(&rig, &log_in(&rig, &Browser::new(&rig)).await).await;
    wait_for(&server, 1).await;
    assert_eq!(notify_clients(rig.deps(0), rig.pool(0)).await.unwrap(), 0, "not before its back-off is over");
    settled(&rig).await;
    rig.clock.advance(Duration::from_secs(31));
    wait_for(&server, 2).await;
    server.status.store(204, Ordering::SeqCst);
    settled(&rig).await;
    rig.clock.advance(Duration::from_secs(31));
    wait_for(&server, 3).await;
    assert_ne!(
        claims(&told(&server)[0])["jti"],
        claims(&told(&server)[2])["jti"],
        "each is a token of its own"
    );
    settled(&rig).await;
    rig.clock.advance(Duration::from_hours(1));
    assert_eq!(notify_clients(rig.deps(0), rig.pool(0)).await.unwrap(), 0, "it knows");

    server.status.store(400, Ordering::SeqCst);
    revoke(&rig, &log_in(&rig, &Browser::new(&rig)).await).await;
    for tries in 1..=10 {
        wait_for(&server, 3 + tries).await;
        settled(&rig).await;
        rig.clock.advance(Duration::from_hours(1));
    }
    for _ in 0..3 {
        notify_clients(rig.deps(0), rig.pool(0)).await.unwrap();
        settled(&rig).await;
        rig.clock.advance(Duration::from_hours(1));
    }
    assert_eq!(told(&server).len(), 13, "ten tries and no more");
}

#[tokio::test]
async fn a_code_that_nobody_redeemed_is_no_login_to_tell_of() {
    let server = serve();
    let rig = rig(&server, 1).await;
    let browser = Browser::new(&rig);
    let request =
        authorization_request(&[("client_id", "told"), ("redirect_uri", "https://told.example/cb")]);
    browser.log_in(&request).await;
    let mine = browser.redeem(&browser.at_once(&[]).await).await;
    browser.post("/oauth/logout", &[("id_token_hint", mine["id_token"].as_str().unwrap())]).await;
    assert_eq!(notify_clients(rig.deps(0), rig.pool(0)).await.unwrap(), 0);
    assert!(told(&server).is_empty());
}

#[tokio::test]
async fn what_kakao_tells_and_a_deletion_reach_the_client_and_the_feed() {
    for ending in
        ["risc/event-type/credential-compromise", "oauth/event-type/user-unlinked", "deletion", "disabling"]
    {
        let server = serve();
        let rig = rig(&server, 1).await;
        let tokens = log_in(&rig, &Browser::new(&rig)).await;
        rig.clock.advance(Duration::from_secs(2));
        if ending == "deletion" {
            let token = rig.account_token(&tokens).await;
            let deleted = rig.call(reqwest::Method::DELETE, "/v1/me", &token, None).await;
            assert_eq!(deleted.status().as_u16(), 204);
        } else if ending == "disabling" {
            let now = rig.clock.now();
            assert!(users::disable(&mut rig.db(), user_of(&tokens), now).await.unwrap());
        } else {
            let kind = format!("https://schemas.openid.net/secevent/{ending}");
            let reply = rig.post_event(rig.kakao.sign_event(&rig.event(&kind))).await;
            assert_eq!(reply.status().as_u16(), 202);
        }
        wait_for(&server, 1).await;
        let sid = claims(tokens["id_token"].as_str().unwrap())["sid"].clone();
        assert_eq!(claims(&told(&server)[0])["sid"], sid, "{ending}");
        let began = Instant::now();
        loop {
            let feed = http().get(rig.url(0, "/v1/revocations")).send().await.unwrap();
            let list = claims(&feed.text().await.unwrap());
            if list["sids"].as_array().unwrap().contains(&feed_entry("sid", &sid).into()) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{ending} is not in the feed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
