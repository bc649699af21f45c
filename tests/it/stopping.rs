//! A process that is told to stop sends its callers elsewhere first, and finishes what it has begun.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kakao_auth::flow::kakao::tokens as kakao_tokens;
use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::rig::{Rig, Setup, http, json, user_of};

/// Longer than a long poll may wait once the process drains.
const DRAIN: Duration = Duration::from_secs(3);

async fn draining() -> Rig {
    let settings =
        vec![("SERVER__DRAIN_DELAY", "3s".to_owned()), ("SERVER__SHUTDOWN_GRACE", "6s".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let began = Instant::now();
    while http().get(rig.url(0, "/health/ready")).send().await.unwrap().status() != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(5), "it is not ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig
}

#[tokio::test]
async fn it_says_that_it_is_not_ready_and_serves_on_then_closes_connections_and_then_the_port() {
    let mut rig = draining().await;
    let refresh = rig.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let (ready, live) = (rig.url(0, "/health/ready"), rig.url(0, "/health/live"));
    let management = rig.management_url(0, "/health/ready");
    let token = rig.url(0, "/oauth/token");
    assert_eq!(http().get(&ready).send().await.unwrap().status(), StatusCode::OK);
    let calls = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for url in [&ready, &management] {
            let reply = http().get(url).send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(reply.headers().contains_key("retry-after"));
            assert_eq!(json(reply).await, json!({ "status": "draining" }));
        }
        let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", &refresh)];
        let reply = http().post(&token).form(&form).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "it serves on");
        assert!(!reply.headers().contains_key("connection"), "connections are kept");
        tokio::time::sleep(DRAIN).await;
        let reply = http().get(&live).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "the port is open until the connections are closed");
        assert_eq!(reply.headers()["connection"], "close");
    };
    let (stopped, ()) = tokio::join!(rig.stop(0), calls);
    stopped.unwrap();
    assert!(http().get(&live).send().await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_connection_that_is_kept_is_never_cut_under_a_request() {
    let mut rig = draining().await;
    let live = rig.url(0, "/health/live");
    let client = reqwest::Client::builder().pool_max_idle_per_host(4).build().unwrap();
    let began = Instant::now();
    let requests = async {
        let mut served = 0;
        // Until the connection was closed by an answer: whoever opens another one finds another replica.
        loop {
            let reply = client.get(&live).send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::OK);
            served += 1;
            if reply.headers().contains_key("connection") {
                return served;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (stopped, served) = tokio::join!(rig.stop(0), requests);
    stopped.unwrap();
    assert!(served > 50 && began.elapsed() >= DRAIN, "{served} in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_reader_who_waits_for_the_feed_is_answered_at_once() {
    let mut rig = draining().await;
    let feed = rig.url(0, "/v1/revocations?wait=30");
    let reply = http().get(&feed).send().await.unwrap();
    let etag = reply.headers()["etag"].clone();
    let wait = async |before: Duration| {
        tokio::time::sleep(before).await;
        let began = Instant::now();
        let reply = http().get(&feed).header("If-None-Match", &etag).send().await.unwrap();
        // A feed that was signed anew meanwhile is an answer too.
        assert!(matches!(reply.status(), StatusCode::NOT_MODIFIED | StatusCode::OK), "{}", reply.status());
        began.elapsed()
    };
    let (stopped, first, later) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            rig.stop(0).await
        },
        wait(Duration::ZERO),
        wait(Duration::from_millis(600)),
    );
    stopped.unwrap();
    assert!(first < Duration::from_millis(800), "{first:?}");
    assert!(later < Duration::from_millis(1_500), "one who comes while it drains waits a second: {later:?}");
}

/// Where a balancer sends requests: what said that it is ready when it was last looked at.
#[derive(Clone, Default)]
struct Balancer(Arc<Mutex<Vec<(String, bool)>>>);

impl Balancer {
    fn add(&self, server: String) {
        self.0.lock().unwrap().push((server, false));
    }

    async fn look(&self) {
        let servers = self.0.lock().unwrap().clone();
        for (place, (server, _)) in servers.iter().enumerate() {
            let reply = http().get(format!("{server}/health/ready")).send().await;
            self.0.lock().unwrap()[place].1 = reply.is_ok_and(|reply| reply.status() == StatusCode::OK);
        }
    }

    fn pick(&self, turn: usize) -> String {
        let servers = self.0.lock().unwrap();
        let ready: Vec<&String> =
            servers.iter().filter(|(_, ready)| *ready).map(|(server, _)| server).collect();
        ready[turn % ready.len()].clone()
    }
}

/// One login that is refreshed again and again by kept connections; how often, until it is told to end.
async fn refresh_on(balancer: Balancer, mut token: String, end: Arc<AtomicBool>) -> usize {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    for turn in 0.. {
        if end.load(Ordering::Relaxed) {
            return turn;
        }
        let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", &token)];
        let server = balancer.pick(turn);
        let reply = client.post(format!("{server}/oauth/token")).form(&form).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "of {server}");
        json(reply).await["refresh_token"].as_str().unwrap().clone_into(&mut token);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("the loop has no end of its own")
}

#[tokio::test]
async fn replicas_that_are_restarted_one_after_the_other_fail_no_request() {
    let settings = vec![
        ("SERVER__DRAIN_DELAY", "2s".to_owned()),
        ("SERVER__SHUTDOWN_GRACE", "6s".to_owned()),
        ("DATABASE__MAX_CONNECTIONS", "4".to_owned()),
    ];
    let setup = Setup { instances: 2, settings, ..Setup::default() };
    let mut rig = Rig::with(setup).await;
    let settings =
        vec![("SERVER__DRAIN_DELAY", "2s".to_owned()), ("DATABASE__MAX_CONNECTIONS", "4".to_owned())];
    let again = Setup { settings, ..Setup::default() };
    let (balancer, end) = (Balancer::default(), Arc::new(AtomicBool::new(false)));
    balancer.add(rig.url(0, ""));
    balancer.add(rig.url(1, ""));
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(rig.tokens().await["refresh_token"].as_str().unwrap().to_owned());
    }
    balancer.look().await;
    let callers =
        tokens.into_iter().map(|token| tokio::spawn(refresh_on(balancer.clone(), token, Arc::clone(&end))));
    let callers: Vec<_> = callers.collect();
    let looking = tokio::spawn({
        let balancer = balancer.clone();
        async move {
            loop {
                // As seldom as the drain is long.
                tokio::time::sleep(Duration::from_secs(2)).await;
                balancer.look().await;
            }
        }
    });
    for old in 0..2 {
        rig.stop(old).await.unwrap();
        rig.add_instance(&again).await;
        balancer.add(rig.url(old + 2, ""));
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    end.store(true, Ordering::Relaxed);
    looking.abort();
    let served: usize = join_all(callers).await.into_iter().map(Result::unwrap).sum();
    assert!(served > 100, "{served}");
}

/// A backend service asks for a Kakao token, Kakao takes its time to answer with a new refresh token, and the process is told
/// to stop meanwhile, `rounds` times. The old refresh token is dead at Kakao then.
async fn stop_while_kakao_answers(rounds: usize, caller_waits: bool) {
    let mut rig = Rig::start().await;
    let user = user_of(&rig.tokens().await);
    let path = format!("/v1/users/{user}/kakao-token");
    let token = rig.own_token("service").await;
    for round in 0..rounds {
        let ask = |rig: &Rig| http().post(rig.url(round, &path)).bearer_auth(&token).json(&json!({})).send();
        // Each worker opens connections that the others use as well.
        for _ in 0..4 {
            kakao_tokens::evict(rig.deps(round), user).await;
            assert_eq!(
                ask(&rig).await.unwrap().status(),
                StatusCode::OK,
                "what Kakao sent in round {round} was kept"
            );
        }
        rig.kakao.advance_clock(Duration::from_hours(31 * 24));
        kakao_tokens::evict(rig.deps(round), user).await;
        let slow =
            Fault { endpoint: Endpoint::Token, times: Some(1), delay_ms: 1_200, effect: Effect::Delay };
        rig.kakao.fault(slow);
        let asking = tokio::spawn(ask(&rig));
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(!asking.is_finished(), "Kakao has not answered yet");
        if !caller_waits {
            asking.abort();
        }
        rig.stop(round).await.unwrap();
        if caller_waits {
            assert_eq!(asking.await.unwrap().unwrap().status(), StatusCode::OK, "round {round}");
        }
        let leases = "SELECT count(*) FROM job_leases WHERE name LIKE 'kakao-token:%'";
        assert_eq!(rig.count(leases).await, 0, "nothing answers kakao_busy after the restart");
        rig.add_instance(&Setup::default()).await;
    }
    kakao_tokens::evict(rig.deps(rounds), user).await;
    let reply = rig.call_at(rounds, Method::POST, &path, &token, Some(json!({}))).await;
    assert_eq!(reply.status(), StatusCode::OK, "what Kakao sent in the last round was kept");
}

#[tokio::test]
async fn a_new_refresh_token_of_kakao_s_is_kept_though_the_process_stops_before_it_comes() {
    join_all((0..4).map(|_| stop_while_kakao_answers(5, true))).await;
}

#[tokio::test]
async fn it_is_kept_also_when_the_caller_has_hung_up() {
    join_all((0..2).map(|_| stop_while_kakao_answers(3, false))).await;
}
