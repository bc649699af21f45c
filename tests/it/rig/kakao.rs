//! What Kakao tells a rig, and the jobs of a service that a test steps itself.

use std::time::{Duration, Instant};

use kakao_auth::flow::kakao::process_webhook_events::process_webhook_events;
use kakao_auth::flow::kakao::profile::read_stale_profiles;
use kakao_auth::flow::kakao::unlink::unlink_due;
use kakao_auth::flow::user_endings::end_rows;
use kakao_simulator::Event;
use reqwest::{Response, StatusCode};

use super::{Rig, http};

/// Kakao's number for the person who logs in unless a test says otherwise.
pub(crate) const KAKAO_ID: i64 = 4_412_345_678;

impl Rig {
    /// Two seconds later: Kakao's times are whole seconds, and "after" must be after.
    pub(crate) fn later(&self) {
        self.clock.advance(Duration::from_secs(2));
    }

    /// An event of this kind that happened now, by the service's clock.
    pub(crate) fn event(&self, kind: &str) -> Event {
        Event { at: Some(self.clock.now().secs()), ..Event::new(KAKAO_ID, kind) }
    }

    /// Posts a security event token as Kakao does.
    pub(crate) async fn post_event(&self, token: String) -> Response {
        let request = http().post(self.url(0, "/kakao/webhooks/account-status"));
        request.header("Content-Type", "application/secevent+jwt").body(token).send().await.unwrap()
    }

    /// Kakao tells of an event, and it takes effect.
    pub(crate) async fn tell(&self, event: &Event) {
        let reply = self.post_event(self.kakao.sign_event(event)).await;
        assert_eq!(reply.status(), StatusCode::ACCEPTED, "{event:?}");
        self.process_events().await;
    }

    /// One step of the job that processes events.
    pub(crate) async fn process_due_events(&self) {
        process_webhook_events(self.deps(0), self.pool(0)).await.unwrap();
    }

    /// Until every event is processed.
    pub(crate) async fn process_events(&self) {
        let began = Instant::now();
        while self.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND done_at IS NULL").await
            > 0
        {
            self.process_due_events().await;
            assert!(began.elapsed() < Duration::from_mins(1), "events are left");
        }
        self.end_rows().await;
    }

    /// Until the rows of every user are ended whose logins have ended. A job of the service may be at it.
    pub(crate) async fn end_rows(&self) {
        let began = Instant::now();
        while self.count("SELECT count(*) FROM outbox WHERE queue = 'user_ending' AND done_at IS NULL").await
            > 0
        {
            end_rows(self.deps(0), self.pool(0), || false).await.unwrap();
            assert!(began.elapsed() < Duration::from_mins(1), "rows are left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One step of the job that reads changed profiles again.
    pub(crate) async fn read_due_profiles(&self) {
        read_stale_profiles(self.deps(0), &mut self.pool(0).handle()).await.unwrap();
    }

    /// One step of the job that unlinks deleted users at Kakao.
    pub(crate) async fn unlink_due(&self) {
        unlink_due(self.deps(0), self.pool(0)).await.unwrap();
    }

    /// Until every unlink at Kakao was tried once.
    pub(crate) async fn try_unlinks(&self) {
        const UNTRIED: &str = "SELECT count(*) FROM outbox WHERE queue = 'kakao_unlink'
                               AND set_aside_at IS NULL AND done_at IS NULL AND attempts = 0";
        for _ in 0..200 {
            self.unlink_due().await;
            if self.count(UNTRIED).await == 0 {
                // A job of the service may be at it.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
        }
        panic!("unlinks are left");
    }
}
