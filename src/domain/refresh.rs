//! What to do with a refresh token that is not the current one: the decision alone.
//!
//! The store has already tried to rotate the presented generation in one conditional statement and found nothing to
//! rotate; this says why.

use std::time::Duration;

use super::grant::Life;
use super::unanswered::is_given_again;
use super::{ClientId, Grant, Stage, Timestamp};

/// What a refresh token that could not be rotated means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A racer or a lost answer: give the current token again (at most one token lives).
    GiveCurrentAgain,
    /// An outdated token: somebody holds a copy. End the grant (RFC 9700 §4.14.2).
    Replayed,
    /// The grant has ended already.
    Ended,
    /// The grant idled too long, or reached its absolute end.
    Expired,
    /// The token belongs to another client (RFC 6749 §6). That client's grant is left alone.
    OtherClient,
    /// The token is of a generation that does not exist yet, as after a database was restored from a backup.
    Unknown,
}

impl Verdict {
    /// The stable name, for metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::GiveCurrentAgain => "reused",
            Self::Replayed => "replayed",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::OtherClient => "other_client",
            Self::Unknown => "unknown",
        }
    }
}

/// Judges a presented `generation` against the stored grant.
///
/// `reuse_window` is how long the previous generation is answered with the current token; zero is strict.
pub fn judge(
    grant: &Grant,
    client: &ClientId,
    generation: i64,
    now: Timestamp,
    reuse_window: Duration,
) -> Verdict {
    if grant.client != *client {
        return Verdict::OtherClient;
    }
    match (grant.stage, grant.life(now)) {
        (Stage::Ended { .. }, _) => Verdict::Ended,
        // Its code was not exchanged: nobody was given a refresh token.
        (Stage::Issued { .. }, _) => Verdict::Unknown,
        (Stage::Live { .. }, None) => Verdict::Expired,
        (Stage::Live { .. }, Some(life)) if generation >= life.generation => Verdict::Unknown,
        (Stage::Live { .. }, Some(life))
            if generation + 1 == life.generation && gives_again(&life, now, reuse_window) =>
        {
            Verdict::GiveCurrentAgain
        }
        (Stage::Live { .. }, Some(_)) => Verdict::Replayed,
    }
}

/// Whether the tokens of the current generation may be given to who shows the one before: for a moment after the rotation, and
/// for a moment after it was noted that its answer was a 503.
fn gives_again(life: &Life, now: Timestamp, reuse_window: Duration) -> bool {
    let is_reuse = !reuse_window.is_zero() && now.since(life.refreshed_at) <= reuse_window;
    is_reuse || is_given_again(life, now, reuse_window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EndReason;

    const WINDOW: Duration = Duration::from_secs(10);

    fn grant(generation: i64) -> Grant {
        let start = Timestamp::from_secs(1_000);
        Grant::example(
            Stage::Live {
                generation,
                refreshed_at: start,
                unanswered_at: None,
                idle_expires_at: start + Duration::from_secs(100),
            },
            start + Duration::from_secs(1_000),
        )
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000) + Duration::from_secs(seconds)
    }

    fn web() -> ClientId {
        ClientId("web".into())
    }

    #[test]
    fn the_previous_generation_is_forgiven_within_the_window_only() {
        assert_eq!(judge(&grant(5), &web(), 4, after(10), WINDOW), Verdict::GiveCurrentAgain);
        assert_eq!(judge(&grant(5), &web(), 4, after(11), WINDOW), Verdict::Replayed);
        assert_eq!(judge(&grant(5), &web(), 4, after(0), Duration::ZERO), Verdict::Replayed);
        assert_eq!(judge(&grant(5), &web(), 3, after(0), WINDOW), Verdict::Replayed);
    }

    #[test]
    fn a_clock_behind_another_replica_s_is_within_the_window() {
        let stage = Stage::Live {
            generation: 5,
            refreshed_at: after(30),
            unanswered_at: None,
            idle_expires_at: after(100),
        };
        let grant = Grant { stage, ..grant(5) };
        assert_eq!(judge(&grant, &web(), 4, after(0), WINDOW), Verdict::GiveCurrentAgain);
    }

    #[test]
    fn after_a_503_the_window_begins_when_that_was_noted_even_where_it_is_zero() {
        let stage = Stage::Live {
            generation: 5,
            refreshed_at: after(0),
            unanswered_at: Some(after(60)),
            idle_expires_at: after(100),
        };
        let grant = Grant { stage, ..grant(5) };
        for window in [WINDOW, Duration::ZERO] {
            assert_eq!(judge(&grant, &web(), 4, after(70), window), Verdict::GiveCurrentAgain);
            assert_eq!(judge(&grant, &web(), 4, after(71), window), Verdict::Replayed);
            assert_eq!(judge(&grant, &web(), 3, after(61), window), Verdict::Replayed);
        }
    }

    #[test]
    fn an_ended_or_expired_grant_is_not_a_replay() {
        let stage = Stage::Ended { at: after(1), reason: EndReason::LoggedOut };
        let ended = Grant { stage, ..grant(5) };
        assert_eq!(judge(&ended, &web(), 1, after(2), WINDOW), Verdict::Ended);
        assert_eq!(judge(&grant(5), &web(), 5, after(100), WINDOW), Verdict::Expired);
        assert_eq!(judge(&grant(5), &web(), 5, after(5_000), WINDOW), Verdict::Expired);
    }

    #[test]
    fn another_client_learns_nothing_and_breaks_nothing() {
        let other = ClientId("other".into());
        assert_eq!(judge(&grant(5), &other, 1, after(50), WINDOW), Verdict::OtherClient);
    }

    #[test]
    fn before_the_code_is_exchanged_there_is_no_refresh_token_to_judge() {
        let issued = Grant { stage: Stage::Issued { code_expires_at: after(60) }, ..grant(5) };
        assert_eq!(judge(&issued, &web(), 0, after(1), WINDOW), Verdict::Unknown);
    }

    #[test]
    fn a_generation_from_the_future_is_unknown() {
        assert_eq!(judge(&grant(5), &web(), 6, after(1), WINDOW), Verdict::Unknown);
    }
}
