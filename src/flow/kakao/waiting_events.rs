//! Webhook events that the database could not take yet. Kakao was answered and is not known to call again, so they have two
//! homes: the memory of this process, and Redis, encrypted, from which any replica stores them once the database is back.
//! What has neither when the process ends is in its log, encrypted, and is stored by a command ([`replay`]).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

use crate::domain::KakaoEvent;
use crate::flow::Deps;
use crate::flow::error::chain;
use crate::flow::signals::inbox::Received;
use crate::keys::{self, MasterKeys, Purpose};
use crate::store::outbox::{self, KAKAO_EVENTS, NewItem};
use crate::store::{self, Conn, Db, Pool};

/// How long Redis keeps them after the last one came.
const SHELVED_FOR: Duration = Duration::from_hours(7 * 24);

/// How many Redis keeps at most: about 10 MB.
const MOST_SHELVED: u32 = 20_000;

/// How many are moved between Redis and here at a time.
const BATCH: u32 = 100;

/// How often a replica looks for what others, or itself before a restart, left in Redis.
const LOOK: Duration = Duration::from_secs(5);

/// How long an attempt to store takes at most: Kakao waits three seconds.
pub(super) const STORE_WITHIN: Duration = Duration::from_secs(2);

/// How soon after a failure the database is asked again while the process ends.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What an encrypted event belongs to.
const CONTEXT: &[u8] = b"kakao webhook event";

/// Stores an event. False if it was there.
pub(super) async fn put(conn: &mut Conn, received: &Received) -> store::Result<bool> {
    let lane = received.event.user.to_string();
    let new = NewItem { key: received.key, lane: &lane, payload: &received.event };
    outbox::put(conn, &KAKAO_EVENTS, &new, received.at).await
}

/// Keeps an event that could not be stored.
pub(super) async fn keep(deps: &Deps, mut received: Received, cause: &str) {
    received.shelved = shelve(deps, &received).await;
    let in_redis = received.shelved;
    match deps.signals.inbox.push(received) {
        Err(received) if !in_redis => report_lost(&deps.keys.master, &received, cause),
        _ => warn!(cause, in_redis, "a Kakao webhook event waits for the database"),
    }
}

/// Puts an event into Redis; whether it is there.
async fn shelve(deps: &Deps, received: &Received) -> bool {
    let shelf = deps.signals.inbox.shelf();
    let Ok(sealed) = seal(&deps.keys.master, received) else { return false };
    let field = received.key.to_string();
    deps.cache.put_field(shelf, &field, &sealed, (SHELVED_FOR, MOST_SHELVED)).await.unwrap_or(false)
}

/// Stores what waits in memory, and then, from time to time, what waits in Redis.
pub(super) async fn store_waiting(deps: &Deps, db: &mut Db) -> store::Result<()> {
    let inbox = &deps.signals.inbox;
    while let Some(received) = inbox.first() {
        match put(db, &received).await {
            Ok(_) => {}
            Err(error @ store::Error::Unavailable(_)) => {
                shelve_the_rest(deps).await;
                return Err(error);
            }
            // It would stand in the way of all others.
            Err(error) => report_lost(&deps.keys.master, &received, &chain(&error)),
        }
        inbox.remove(received.key);
        if received.shelved {
            unshelve(deps, &received.key.to_string()).await;
        }
    }
    if inbox.look_is_due(LOOK) {
        store_shelved(deps, db).await?;
    }
    Ok(())
}

/// Redis was away when they came.
async fn shelve_the_rest(deps: &Deps) {
    for received in deps.signals.inbox.not_shelved(BATCH as usize) {
        if !shelve(deps, &received).await {
            return;
        }
        deps.signals.inbox.mark_shelved(received.key);
    }
}

async fn unshelve(deps: &Deps, field: &str) -> bool {
    deps.cache.delete_field(deps.signals.inbox.shelf(), field).await.is_ok()
}

