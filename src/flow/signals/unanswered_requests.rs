//! Refreshes and code exchanges that this process answered 503, until their rows say so.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::unanswered::Unanswered;
use crate::domain::{GrantId, Timestamp};

/// Notes that are kept at most: each is a client that was answered 503 within the last minutes.
const MOST: usize = 100_000;

/// Notes that are written at once.
const BATCH: usize = 200;

/// A note that fits no row, however often the database was asked, is of a statement that was never carried out: one that is still
/// under way ends within seconds.
const MISSES: u32 = 20;

/// One note for each grant, and how often it fitted no row.
#[derive(Default)]
pub(crate) struct UnansweredRequests(Mutex<HashMap<GrantId, (Unanswered, u32)>>);

impl UnansweredRequests {
    fn notes(&self) -> MutexGuard<'_, HashMap<GrantId, (Unanswered, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a note to what is noted of its grant, and returns both in one. Beyond the bound it is not kept.
    pub(in crate::flow) fn add(&self, note: Unanswered) -> Unanswered {
        let mut notes = self.notes();
        let both = notes.get(&note.grant).map_or(note, |(noted, _)| noted.and(note));
        if notes.len() < MOST || notes.contains_key(&note.grant) {
            notes.insert(note.grant, (both, 0));
        }
        both
    }

    /// What is noted of a grant.
    pub(in crate::flow) fn of(&self, grant: GrantId) -> Option<Unanswered> {
        self.notes().get(&grant).map(|(note, _)| *note)
    }

    /// Forgets a note, unless more was noted since.
    pub(in crate::flow) fn forget(&self, note: &Unanswered) {
        let mut notes = self.notes();
        if notes.get(&note.grant).is_some_and(|(noted, _)| noted == note) {
            notes.remove(&note.grant);
        }
    }

    /// The database answered, and the note fits no row. It is forgotten when that was so too often.
    pub(in crate::flow) fn missed(&self, note: &Unanswered) {
        let mut notes = self.notes();
        if let Some((_, misses)) = notes.get_mut(&note.grant).filter(|(noted, _)| noted == note) {
            *misses += 1;
            if *misses >= MISSES {
                notes.remove(&note.grant);
            }
        }
    }

    /// The next to write, those first that were tried least. Those that no longer count are forgotten.
    pub(in crate::flow) fn next(&self, now: Timestamp) -> Vec<Unanswered> {
        let mut notes = self.notes();
        if notes.is_empty() {
            return Vec::new();
        }
        notes.retain(|_, (note, _)| !note.is_over(now));
        let mut next: Vec<(Unanswered, u32)> = notes.values().copied().collect();
        next.sort_unstable_by_key(|(_, misses)| *misses);
        next.into_iter().take(BATCH).map(|(note, _)| note).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_note_is_forgotten_only_as_it_was_when_it_was_read() {
        let (requests, grant) = (UnansweredRequests::default(), GrantId(Uuid::nil()));
        let at = Timestamp::from_secs;
        let first = requests.add(Unanswered::one(grant, 2, at(10)));
        let both = requests.add(Unanswered::one(grant, 2, at(14)));
        requests.forget(&first);
        assert_eq!(requests.of(grant), Some(both));
        assert_eq!(requests.next(at(314)), vec![both]);
        assert_eq!(requests.next(at(314) + Duration::from_millis(1)), Vec::new());
        assert_eq!(requests.of(grant), None);
        let again = requests.add(first);
        requests.forget(&again);
        assert_eq!(requests.of(grant), None);
    }

    #[test]
    fn a_note_that_fits_no_row_is_forgotten_after_some_tries_and_stands_behind_others() {
        let (requests, at) = (UnansweredRequests::default(), Timestamp::from_secs(10));
        let [often, never] =
            [1, 2].map(|n| requests.add(Unanswered::one(GrantId(Uuid::from_u128(n)), 2, at)));
        for _ in 1..MISSES {
            requests.missed(&often);
        }
        assert_eq!(requests.next(at), vec![never, often]);
        requests.missed(&often);
        assert_eq!(requests.next(at), vec![never]);
    }
}
