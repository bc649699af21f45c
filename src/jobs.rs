//! Owns what happens by itself: periodic steps, each callable once by a test. Stands on `flow` and `store`.
//!
//! One replica at a time runs them, by a lease row.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};
use uuid::Uuid;

use crate::flow::Deps;
use crate::flow::refusal::chain;
use crate::store::sweep::Swept;
use crate::store::{self, leases, sweep};

/// How often the steps run.
const EVERY: Duration = Duration::from_mins(1);

/// Runs the periodic steps until it is dropped.
pub async fn run(deps: Arc<Deps>) {
    let holder = Uuid::now_v7();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sweep_once(&deps, holder).await {
            Ok(swept) => debug!(?swept, "swept"),
            Err(error) => warn!(cause = chain(&error), "the sweep was put off"),
        }
    }
}

/// Deletes what is over, if this replica has the lease; `None` if another has it.
pub async fn sweep_once(deps: &Deps, holder: Uuid) -> Result<Option<Swept>, store::Error> {
    let now = deps.clock.now();
    if leases::acquire(&deps.db, "sweep", holder, now, now + EVERY * 2).await? {
        Ok(Some(sweep::expired(&deps.db, now).await?))
    } else {
        Ok(None)
    }
}
