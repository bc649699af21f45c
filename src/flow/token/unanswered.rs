//! Nobody is logged out for obeying a 503: remembers refreshes and code exchanges whose answer was one.
//!
//! The note is kept in this process and in the cache, where the other replicas look before they call a repeated request a
//! replay, and is written into the row as soon as the database answers. `domain::unanswered` has the rule.

use std::time::{Duration, Instant};

use metrics::counter;
use tracing::{debug, info, warn};

use crate::domain::unanswered::{KEPT, Unanswered};
use crate::domain::{Grant, GrantId};
use crate::flow::error::chain;
use crate::flow::gauges::UNANSWERED;
use crate::flow::{Deps, Error};
use crate::store::{self, Db, grants};

/// A flow that took longer ends unheard: its caller was answered 503 meanwhile. Somewhat less than callers wait; a note of a
/// request that was answered after all does no harm.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_millis(4_900);

fn key(grant: GrantId) -> String {
    format!("kakao-auth:unanswered:{grant}")
}

/// Notes a request if its answer is, or was, a 503 or 500: it may be repeated.
pub(super) async fn note_if_unanswered<T, R>(
    deps: &Deps,
    note: Unanswered,
    began: Instant,
    outcome: &Result<T, Error<R>>,
) {
    let is_failure = matches!(outcome, Err(Error::Unavailable(_) | Error::Broken(_)));
    if !is_failure && began.elapsed() < HEARD_WITHIN {
        return;
    }
    counter!(UNANSWERED).increment(1);
    let mut note = deps.signals.unanswered.add(note);
    // Another replica may have answered 503 to the same client before.
    if let Some(noted) = shared(deps, note.grant).await {
        note = deps.signals.unanswered.add(noted);
    }
    match serde_json::to_vec(&note) {
        Ok(value) => {
            if let Err(error) = deps.cache.put(&key(note.grant), &value, KEPT).await {
                debug!(
                    cause = chain(&error),
                    "a request that was answered 503 is noted in this process alone"
                );
            }
        }
        Err(error) => warn!(cause = chain(&error), "a note cannot be written as JSON"),
    }
}

/// What the replicas noted of a grant.
async fn shared(deps: &Deps, grant: GrantId) -> Option<Unanswered> {
    let value = deps.cache.get(&key(grant)).await.ok().flatten()?;
    let note: Unanswered = serde_json::from_slice(&value).ok()?;
    (note.grant == grant && !note.is_over(deps.clock.now())).then_some(note)
}

/// Writes into the row of a grant that the tokens of its current generation were not delivered, if that is noted anywhere. True
/// if it is: then the row is to be read again.
pub(super) async fn write_note_of(deps: &Deps, db: &mut Db, grant: &Grant) -> Result<bool, store::Error> {
    let here = deps.signals.unanswered.of(grant.id).filter(|note| !note.is_over(deps.clock.now()));
    let note = match here.filter(|note| note.fits(grant)) {
        Some(note) => Some(note),
        None => shared(deps, grant.id).await.filter(|note| note.fits(grant)),
    };
    let Some(note) = note else { return Ok(false) };
    let written = grants::note_unanswered(db, &note, deps.clock.now()).await?;
    if written {
        info!(grant = %grant.id, "a client that was answered 503 came back");
    }
    Ok(written)
}

/// Writes notes into their rows. One that fits no row is tried again for some seconds: a statement whose answer was lost may
/// still be carried out.
pub(crate) async fn write_notes(deps: &Deps, db: &mut Db) -> store::Result<()> {
    let now = deps.clock.now();
    for note in deps.signals.unanswered.next(now) {
        if grants::note_unanswered(db, &note, now).await? {
            deps.signals.unanswered.forget(&note);
        } else {
            deps.signals.unanswered.missed(&note);
        }
    }
    Ok(())
}
