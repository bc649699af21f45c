//! What goes on when a store does not: answers stay fast and honest, and service comes back by itself.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::rig::{
    BACKEND_SECRET, Browser, Rig, Setup, TcpProxy, authorization_request, host_of, http, json, location,
    parameter, through, variable,
};

#[tokio::test]
async fn without_postgres_answers_are_503_documents_go_on_and_service_comes_back() {
    let (rig, proxy) = Rig::behind_a_proxy(vec![]).await;
    let account_token = rig.account_token(&rig.tokens().await).await;
    let tokens = rig.tokens().await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let code = rig.code().await;
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    let here = Browser::new(&rig);
    here.log_in(&authorization_request(&[])).await;

    proxy.shut();
    for _ in 0..3 {
        let began = Instant::now();
        let reply = rig.refresh(0, refresh_token).await;
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers()["retry-after"], "2");
        assert_eq!(json(reply).await["error"], "temporarily_unavailable");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let landed = location(&browser.open_callback(0, &callback).await);
    assert_eq!(parameter(&landed, "error").as_deref(), Some("temporarily_unavailable"));
    // Never an answer out of thin air, never a 200 without effect.
    let access_token = tokens["access_token"].as_str().unwrap();
    let url = |path: &str| rig.url(0, path);
    let requests = [
        (
            "introspect",
            http()
                .post(url("/oauth/introspect"))
                .basic_auth("orders", Some(BACKEND_SECRET))
                .form(&[("token", access_token)]),
        ),
        ("revoke", http().post(url("/oauth/revoke")).form(&[("token", refresh_token), ("client_id", "web")])),
        ("userinfo", http().get(url("/oauth/userinfo")).bearer_auth(access_token)),
        ("me", http().get(url("/v1/me/sessions")).bearer_auth(&account_token)),
        ("log out everywhere", http().delete(url("/v1/me/sessions")).bearer_auth(&account_token)),
    ];
    for (name, request) in requests {
        let began = Instant::now();
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert_eq!(reply.headers()["retry-after"], "2", "{name}");
        assert!(began.elapsed() < Duration::from_secs(2), "{name}: {:?}", began.elapsed());
    }
    let silent = location(&here.authorize(&authorization_request(&[("prompt", "none")])).await);
    assert_eq!(
        parameter(&silent, "error").as_deref(),
        Some("temporarily_unavailable"),
        "whether there is a session"
    );
    assert_eq!(here.get(&url("/oauth/logout")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for path in
        ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/v1/revocations", "/health/live"]
    {
        assert_eq!(http().get(rig.url(0, path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let ready = http().get(rig.url(0, "/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);

    proxy.open();
    let began = Instant::now();
    while http().get(rig.url(0, "/health/ready")).send().await.unwrap().status() != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(5), "ready again within five seconds");
    }
    assert_eq!(rig.redeem(0, &code).await.status(), StatusCode::OK, "the refused code was not spent");
    assert_eq!(rig.refresh(0, refresh_token).await.status(), StatusCode::OK);
    assert!(parameter(&browser.log_in(&authorization_request(&[])).await, "code").is_some());
}

/// Strangers may ask as often as they like: within a second the answer is the last one, and costs the stores nothing.
#[tokio::test]
async fn readiness_is_asked_of_the_stores_once_a_second() {
    let (rig, proxy) = Rig::behind_a_proxy(vec![]).await;
    let ready = async || http().get(rig.url(0, "/health/ready")).send().await.unwrap().status();
    for _ in 0..20 {
        proxy.open();
        // By the machine's own clock: what it answered before is too old now.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let asked_at = Instant::now();
        let first = ready().await;
        proxy.shut();
        let again = [ready().await, ready().await, ready().await];
        // Where this took a second, it proves nothing.
        if first == StatusCode::OK && asked_at.elapsed() < Duration::from_secs(1) {
            assert_eq!(again, [StatusCode::OK; 3], "the database was asked again");
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE, "later it is asked again");
            return;
        }
    }
    panic!("no three answers within a second");
}

#[tokio::test]
async fn without_redis_logins_and_refreshes_go_on() {
    let mut rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    let proxy = TcpProxy::to(host_of(&variable("REDIS_URL"), 6379)).await;
    let settings = vec![("CACHE__URL", through(&variable("REDIS_URL"), &proxy))];
    rig.add_instance(&Setup { settings, ..Setup::default() }).await;
    rig.tokens().await;
    proxy.shut();
    let began = Instant::now();
    for _ in 0..5 {
        let tokens = rig.tokens().await;
        assert_eq!(rig.refresh(0, tokens["refresh_token"].as_str().unwrap()).await.status(), StatusCode::OK);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let ready = http().get(rig.url(0, "/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(json(ready).await["cache"], "down");
}

#[tokio::test]
async fn a_service_waits_for_a_database_that_is_not_up_yet() {
    let mut rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    let proxy = TcpProxy::to(host_of(&rig.database_url, 5432)).await;
    proxy.shut();
    let settings = vec![("DATABASE__URL", through(&rig.database_url, &proxy))];
    let setup = Setup { settings, ..Setup::default() };
    tokio::join!(rig.add_instance(&setup), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.open();
    });
    rig.tokens().await;
}
