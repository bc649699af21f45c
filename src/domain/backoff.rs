//! When something that failed is tried again, and when no more.

use std::time::Duration;

/// Waits that double after each attempt, up to the longest; so many attempts in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first attempt.
    pub(crate) first: Duration,
    /// The longest wait.
    pub(crate) longest: Duration,
    /// How many attempts there are.
    pub attempts: u32,
}

impl Backoff {
    /// How long to wait once attempt number `attempt` has failed, counted from 1; `None` if it was the last.
    pub fn after(self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        Some(self.first.saturating_mul(factor).min(self.longest))
    }

    /// Whether attempt number `attempt` would be one too many.
    pub(crate) fn is_exceeded_by(self, attempt: u32) -> bool {
        attempt > self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn waits_double_up_to_the_longest_until_the_attempts_are_used_up() {
        let short = Backoff { first: secs(5), longest: secs(60), attempts: 6 };
        let endless = Backoff { first: secs(60), longest: secs(6 * 3_600), attempts: u32::MAX };
        let once = Backoff { first: secs(1), longest: secs(1), attempts: 1 };
        for (backoff, attempt, wait) in [
            (short, 1, Some(secs(5))),
            (short, 2, Some(secs(10))),
            (short, 4, Some(secs(40))),
            (short, 5, Some(secs(60))),
            (short, 6, None),
            (short, 7, None),
            (endless, 1, Some(secs(60))),
            (endless, 9, Some(secs(60 * 256))),
            (endless, 10, Some(secs(6 * 3_600))),
            // Beyond what a number can hold.
            (endless, 100, Some(secs(6 * 3_600))),
            (endless, u32::MAX - 1, Some(secs(6 * 3_600))),
            // Nothing was tried: as if it was once.
            (short, 0, Some(secs(5))),
            (once, 1, None),
        ] {
            assert_eq!(backoff.after(attempt), wait, "{backoff:?} after {attempt}");
        }
    }

    #[test]
    fn an_attempt_that_was_not_the_last_leaves_another() {
        let backoff = Backoff { first: secs(1), longest: secs(1), attempts: 3 };
        for attempt in 1..10 {
            assert_eq!(backoff.after(attempt).is_some(), !backoff.is_exceeded_by(attempt + 1), "{attempt}");
        }
    }
}
