//! Owns what happens by itself: periodic steps, each callable once by a test. Stands on `flow`, `keys` and `store`.
//!
//! Housekeeping is done by one replica at a time, by a lease row; what each keeps in memory, by each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::domain::rotation::Step;
use crate::flow::chain;
use crate::flow::kakao::profile;
use crate::flow::{Deps, Error, revocations, tell_clients, unlink, work_webhooks};
use crate::keys::{self, lifecycle};
use crate::store::sweep::Swept;
use crate::store::{self, Db, Pool, leases, sweep};

/// How often the house is kept: sweeping, keys, re-sealing.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// How often the keys in memory are compared with those of the database.
const KEYS: Duration = Duration::from_secs(2);

/// How often the revocation feed looks for what other replicas ended.
const FEED: Duration = Duration::from_millis(500);

/// How often the outboxes are looked into: clients to tell of a logout, Kakao to tell of a deleted account, profiles to read.
const OUTBOX: Duration = Duration::from_secs(1);

/// How often webhooks are looked for that another replica received.
const WEBHOOKS: Duration = Duration::from_millis(500);

/// In which time `kakao.renew_per_minute` links are renewed.
const RENEWAL: Duration = Duration::from_mins(1);

/// Runs the periodic steps until `stop` says so. A step that is under way is finished: what Kakao sends in exchange for a
/// refresh token must not be lost.
pub async fn run(deps: Arc<Deps>, pool: Pool, stop: watch::Receiver<bool>) {
    let every = |period| Ticks::every(period, stop.clone());
    tokio::join!(
        keep_house(&deps, pool.handle(), every(HOUSEKEEPING)),
        follow_keys(&deps, pool.handle(), every(KEYS)),
        feed(&deps, pool.handle(), every(FEED)),
        outbox(&deps, &pool, every(OUTBOX)),
        webhooks(&deps, &pool, every(WEBHOOKS)),
        kakao(&deps, &pool, every(OUTBOX)),
        renewal(&deps, pool.handle(), every(RENEWAL))
    );
}

/// A period, until it is time to stop.
struct Ticks {
    interval: tokio::time::Interval,
    stop: watch::Receiver<bool>,
}

impl Ticks {
    fn every(period: Duration, stop: watch::Receiver<bool>) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { interval, stop }
    }

    /// Waits for the next step; false when there is none.
    async fn next(&mut self) -> bool {
        self.next_or(std::future::pending()).await
    }

    /// The same, or earlier when something rings.
    async fn next_or(&mut self, bell: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => false,
            _ = self.interval.tick() => true,
            () = bell => true,
        }
    }
}

async fn keep_house(deps: &Deps, mut db: Db, mut ticks: Ticks) {
    let holder = Uuid::now_v7();
    while ticks.next().await {
        match sweep_once(deps, &mut db, holder).await {
            Ok(swept) => debug!(?swept, "swept"),
            Err(error) => warn!(cause = chain(&error), "the sweep was put off"),
        }
        match keys_once(deps, &mut db, holder).await {
            Ok(Some(steps)) if !steps.is_empty() => debug!(?steps, "signing keys changed"),
            Ok(_) => {}
            Err(error) => warn!(cause = chain(&error), "the signing keys were left as they are"),
        }
    }
}

async fn follow_keys(deps: &Deps, mut db: Db, mut ticks: Ticks) {
    while ticks.next().await {
        match reload_keys_once(deps, &mut db).await {
            Ok(true) => info!("other signing keys are in use now"),
            Ok(false) => {}
            Err(error) => debug!(cause = chain(&error), "the signing keys could not be read"),
        }
    }
}

async fn feed(deps: &Deps, mut db: Db, mut ticks: Ticks) {
    while ticks.next_or(deps.signals.revocations.poked()).await {
        if let Err(error) = revocations::refresh(deps, &mut db).await {
            debug!(cause = chain(&error), "the revocation feed could not be read");
        }
    }
}

async fn outbox(deps: &Deps, pool: &Pool, mut ticks: Ticks) {
    if !tell_clients::is_wanted(deps) {
        return;
    }
    while ticks.next().await {
        if let Err(error) = tell_clients::tell_clients(deps, pool).await {
            debug!(cause = chain(&error), "the outbox could not be read");
        }
    }
}

async fn webhooks(deps: &Deps, pool: &Pool, mut ticks: Ticks) {
    while ticks.next_or(deps.signals.inbox.rung()).await {
        loop {
            match work_webhooks::work_webhooks(deps, pool).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    put_off(&error, "webhooks");
                    break;
                }
            }
        }
    }
}

async fn kakao(deps: &Deps, pool: &Pool, mut ticks: Ticks) {
    while ticks.next().await {
        if let Err(error) = unlink::unlink_due(deps, pool).await {
            put_off(&error, "unlinks");
        }
        if let Err(error) = profile::read_stale_profiles(deps, &mut pool.handle()).await {
            put_off(&error, "profiles");
        }
    }
}

async fn renewal(deps: &Deps, mut db: Db, mut ticks: Ticks) {
    if deps.policy.kakao.renew_per_minute == 0 {
        return;
    }
    let holder = Uuid::now_v7();
    while ticks.next().await {
        let stop = ticks.stop.clone();
        if let Err(error) = renew_once(deps, &mut db, holder, || *stop.borrow()).await {
            put_off(&error, "renewals");
        }
    }
}

/// Renews what is due of one minute, if this replica has the lease; `None` if another has it.
pub async fn renew_once(
    deps: &Deps,
    db: &mut Db,
    holder: Uuid,
    stop: impl Fn() -> bool,
) -> Result<Option<usize>, Error> {
    let now = deps.clock.now();
    if !leases::acquire(db, "renewal", holder, now, now + RENEWAL).await? {
        return Ok(None);
    }
    profile::renew_links(deps, db, deps.policy.kakao.renew_per_minute, stop).await.map(Some)
}

fn put_off(error: &Error, what: &str) {
    debug!(cause = chain(error), what, "put off");
}

/// Does what is due with the signing keys, and seals anew what an older master key sealed, if this replica has the lease;
/// `None` if another has it.
pub async fn keys_once(deps: &Deps, db: &mut Db, holder: Uuid) -> Result<Option<Vec<Step>>, keys::Error> {
    let now = deps.clock.now();
    if !leases::acquire(db, "keys", holder, now, now + HOUSEKEEPING * 2).await? {
        return Ok(None);
    }
    let steps = lifecycle::step(db, &deps.keys.master, &deps.keys.policy, now).await?;
    let resealed = lifecycle::reseal(db, &deps.keys.master).await?;
    if resealed > 0 {
        info!(resealed, "values were sealed anew with the current master key");
    }
    Ok(Some(steps))
}

/// Takes over the signing keys that another replica changed; whether any was.
pub async fn reload_keys_once(deps: &Deps, db: &mut Db) -> Result<bool, keys::Error> {
    deps.keys.reload(db, deps.clock.now()).await
}

/// Deletes what is over, if this replica has the lease; `None` if another has it.
pub async fn sweep_once(deps: &Deps, db: &mut Db, holder: Uuid) -> Result<Option<Swept>, store::Error> {
    let now = deps.clock.now();
    if leases::acquire(db, "sweep", holder, now, now + HOUSEKEEPING * 2).await? {
        Ok(Some(sweep::expired(db, now).await?))
    } else {
        Ok(None)
    }
}
