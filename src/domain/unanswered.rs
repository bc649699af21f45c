//! Tokens that were stored and not delivered: their request was answered 503, and its client does what it was told, and
//! repeats it.
//!
//! A replica that answers 503 to a refresh or a code exchange does not know whether the database did what it was asked. It
//! notes the generation that the tokens would have had and the time that the statement would have stored. If the row shows
//! just these, the answer was lost, however long ago: for such a grant the reuse window begins when the note is written into
//! the row. A note of a statement that was never carried out fits no row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::grant::Life;
use super::{Grant, GrantId, Stage, Timestamp};

/// How long a note is kept after the last 503.
pub(crate) const KEPT: Duration = Duration::from_mins(5);

/// A client comes back after `Retry-After`, and after a lost answer or two: even where `refresh.reuse_window` is shorter, or zero,
/// it is given so long.
const SHORTEST_WINDOW: Duration = Duration::from_secs(10);

/// Whether the answer with the current generation is known to have been a 503, and that was noted a moment ago: its tokens are
/// given again.
pub(crate) fn is_given_again(life: &Life, now: Timestamp, reuse_window: Duration) -> bool {
    life.unanswered_at.is_some_and(|at| now.since(at) <= window(reuse_window))
}

/// How long the tokens of a grant are given again after the note was written into its row.
pub(crate) fn window(reuse_window: Duration) -> Duration {
    reuse_window.max(SHORTEST_WINDOW)
}

/// Requests that were answered 503 and asked for the tokens of one generation of one grant, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The grant.
    pub grant: GrantId,
    /// The generation that the tokens would have had.
    pub generation: i64,
    /// The time that the first of the statements would have stored.
    pub from: Timestamp,
    /// The time that the last would have stored.
    pub to: Timestamp,
}

impl Unanswered {
    /// One request, whose statement would have stored this time.
    pub fn one(grant: GrantId, generation: i64, at: Timestamp) -> Self {
        Self { grant, generation, from: at, to: at }
    }

    /// Both notes in one; the one of the later generation if they differ in that.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.generation != other.generation {
            return if self.generation > other.generation { self } else { other };
        }
        Self { from: self.from.min(other.from), to: self.to.max(other.to), ..self }
    }

    /// Whether what was noted is what the row shows: the tokens of its current generation were not delivered. Or the row says so
    /// already, and whoever came back was answered 503 once more. `store::grants::note_unanswered` asks the same in SQL.
    pub fn fits(&self, grant: &Grant) -> bool {
        let Stage::Live { generation, refreshed_at, unanswered_at, .. } = grant.stage else { return false };
        self.grant == grant.id
            && self.generation == generation
            && (unanswered_at.is_some() || (self.from..=self.to).contains(&refreshed_at))
    }

    /// Whether it is too old to count.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.to) > KEPT
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn note(generation: i64, from: i64, to: i64) -> Unanswered {
        Unanswered { grant: GrantId(Uuid::nil()), generation, from: at(from), to: at(to) }
    }

    #[test]
    fn notes_of_one_generation_are_one_and_a_later_generation_counts_alone() {
        assert_eq!(note(2, 10, 10).and(note(2, 14, 16)), note(2, 10, 16));
        assert_eq!(note(2, 14, 16).and(note(2, 10, 10)), note(2, 10, 16));
        assert_eq!(note(3, 1, 1).and(note(2, 14, 16)), note(3, 1, 1));
        assert_eq!(note(2, 14, 16).and(note(3, 1, 1)), note(3, 1, 1));
    }

    #[test]
    fn a_note_is_kept_for_five_minutes_after_the_last_503() {
        assert!(!note(2, 0, 100).is_over(at(400)));
        assert!(note(2, 0, 100).is_over(at(401)));
    }

    #[test]
    fn a_strict_service_still_gives_a_client_the_time_to_come_back() {
        assert_eq!(window(Duration::ZERO), Duration::from_secs(10));
        assert_eq!(window(Duration::from_mins(1)), Duration::from_mins(1));
    }
}
