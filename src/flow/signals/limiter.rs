//! Who waits, and who is being served: what one process knows of the limits without asking the cache. Bounded, whatever
//! strangers send.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::limit::judge;
use crate::domain::{Clock, Quota, Timestamp};

/// Entries of each kind kept at most. Beyond it all waits here end early rather than memory growing: the count in the cache
/// stays, so the next failure makes its caller wait again.
const MOST: usize = 10_000;

/// How often the same caller's excess is logged.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// The callers that wait, and those whose requests are at Kakao.
pub(crate) struct Limiter {
    clock: Clock,
    waiting: RwLock<HashMap<String, Wait>>,
    /// How many wait, so that a service without any pays one load.
    count: AtomicUsize,
    turns: Mutex<HashMap<String, Turns>>,
    left: Notify,
}

struct Wait {
    until: Timestamp,
    logged_at: Timestamp,
}

/// The requests of one caller that cost a call to Kakao.
#[derive(Clone, Copy)]
struct Turns {
    in_flight: u32,
    /// When the failed ones are forgiven.
    refilled_at: Timestamp,
}

/// One of a caller's turns. It ends when this is dropped, also by a panic.
pub(in crate::flow) struct Turn<'a> {
    limiter: &'a Limiter,
    key: String,
    quota: Quota,
    failed: bool,
}

impl Limiter {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            waiting: RwLock::default(),
            count: AtomicUsize::new(0),
            turns: Mutex::default(),
            left: Notify::new(),
        }
    }

    /// How long this caller still waits, if it does.
    pub(in crate::flow) fn remaining(&self, key: &str) -> Option<Duration> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        let left = waiting.get(key)?.until.since(self.clock.now());
        (!left.is_zero()).then_some(left)
    }

    /// Has a caller wait. True if that is worth a line in the log: once a minute.
    pub(in crate::flow) fn wait(&self, key: &str, length: Duration) -> bool {
        let now = self.clock.now();
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, wait| wait.until > now || now.since(wait.logged_at) < LOG_EVERY);
        if waiting.len() >= MOST {
            waiting.clear();
        }
        let logged_at = waiting.get(key).map(|wait| wait.logged_at);
        let due = logged_at.is_none_or(|at| now.since(at) >= LOG_EVERY);
        let logged_at = logged_at.filter(|_| !due).unwrap_or(now);
        waiting.insert(key.to_owned(), Wait { until: now + length, logged_at });
        self.count.store(waiting.len(), Ordering::Relaxed);
        due
    }

    /// A turn for a request that will cost a call to Kakao: those under way and those that failed are together no more than
    /// the quota, so one that comes while others are under way waits for how they end.
    ///
    /// # Errors
    /// How long to wait, if as many have failed.
    pub(in crate::flow) async fn turn(&self, key: String, quota: Quota) -> Result<Turn<'_>, Duration> {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.enter(&key, quota)? {
                return Ok(Turn { limiter: self, key, quota, failed: false });
            }
            left.await;
        }
    }

    /// False if there is no room until another turn ends.
    fn enter(&self, key: &str, quota: Quota) -> Result<bool, Duration> {
        let now = self.clock.now();
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MOST {
            turns.retain(|_, turns| turns.in_flight > 0 || turns.refilled_at > now);
            if turns.len() >= MOST {
                turns.retain(|_, turns| turns.in_flight > 0);
            }
        }
        let mine = turns.get(key).copied().unwrap_or(Turns { in_flight: 0, refilled_at: now });
        judge(Some(mine.refilled_at), quota, now)?;
        let room = mine.in_flight + quota.used(mine.refilled_at, now) < quota.burst;
        if room {
            turns.insert(key.to_owned(), Turns { in_flight: mine.in_flight + 1, ..mine });
        }
        Ok(room)
    }
}

impl Turn<'_> {
    /// The request failed: the turn stays used for a while.
    pub(in crate::flow) fn failed(mut self) {
        self.failed = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = self.limiter.clock.now();
        let mut turns = self.limiter.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = turns.get_mut(&self.key) {
            mine.in_flight = mine.in_flight.saturating_sub(1);
            if self.failed {
                mine.refilled_at = mine.refilled_at.max(now) + self.quota.step();
            }
            if mine.in_flight == 0 && mine.refilled_at <= now {
                turns.remove(&self.key);
            }
        }
        drop(turns);
        self.limiter.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const QUOTA: Quota = Quota { burst: 2, per: Duration::from_mins(1) };

    fn limiter() -> (Limiter, Clock) {
        let clock = Clock::manual();
        (Limiter::new(clock.clone()), clock)
    }

    #[test]
    fn a_caller_waits_no_longer_than_it_was_told_and_is_logged_once_a_minute() {
        let (limiter, clock) = limiter();
        assert!(limiter.wait("a", Duration::from_secs(5)));
        assert_eq!(limiter.remaining("a"), Some(Duration::from_secs(5)));
        assert_eq!(limiter.remaining("b"), None);
        clock.advance(Duration::from_secs(5));
        assert_eq!(limiter.remaining("a"), None);
        assert!(!limiter.wait("a", Duration::from_secs(5)), "it is in the log already");
        clock.advance(LOG_EVERY);
        assert!(limiter.wait("a", Duration::from_secs(5)));
    }

    #[test]
    fn waits_that_are_over_make_room_and_at_the_limit_all_end() {
        let (limiter, clock) = limiter();
        let waits = |key: &str| limiter.remaining(key).is_some();
        limiter.wait("short", Duration::from_secs(1));
        clock.advance(LOG_EVERY);
        limiter.wait("long", Duration::from_hours(1));
        assert_eq!(limiter.count.load(Ordering::Relaxed), 1, "what is over is forgotten");
        for n in 1..MOST {
            limiter.wait(&n.to_string(), LOG_EVERY);
        }
        assert!(waits("long"), "the limit itself fits");
        limiter.wait("one more", LOG_EVERY);
        assert_eq!(limiter.count.load(Ordering::Relaxed), 1);
        assert!(waits("one more") && !waits("long"));
    }

    #[tokio::test]
    async fn those_under_way_and_those_that_failed_are_no_more_than_the_quota() {
        let (limiter, clock) = limiter();
        let turn = || limiter.turn("a".to_owned(), QUOTA);
        let (first, second) = (turn().await.unwrap(), turn().await.unwrap());
        let third = turn();
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none(), "it waits for how the others end");
        assert!(limiter.turn("b".to_owned(), QUOTA).now_or_never().is_some(), "another caller does not");
        drop(first);
        let third = third.now_or_never().unwrap().unwrap();
        second.failed();
        third.failed();
        assert_eq!(turn().await.err(), Some(Duration::from_secs(30)));
        clock.advance(Duration::from_secs(30));
        turn().await.unwrap().failed();
        assert!(turn().await.is_err());
        clock.advance(Duration::from_mins(1));
        drop(turn().await.unwrap());
        assert!(limiter.turns.lock().unwrap().is_empty(), "nothing stays behind");
    }

    #[tokio::test]
    async fn what_succeeds_is_not_counted() {
        let (limiter, _) = limiter();
        for _ in 0..100 {
            drop(limiter.turn("a".to_owned(), QUOTA).await.unwrap());
        }
    }
}