/// Stores what is in Redis. Several replicas may do so at once: an event is stored once.
async fn store_shelved(deps: &Deps, db: &mut Db) -> store::Result<()> {
    loop {
        let some = deps.cache.some_fields(deps.signals.inbox.shelf(), BATCH).await.unwrap_or_default();
        if some.is_empty() {
            return Ok(());
        }
        info!(count = some.len(), "Kakao webhook events that waited in Redis are stored");
        for (field, sealed) in some {
            match open(&deps.keys.master, &sealed) {
                Some(received) => match put(db, &received).await {
                    Ok(_) => {}
                    Err(error @ store::Error::Unavailable(_)) => return Err(error),
                    Err(error) => report_lost(&deps.keys.master, &received, &chain(&error)),
                },
                None => {
                    log_lost("?", &sealed, "it was encrypted with a master key that is not in the settings");
                }
            }
            if !unshelve(deps, &field).await {
                return Ok(());
            }
        }
    }
}

/// Stores what waits, for as long as the process may take to end. What remains is in Redis, or in the log.
pub(crate) async fn store_before_the_end(deps: &Deps, pool: &Pool, end: Instant) {
    let inbox = &deps.signals.inbox;
    while inbox.first().is_some() {
        let end = end.max(Instant::now() + ASK_AGAIN);
        let mut db = pool.handle();
        let stored = timeout(STORE_WITHIN, store_waiting(deps, &mut db));
        if let Ok(Ok(Ok(()))) = timeout_at(end, stored).await {
            return;
        }
        if end <= Instant::now() + ASK_AGAIN {
            break;
        }
        sleep(ASK_AGAIN).await;
    }
    let (shelved, lost): (Vec<_>, Vec<_>) =
        inbox.take_all().into_iter().partition(|received| received.shelved);
    if !shelved.is_empty() {
        let count = shelved.len();
        warn!(
            count,
            "Kakao webhook events wait in Redis: the next process that reaches the database stores them"
        );
    }
    for received in lost {
        report_lost(&deps.keys.master, &received, "the process ended before the database was back");
    }
}

fn report_lost(master: &MasterKeys, received: &Received, cause: &str) {
    match seal(master, received) {
        Ok(sealed) => log_lost(&received.event.kind, &sealed, cause),
        Err(error) => {
            error!(kind = received.event.kind, cause = chain(&error), "a Kakao webhook event is lost");
        }
    }
}

fn log_lost(kind: &str, sealed: &[u8], cause: &str) {
    let event = URL_SAFE_NO_PAD.encode(sealed);
    error!(
        kind,
        cause, event, "a Kakao webhook event was not stored: run `kakao-auth webhooks replay EVENT`"
    );
}

fn seal(master: &MasterKeys, received: &Received) -> Result<Vec<u8>, keys::Error> {
    let json = serde_json::to_vec(received).map_err(|_| keys::Error::Crypto("writing an event"))?;
    master.encrypt(Purpose::WebhookEvent, CONTEXT, &json)
}

fn open(master: &MasterKeys, sealed: &[u8]) -> Option<Received> {
    serde_json::from_slice(&master.decrypt(Purpose::WebhookEvent, CONTEXT, sealed)?).ok()
}

/// An event that was replayed.
pub(crate) struct Replayed {
    /// What it was.
    pub(crate) event: KakaoEvent,
    /// Whether it was not there before.
    pub(crate) new: bool,
}

/// Stores an event out of a log line; `None` if it is none that these master keys open.
pub(crate) async fn replay(master: &MasterKeys, db: &mut Db, event: &str) -> store::Result<Option<Replayed>> {
    let sealed = URL_SAFE_NO_PAD.decode(event.trim()).ok();
    let Some(received) = sealed.and_then(|sealed| open(master, &sealed)) else { return Ok(None) };
    let new = put(db, &received).await?;
    Ok(Some(Replayed { event: received.event, new }))
}
