//! How many connections are needed: as many as were wanted at once lately. sqlx lends them in turn, so that of a pool that
//! once was busy none ever rests long enough to be closed, however little there is to do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was needed before the last two of these is forgotten.
const WINDOW: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Demand(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By whoever has one, or waits for it.
    wanted: u32,
    /// Since when `most` is counted.
    since: Option<Instant>,
    /// The most that were wanted at once in this window.
    most: u32,
    /// And in the window before.
    most_before: u32,
}

impl Demand {
    /// One more is wanted.
    pub(super) fn rise(&self, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        counts.wanted += 1;
        counts.most = counts.most.max(counts.wanted);
    }

    /// One less is.
    pub(super) fn fall(&self, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        counts.wanted = counts.wanted.saturating_sub(1);
    }

    /// How many are needed.
    pub(super) fn needed(&self, now: Instant) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        counts.most.max(counts.most_before)
    }
}

impl Counts {
    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            self.most_before = if passed < WINDOW * 2 { self.most } else { self.wanted };
            self.most = self.wanted;
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(demand: &Demand, at: Instant) {
        for _ in 0..10 {
            demand.rise(at);
        }
        for _ in 0..10 {
            demand.fall(at);
            assert_eq!(demand.needed(at), 10);
        }
    }

    fn needed_by_one(demand: &Demand, at: Instant) -> u32 {
        demand.rise(at);
        demand.fall(at);
        demand.needed(at)
    }

    #[test]
    fn after_a_busy_time_as_many_are_needed_as_are_wanted_at_once() {
        let (demand, start) = (Demand::default(), Instant::now());
        busy(&demand, start);
        let after = |second| needed_by_one(&demand, start + Duration::from_secs(second));
        assert_eq!([10, 29, 31, 59, 61, 91].map(after), [10, 10, 10, 10, 1, 1]);
    }

    #[test]
    fn what_was_needed_long_ago_is_forgotten_at_once() {
        let (demand, start) = (Demand::default(), Instant::now());
        busy(&demand, start);
        assert_eq!(needed_by_one(&demand, start + Duration::from_mins(10)), 1);
    }
}
