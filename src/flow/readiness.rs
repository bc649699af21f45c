//! Whether a balancer should send requests here.

use super::{Deps, Health, health};
use crate::store::Pool;

/// What a balancer is told.
pub(crate) enum Readiness {
    /// The process is about to end: what is sent here now may be the last that it answers.
    Draining,
    /// It serves, as far as its stores let it.
    Serving {
        /// Which stores answer.
        health: Health,
        /// The revocation feed was read for the first time.
        feed: bool,
    },
}

/// Asks the stores, unless the process drains: then the answer does not wait for them.
pub(crate) async fn readiness(deps: &Deps, pool: &Pool) -> Readiness {
    if deps.signals.draining.has_begun() {
        return Readiness::Draining;
    }
    let health = health(deps, pool).await;
    Readiness::Serving { health, feed: deps.signals.revocations.current().is_some() }
}
