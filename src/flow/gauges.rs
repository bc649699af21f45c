//! What an operator watches: the descriptions of what flows count, and what is read anew for each scrape.

use std::time::Duration;

use metrics::{describe_counter, describe_gauge, gauge};

use super::Deps;
use crate::domain::Timestamp;
use crate::domain::rotation::{KeyState, Stage};
use crate::kakao;
use crate::keys::signer;
use crate::store::Pool;
use crate::store::outbox::{self, BACKCHANNEL_LOGOUTS, Backlogs, KAKAO_EVENTS, KAKAO_UNLINKS};

/// How logins end: `logged_in`, `by_session`, or the stable code of the failure.
pub(super) const LOGINS: &str = "kakao_auth_logins_total";

/// What became of refresh tokens that clients presented: `rotated`, `reused`, or why there was no new token.
pub(super) const REFRESHES: &str = "kakao_auth_refreshes_total";

/// Refreshes and code exchanges that were answered 503 or 500, and may be repeated.
pub(super) const UNANSWERED: &str = "kakao_auth_unanswered_requests_total";

/// Requests that a limit refused, by limit and client.
pub(super) const LIMITED: &str = "kakao_auth_limited_total";

/// Requests that a proxy forwarded which `server.trusted_proxies` does not list.
pub(super) const UNLISTED_PROXY: &str = "kakao_auth_unlisted_proxy_requests_total";

/// Longer than a healthy database needs, shorter than a scrape waits.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);

/// Says what the counters of flows, keys and Kakao mean; once a process.
pub(crate) fn describe() {
    describe_counter!(LOGINS, "logins that ended, by how");
    describe_counter!(REFRESHES, "refresh tokens that clients presented, by what became of them");
    describe_counter!(
        UNANSWERED,
        "refreshes and code exchanges that were answered 503 or 500, and may be repeated"
    );
    describe_counter!(LIMITED, "requests that a limit refused (429), by limit and client");
    describe_counter!(
        UNLISTED_PROXY,
        "requests forwarded by a proxy that server.trusted_proxies does not list"
    );
    kakao::describe_metrics();
    signer::describe_metrics();
}

/// What is so at one moment.
pub(crate) struct Gauges {
    now: Timestamp,
    keys: Vec<KeyState>,
    /// Of this process: open, and idle among them.
    connections: (u32, usize),
    /// Not while the database is down: the rest is shown without it.
    backlogs: Option<Backlogs>,
}

/// Reads what is so now.
pub(crate) async fn read(deps: &Deps, pool: &Pool) -> Gauges {
    let mut db = pool.handle();
    let backlogs = tokio::time::timeout(DATABASE_WITHIN, outbox::backlogs(&mut db)).await;
    Gauges {
        now: deps.clock.now(),
        keys: deps.keys.ring().states().to_vec(),
        connections: pool.connections(),
        backlogs: backlogs.ok().and_then(Result::ok),
    }
}

impl Gauges {
    /// Records them.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
    pub(crate) fn record(&self) {
        const CONNECTIONS: &str = "kakao_auth_database_connections";
        self.record_keys();
        if let Some(backlogs) = &self.backlogs {
            record_backlogs(backlogs);
        }
        let (open, idle) = self.connections;
        describe_gauge!(CONNECTIONS, "connections of this process to the database");
        gauge!(CONNECTIONS, "state" => "open").set(f64::from(open));
        gauge!(CONNECTIONS, "state" => "idle").set(idle as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
    fn record_keys(&self) {
        const AGE: &str = "kakao_auth_signing_key_age_seconds";
        const EXPIRES: &str = "kakao_auth_signing_key_published_for_seconds";
        describe_gauge!(AGE, "since the key was published");
        describe_gauge!(EXPIRES, "how much longer a superseded key is published");
        for key in &self.keys {
            let stage = match key.stage(self.now) {
                Stage::Next => "next",
                Stage::Current => "current",
                Stage::Previous => "previous",
                Stage::Archived => "archived",
                Stage::Gone => continue,
            };
            let labels =
                [("alg", key.alg.name().to_owned()), ("kid", key.kid.clone()), ("stage", stage.to_owned())];
            gauge!(AGE, &labels).set(self.now.since(key.published_at).as_secs() as f64);
            if let Some(end) = key.expires_at {
                gauge!(EXPIRES, &labels).set(end.since(self.now).as_secs() as f64);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn record_backlogs(backlogs: &Backlogs) {
    const ITEMS: &str = "kakao_auth_outbox_items";
    const UNLINKS: &str = "kakao_auth_kakao_unlinks";
    const EVENTS: &str = "kakao_auth_webhook_events_waiting";
    describe_gauge!(ITEMS, "what is not done yet, by queue; set_aside: it waits for the operator");
    describe_gauge!(
        UNLINKS,
        "deleted accounts that Kakao does not know of yet; dead: they wait for the operator"
    );
    describe_gauge!(EVENTS, "events of Kakao's webhooks that are not processed yet");
    let (events, unlinks) = (backlogs.of(&KAKAO_EVENTS), backlogs.of(&KAKAO_UNLINKS));
    let logouts = backlogs.of(&BACKCHANNEL_LOGOUTS);
    for (queue, backlog) in
        [(KAKAO_EVENTS.name, events), (KAKAO_UNLINKS.name, unlinks), (BACKCHANNEL_LOGOUTS.name, logouts)]
    {
        gauge!(ITEMS, "queue" => queue, "state" => "waiting").set(backlog.waiting as f64);
        gauge!(ITEMS, "queue" => queue, "state" => "set_aside").set(backlog.set_aside as f64);
    }
    gauge!(UNLINKS, "state" => "waiting").set(unlinks.waiting as f64);
    gauge!(UNLINKS, "state" => "dead").set(unlinks.set_aside as f64);
    gauge!(EVENTS).set(events.waiting as f64);
}
