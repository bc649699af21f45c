//! Who guesses client secrets: after too many failures a (client, address) pair waits.
//!
//! Only failures are counted, so a client that authenticates pays one relaxed atomic load. The count is shared through
//! the cache; the list of those who wait is this process's own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::cache::{Cache, Decision};
use crate::domain::{Clock, Quota, Timestamp};

/// Entries kept at most; beyond that all waits end early rather than memory growing.
const MAX_WAITING: usize = 10_000;

type Pair = (String, IpAddr);

/// The pairs that wait, and the quota of failures.
pub(crate) struct Lockout {
    quota: Quota,
    clock: Clock,
    waiting: RwLock<HashMap<Pair, Timestamp>>,
    count: AtomicUsize,
}

impl Lockout {
    /// With a quota of failures per pair.
    pub(super) fn new(quota: Quota, clock: Clock) -> Self {
        Self { quota, clock, waiting: RwLock::default(), count: AtomicUsize::new(0) }
    }

    /// How long this pair still waits, if it does.
    pub(in crate::flow) fn remaining(&self, client: &str, address: IpAddr) -> Option<Duration> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        let until = *waiting.get(&pair(client, address))?;
        let left = until.since(self.clock.now());
        (!left.is_zero()).then_some(left)
    }

    /// Counts a failure; returns how long the pair must wait if this was one too many.
    pub(in crate::flow) async fn failed(
        &self,
        cache: &Cache,
        client: &str,
        address: IpAddr,
    ) -> Option<Duration> {
        let pair = pair(client, address);
        let key = format!("kakao-auth:client-failures:{}:{}", pair.1, pair.0);
        match cache.hit(&key, self.quota).await {
            Decision::Allowed => None,
            Decision::Limited { retry_after } => {
                self.wait(pair, self.clock.now() + retry_after);
                Some(retry_after)
            }
        }
    }

    fn wait(&self, pair: Pair, until: Timestamp) {
        let now = self.clock.now();
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, until| *until > now);
        if waiting.len() >= MAX_WAITING {
            waiting.clear();
        }
        waiting.insert(pair, until);
        self.count.store(waiting.len(), Ordering::Relaxed);
    }
}

/// An IPv6 network of 64 bits is one guesser: it has as many addresses as it likes. An unknown client's name is cut, so
/// that a guesser does not choose how much we keep.
fn pair(client: &str, address: IpAddr) -> Pair {
    let address = match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        },
        v4 @ IpAddr::V4(_) => v4,
    };
    (client.chars().take(128).collect(), address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_guesser_and_an_ipv4_address_is_one() {
        let of = |address: &str| pair("shop", address.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("198.51.100.7"), of("::ffff:198.51.100.7"));
        assert_ne!(of("198.51.100.7"), of("198.51.100.8"));
        assert_ne!(of("::ffff:198.51.100.7"), of("::ffff:198.51.100.8"));
    }
}
