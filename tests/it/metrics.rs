//! What an operator can count. The counters are those of the process, and the tests beside these count in it too: all that
//! can be said here is that a series grew.

use reqwest::StatusCode;

use crate::rig::{Browser, Rig, authorization_request, http, parameter, refresh_token};

const LOGINS: &str = "kakao_auth_logins_total{outcome=";
const REFRESHES: &str = "kakao_auth_refreshes_total{verdict=";

/// `/metrics`, at one moment.
struct Scrape(String);

impl Scrape {
    async fn of(rig: &Rig) -> Self {
        let reply = http().get(rig.management_url(0, "/metrics")).send().await.unwrap();
        Self(reply.text().await.unwrap())
    }

    fn count(&self, name: &str, label: &str) -> u64 {
        let start = format!("{name}\"{label}\"}} ");
        let line = self.0.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |count| count.parse().unwrap())
    }

    fn grew_since(&self, before: &Self, name: &str, label: &str) {
        assert!(self.count(name, label) > before.count(name, label), "{name} {label} in {}", self.0);
    }
}

#[tokio::test]
async fn logins_are_counted_by_how_they_ended() {
    let rig = Rig::start().await;
    let before = Scrape::of(&rig).await;
    let browser = Browser::new(&rig);
    browser.log_in(&authorization_request(&[])).await;
    let again = browser.at_once(&[]).await;
    assert!(parameter(&again, "code").is_some(), "by the session: {again}");
    rig.kakao.autopilot(kakao_simulator::Autopilot::Cancel);
    Browser::new(&rig).log_in(&authorization_request(&[])).await;
    let after = Scrape::of(&rig).await;
    for outcome in ["logged_in", "by_session", "person_cancelled"] {
        after.grew_since(&before, LOGINS, outcome);
    }
}

#[tokio::test]
async fn refreshes_are_counted_by_what_became_of_the_token() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let before = Scrape::of(&rig).await;
    let first = refresh_token(&tokens);
    for _ in 0..2 {
        assert_eq!(rig.refresh(0, first).await.status(), StatusCode::OK);
    }
    assert_eq!(rig.refresh(0, "kart_forged").await.status(), StatusCode::BAD_REQUEST);
    rig.clock.advance(std::time::Duration::from_secs(11));
    assert_eq!(rig.refresh(0, first).await.status(), StatusCode::BAD_REQUEST);
    let after = Scrape::of(&rig).await;
    for verdict in ["rotated", "reused", "forged", "replayed"] {
        after.grew_since(&before, REFRESHES, verdict);
    }
}
