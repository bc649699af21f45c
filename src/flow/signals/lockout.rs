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

/// Entries kept at most. When as many wait and another comes, all waits here end early rather than memory growing: the
/// count in the cache stays, so the next failure of each pair makes it wait again.
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

    const QUOTA: Quota = Quota { burst: 2, per: Duration::from_mins(1) };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn lockout() -> (Lockout, Clock) {
        let clock = Clock::manual();
        (Lockout::new(QUOTA, clock.clone()), clock)
    }

    #[test]
    fn who_counts_as_one_guesser() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("2001:db8:0:1::", "2001:db8:0:2::", false),
        ] {
            assert_eq!(pair("web", address(one)) == pair("web", address(other)), same, "{one} and {other}");
        }
        assert_ne!(pair("web", address("192.0.2.1")), pair("app", address("192.0.2.1")));
        let long = "k".repeat(128);
        assert_eq!(pair(&(long.clone() + "x"), address("::1")), pair(&(long.clone() + "y"), address("::1")));
        assert_ne!(pair(&long[1..], address("::1")), pair(&long, address("::1")));
    }

    #[tokio::test]
    async fn a_pair_waits_after_too_many_failures_and_no_longer_than_it_was_told() {
        let (lockout, clock) = lockout();
        let cache = Cache::open("memory:", clock.clone()).unwrap();
        let (here, neighbour, elsewhere) =
            (address("2001:db8::1"), address("2001:db8::2"), address("192.0.2.1"));
        for _ in 0..2 {
            assert_eq!(lockout.failed(&cache, "web", here).await, None);
            assert_eq!(lockout.remaining("web", here), None);
        }
        let wait = lockout.failed(&cache, "web", here).await.unwrap();
        assert!(!wait.is_zero());
        assert_eq!(lockout.remaining("web", here), Some(wait));
        assert_eq!(lockout.remaining("web", neighbour), Some(wait), "the same network of 64 bits");
        assert_eq!((lockout.remaining("web", elsewhere), lockout.remaining("app", here)), (None, None));
        clock.advance(wait.checked_sub(Duration::from_micros(1)).unwrap());
        assert_eq!(lockout.remaining("web", here), Some(Duration::from_micros(1)));
        clock.advance(Duration::from_micros(1));
        assert_eq!(lockout.remaining("web", here), None);
    }

    #[test]
    fn waits_that_are_over_make_room_and_at_the_limit_all_end() {
        let (lockout, clock) = lockout();
        let wait = |client: &str, seconds: u64| {
            let until = clock.now() + Duration::from_secs(seconds);
            lockout.wait(pair(client, address("192.0.2.1")), until);
        };
        let waits = |client: &str| lockout.remaining(client, address("192.0.2.1")).is_some();
        wait("short", 1);
        wait("long", 60);
        clock.advance(Duration::from_secs(1));
        wait("new", 60);
        assert_eq!(lockout.count.load(Ordering::Relaxed), 2, "what is over is forgotten");
        assert!(!waits("short") && waits("long") && waits("new"));
        (2..MAX_WAITING).for_each(|n| wait(&n.to_string(), 60));
        assert_eq!(lockout.count.load(Ordering::Relaxed), MAX_WAITING);
        assert!(waits("long"), "the limit itself fits");
        wait("one more", 60);
        assert_eq!(lockout.count.load(Ordering::Relaxed), 1);
        assert!(waits("one more") && !waits("long"));
    }
}
