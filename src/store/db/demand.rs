//! How many connections are needed: as many as were in use at once lately. sqlx lends them in turn, so that of a pool that
//! once was busy none ever rests long enough to be closed, however little there is to do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was needed before the last two of these is forgotten.
const WINDOW: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Demand(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    in_use: u32,
    /// Since when `most` is counted.
    since: Option<Instant>,
    /// The most that were in use at once in this window.
    most: u32,
    /// And in the window before.
    most_before: u32,
}

impl Demand {
    /// One more is in use.
    pub(super) fn took(&self, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        counts.in_use += 1;
        counts.most = counts.most.max(counts.in_use);
    }

    /// One less is. Answers how many are needed.
    pub(super) fn gave_back(&self, now: Instant) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        counts.in_use = counts.in_use.saturating_sub(1);
        counts.most.max(counts.most_before)
    }
}

impl Counts {
    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            self.most_before = if passed < WINDOW * 2 { self.most } else { self.in_use };
            self.most = self.in_use;
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_at_once(demand: &Demand, now: Instant) {
        for _ in 0..10 {
            demand.took(now);
        }
        for _ in 0..10 {
            assert_eq!(demand.gave_back(now), 10);
        }
    }

    #[test]
    fn after_a_busy_time_as_many_are_needed_as_are_in_use_at_once() {
        let (demand, start) = (Demand::default(), Instant::now());
        ten_at_once(&demand, start);
        let mut needed = Vec::new();
        for second in [10, 29, 31, 59, 61, 91] {
            let now = start + Duration::from_secs(second);
            demand.took(now);
            needed.push(demand.gave_back(now));
        }
        assert_eq!(needed, [10, 10, 10, 10, 1, 1]);
    }

    #[test]
    fn what_was_needed_long_ago_is_forgotten_at_once() {
        let (demand, start) = (Demand::default(), Instant::now());
        ten_at_once(&demand, start);
        let later = start + Duration::from_mins(10);
        demand.took(later);
        assert_eq!(demand.gave_back(later), 1);
    }
}
