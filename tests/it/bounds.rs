//! What one process takes on at a time is bounded: what is beyond is told so at once, and what a stranger makes slow keeps
//! nobody else out.

use std::time::{Duration, Instant};

use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{Client, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Browser, Rig, Setup, authorization_request, http, json, refresh_token};

async fn bounded(connections: &str, requests: &str) -> Rig {
    let settings = vec![
        ("SERVER__MAX_CONNECTIONS", connections.to_owned()),
        ("SERVER__MAX_REQUESTS", requests.to_owned()),
    ];
    Rig::with(Setup { settings, ..Setup::default() }).await
}

async fn connect(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.url(0, "").trim_start_matches("http://")).await.unwrap()
}

/// A request whose body does not come to its end.
async fn slow_body(rig: &Rig) -> TcpStream {
    let mut stream = connect(rig).await;
    let head = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\na=";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Until the service has read the head.
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    String::from_utf8(bytes).unwrap().to_ascii_lowercase()
}

#[tokio::test]
async fn slow_bodies_keep_nobody_out_the_oldest_gives_way() {
    let rig = bounded("100", "4").await;
    let tokens = rig.tokens().await;
    let (first, _second) = (slow_body(&rig).await, slow_body(&rig).await);
    let began = Instant::now();
    assert_eq!(rig.refresh(0, refresh_token(&tokens)).await.status(), StatusCode::OK);
    let told = answer(first).await;
    assert!(told.starts_with("http/1.1 503") && told.contains("retry-after: 2"), "{told}");
    assert!(told.contains("connection: close") && told.contains("\"busy\""), "{told}");
    assert!(began.elapsed() < Duration::from_secs(5), "not when the time for a body is over");
}

#[tokio::test]
async fn a_kakao_that_hangs_leaves_room_for_what_does_not_need_it() {
    let rig = bounded("100", "4").await;
    let tokens = rig.tokens().await;
    let browsers = [Browser::new(&rig), Browser::new(&rig), Browser::new(&rig)];
    let mut callbacks = Vec::new();
    for browser in &browsers {
        callbacks.push(browser.until_callback(&authorization_request(&[])).await);
    }
    rig.kakao.fault(Fault {
        endpoint: Endpoint::Token,
        times: Some(2),
        delay_ms: 2_000,
        effect: Effect::Delay,
    });
    let third = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let reply = browsers[2].open_callback(0, &callbacks[2]).await;
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(reply.headers().contains_key("retry-after"));
        assert!(
            reply.headers()["content-type"].to_str().unwrap().starts_with("text/html"),
            "a person reads it"
        );
        assert_eq!(rig.refresh(0, refresh_token(&tokens)).await.status(), StatusCode::OK);
    };
    let (one, two, ()) = tokio::join!(
        browsers[0].open_callback(0, &callbacks[0]),
        browsers[1].open_callback(0, &callbacks[1]),
        third
    );
    for reply in [one, two] {
        assert!(crate::rig::location(&reply).contains("code=kac_"));
    }
    let again = browsers[2].open_callback(0, &callbacks[2]).await;
    assert!(crate::rig::location(&again).contains("code=kac_"), "nothing was changed");
}

#[tokio::test]
async fn beyond_the_bound_requests_are_refused_and_what_stands_on_memory_is_answered() {
    let rig = bounded("100", "1").await;
    let _slow = slow_body(&rig).await;
    let reply = http().get(rig.url(0, "/v1/me")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers()["retry-after"], "2");
    assert_eq!(json(reply).await["code"], "busy");
    for path in
        ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/health/live", "/health/ready"]
    {
        let reply = http().get(rig.url(0, path)).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn beyond_the_bound_of_connections_requests_are_refused_and_none_is_kept() {
    let rig = bounded("4", "100").await;
    let client = Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let kept = client.get(rig.url(0, "/health/live")).send().await.unwrap();
    assert!(!kept.headers().contains_key("connection"), "one of four is kept");
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(connect(&rig).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let reply = http().get(rig.url(0, "/v1/me")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers()["connection"], "close");
    let live = http().get(rig.url(0, "/health/live")).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    assert_eq!(live.headers()["connection"], "close", "from half of the bound on none is kept");
    drop(silent);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let reply = http().get(rig.url(0, "/v1/me")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "there is room again");
}
