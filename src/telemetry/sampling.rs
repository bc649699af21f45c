//! Lines that anybody can set off as often as they like: of each kind a few are logged, and a counter tells of the rest.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use metrics::{counter, describe_counter};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The target of such lines.
pub(super) const SAMPLED: &str = "kakao_auth::sampled";

/// Lines of a kind that are logged one after the other.
const BURST: f64 = 20.0;

/// And then so many a second.
const PER_SECOND: f64 = 1.0;

/// Kinds that are told apart.
const MOST_KINDS: usize = 1_000;

const UNLOGGED: &str = "kakao_auth_log_lines_suppressed_total";

/// Says what the counter means.
pub(super) fn describe() {
    describe_counter!(UNLOGGED, "lines that were not logged because there were too many of their kind");
}

/// Lets through what is not [`SAMPLED`], and of each kind of the rest what its bucket holds. A kind is a place in the code with a
/// code or a status.
#[derive(Default)]
pub(super) struct Sampling(Mutex<HashMap<u64, Bucket>>);

struct Bucket {
    left: f64,
    at: Instant,
}

impl Sampling {
    fn lets_through(&self, kind: u64, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = if buckets.len() < MOST_KINDS || buckets.contains_key(&kind) { kind } else { 0 };
        let bucket = buckets.entry(kind).or_insert(Bucket { left: BURST, at: now });
        let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() * PER_SECOND;
        bucket.left = (bucket.left + refilled).min(BURST);
        bucket.at = now;
        let room = bucket.left >= 1.0;
        if room {
            bucket.left -= 1.0;
        }
        room
    }
}

impl<S: Subscriber> Layer<S> for Sampling {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if event.metadata().target() != SAMPLED {
            return true;
        }
        let mut kind = Kind(DefaultHasher::new());
        event.metadata().callsite().hash(&mut kind.0);
        event.record(&mut kind);
        let logged = self.lets_through(kind.0.finish(), Instant::now());
        if !logged {
            counter!(UNLOGGED).increment(1);
        }
        logged
    }
}

/// What tells the kinds of one place apart.
struct Kind(DefaultHasher);

impl Visit for Kind {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "code" {
            value.hash(&mut self.0);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            value.hash(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_each_kind_a_few_lines_are_logged_and_then_one_a_second() {
        let (sampling, began) = (Sampling::default(), Instant::now());
        let logged =
            |kind, at: Duration| (0..1_000).filter(|_| sampling.lets_through(kind, began + at)).count();
        assert_eq!(logged(1, Duration::ZERO), 20);
        assert_eq!(logged(2, Duration::ZERO), 20, "another kind");
        assert_eq!(logged(1, Duration::from_secs(3)), 3);
        assert_eq!(logged(1, Duration::from_mins(10)), 20);
    }

    #[test]
    fn memory_is_bounded_however_many_kinds_there_are() {
        let sampling = Sampling::default();
        for kind in 1..10_000 {
            sampling.lets_through(kind, Instant::now());
        }
        assert!(sampling.0.lock().unwrap().len() <= MOST_KINDS + 1);
    }
}
