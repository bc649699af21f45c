//! The cache in this process's memory: bounded, and moved by the clock of the service.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Decision;
use crate::domain::limit::judge;
use crate::domain::{Clock, Quota, Timestamp};

/// Entries of each kind kept at most.
const MOST: usize = 100_000;

type Shared<V> = Arc<Mutex<HashMap<String, V>>>;

/// Values and counters of one process.
#[derive(Clone)]
pub struct Memory {
    clock: Clock,
    values: Shared<(Timestamp, Vec<u8>)>,
    /// For each key, when its quota is refilled: the "theoretical arrival time" of GCRA.
    counters: Shared<Timestamp>,
}

impl Memory {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, values: Arc::default(), counters: Arc::default() }
    }

    pub(super) fn put(&self, key: &str, value: &[u8], ttl: Duration) {
        let now = self.clock.now();
        let mut values = lock(&self.values);
        make_room(&mut values, |(until, _)| *until > now);
        values.insert(key.to_owned(), (now + ttl, value.to_vec()));
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let now = self.clock.now();
        lock(&self.values).get(key).filter(|(until, _)| *until > now).map(|(_, value)| value.clone())
    }

    pub(super) fn delete(&self, key: &str) {
        lock(&self.values).remove(key);
    }

    /// Counts one, if the quota has room for it.
    pub(super) fn hit(&self, key: &str, quota: Quota) -> Decision {
        let now = self.clock.now();
        let mut counters = lock(&self.counters);
        make_room(&mut counters, |refilled_at| *refilled_at > now);
        match judge(counters.get(key).copied(), quota, now) {
            Ok(refilled_at) => {
                counters.insert(key.to_owned(), refilled_at);
                Decision::Allowed
            }
            Err(retry_after) => Decision::Limited { retry_after },
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere left whole entries behind: there is no state between two of them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops what is over; if that is not enough, everything: a cache may forget, memory may not grow.
fn make_room<V>(entries: &mut HashMap<String, V>, alive: impl Fn(&V) -> bool) {
    if entries.len() >= MOST {
        entries.retain(|_, entry| alive(entry));
        if entries.len() >= MOST {
            entries.clear();
        }
    }
}
