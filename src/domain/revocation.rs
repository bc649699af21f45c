//! What the revocation feed lists: a pure function of what has ended, so that every replica lists the same
//! (`docs/revocation-feed.md`).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};

use super::{Fingerprint, GrantId, Issuer, Timestamp, UserId};

/// So many ended grants of one user are listed singly; more are covered by a not-before time of the user.
pub(crate) const MOST_GRANTS_OF_A_USER: usize = 16;

/// So many entries are listed: two megabytes at most. What does not fit is covered by a time before which all tokens are
/// refused.
pub(crate) const MOST_ENTRIES: usize = 50_000;

/// So many ended grants are kept in memory, and read at once.
pub(crate) const MOST_ROWS: usize = 2 * MOST_ENTRIES;

/// An access token may say that it was issued this many seconds after its grant ended: a refresh that was under way, and
/// clocks of replicas that differ.
const ISSUED_LATE: i64 = 2;

/// 96 bits of a digest: names a user or grant to those who hold a token of it, and to nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryHash([u8; 12]);

impl EntryHash {
    /// Of a grant: the claim `sid`.
    pub(crate) fn of_grant(issuer: &Issuer, grant: GrantId) -> Self {
        Self::of(issuer.as_str(), "sid", &grant.to_string())
    }

    /// Of a user: the claim `sub`.
    pub(crate) fn of_user(issuer: &Issuer, user: UserId) -> Self {
        Self::of(issuer.as_str(), "sub", &user.to_string())
    }

    fn of(issuer: &str, claim: &str, value: &str) -> Self {
        let digest =
            Fingerprint::of(&[issuer.as_bytes(), b"\0", claim.as_bytes(), b"\0", value.as_bytes()].concat());
        let mut cut = [0; 12];
        cut.copy_from_slice(&digest.as_bytes()[..12]);
        Self(cut)
    }
}

impl Serialize for EntryHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A grant that was ended while an access token of it could still be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedGrant {
    /// Its entry.
    pub(crate) hash: EntryHash,
    /// When it ended.
    pub(crate) ended_at: Timestamp,
    /// When tokens of it were last issued.
    pub(crate) refreshed_at: Timestamp,
}

/// What is known of a user.
#[derive(Clone, Debug)]
struct EndedUser {
    hash: EntryHash,
    /// The user's tokens from before this are void, if that changed lately.
    valid_from: Option<Timestamp>,
    /// When tokens of any ended grant were last issued.
    last_refreshed: Option<Timestamp>,
    /// The grants that ended last, the last one first; never more than one above [`MOST_GRANTS_OF_A_USER`].
    grants: Vec<EndedGrant>,
}

/// Everything that ended lately, as far as the list depends on it.
#[derive(Debug)]
pub(crate) struct Ended {
    users: BTreeMap<UserId, EndedUser>,
    /// Tokens from before are refused: more ended than is kept.
    floor: Option<i64>,
    /// How long after `refreshed_at` a token of the grant may say that it was issued.
    reissue: Duration,
}

/// What the feed says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// Ended grants, and when they ended.
    pub(crate) sids: BTreeMap<EntryHash, Timestamp>,
    /// Users, and the time (seconds since the epoch) before which their tokens were issued that are refused.
    pub(crate) subs: BTreeMap<EntryHash, i64>,
    /// All tokens that were issued before this time (seconds since the epoch) are refused.
    pub(crate) refuse_before: Option<i64>,
}

impl Ended {
    /// Nothing yet. `reuse_window` is for how long a refresh is answered again.
    pub(crate) fn new(reuse_window: Duration) -> Self {
        // A flow may take a while to sign what the store gave it.
        Self { users: BTreeMap::new(), floor: None, reissue: reuse_window + Duration::from_secs(5) }
    }

    /// How long after `refreshed_at` a token of the grant may say that it was issued.
    pub(crate) fn reissue(&self) -> Duration {
        self.reissue
    }

    /// Tokens of a user that were issued before this time are void; whether that is new.
    pub(crate) fn take_user(&mut self, user: UserId, hash: EntryHash, valid_from: Timestamp) -> bool {
        let user = self.user(user, hash);
        let new = user.valid_from < Some(valid_from);
        if new {
            user.valid_from = Some(valid_from);
        }
        new
    }

    /// A grant ended; whether that is new. `hash` names its user.
    pub(crate) fn take_grant(&mut self, user: UserId, hash: EntryHash, grant: EndedGrant) -> bool {
        let user = self.user(user, hash);
        let later = user.last_refreshed < Some(grant.refreshed_at);
        if later {
            user.last_refreshed = Some(grant.refreshed_at);
        }
        let order = |one: &EndedGrant| (std::cmp::Reverse(one.ended_at), one.hash);
        let Err(place) = user.grants.binary_search_by_key(&order(&grant), order) else { return later };
        user.grants.insert(place, grant);
        user.grants.truncate(MOST_GRANTS_OF_A_USER + 1);
        later || place <= MOST_GRANTS_OF_A_USER
    }

    /// More ended than was read: tokens that could be of what ended at this time or before are refused.
    pub(crate) fn take_rest(&mut self, ended_at: Timestamp) -> bool {
        let floor = after(ended_at);
        let new = self.floor < Some(floor);
        if new {
            self.floor = Some(floor);
        }
        new
    }

    /// Forgets what was last issued tokens before this time, and the oldest of too many; whether there was any.
    pub(crate) fn forget(&mut self, before: Timestamp) -> bool {
        let mut changed = false;
        if self.floor.is_some_and(|floor| floor < before.secs()) {
            (self.floor, changed) = (None, true);
        }
        self.users.retain(|_, user| {
            let count = user.grants.len();
            user.grants.retain(|grant| grant.refreshed_at >= before);
            changed |= user.grants.len() != count;
            if user.valid_from.is_some_and(|at| at < before) {
                (user.valid_from, changed) = (None, true);
            }
            user.valid_from.is_some() || !user.grants.is_empty()
        });
        changed | self.forget_oldest(MOST_ROWS)
    }

    fn forget_oldest(&mut self, most: usize) -> bool {
        let times = |user: &EndedUser| {
            let grants = user.grants.iter().map(|grant| grant.ended_at);
            grants.chain(user.valid_from).collect::<Vec<_>>()
        };
        let mut all: Vec<Timestamp> = self.users.values().flat_map(times).collect();
        if all.len() <= most {
            return false;
        }
        let (_, last, _) = all.select_nth_unstable_by_key(most, |at| std::cmp::Reverse(*at));
        let last = *last;
        self.users.retain(|_, user| {
            user.grants.retain(|grant| grant.ended_at > last);
            user.valid_from = user.valid_from.filter(|at| *at > last);
            user.valid_from.is_some() || !user.grants.is_empty()
        });
        self.take_rest(last);
        true
    }

    fn user(&mut self, user: UserId, hash: EntryHash) -> &mut EndedUser {
        let new = || EndedUser { hash, valid_from: None, last_refreshed: None, grants: Vec::new() };
        self.users.entry(user).or_insert_with(new)
    }

    /// What is to be listed, of so many entries at most.
    pub(crate) fn list(&self, most: usize) -> List {
        let (mut sids, mut subs) = (Vec::new(), Vec::new());
        for user in self.users.values() {
            let (not_before, grants) = user.entries(self.reissue);
            subs.extend(not_before.map(|at| (user.hash, at)));
            sids.extend(grants.into_iter().map(|grant| (grant.hash, grant.ended_at)));
        }
        let mut refuse_before = self.floor;
        if sids.len() + subs.len() > most {
            // The times before which refusing all tokens does what the entries do.
            let mut covered: Vec<i64> =
                sids.iter().map(|(_, at)| after(*at)).chain(subs.iter().map(|(_, at)| *at)).collect();
            let (_, first_left_out, _) =
                covered.select_nth_unstable_by_key(most, |at| std::cmp::Reverse(*at));
            refuse_before = refuse_before.max(Some(*first_left_out));
        }
        List {
            sids: sids.into_iter().filter(|(_, at)| Some(after(*at)) > refuse_before).collect(),
            subs: subs.into_iter().filter(|(_, at)| Some(*at) > refuse_before).collect(),
            refuse_before,
        }
    }
}

impl EndedUser {
    /// The not-before time of the user, and the grants that it does not cover.
    fn entries(&self, reissue: Duration) -> (Option<i64>, Vec<EndedGrant>) {
        let issued_until = |grant: &EndedGrant| {
            (grant.ended_at.secs() + ISSUED_LATE).min((grant.refreshed_at + reissue).secs())
        };
        let valid_from = self.valid_from.map(Timestamp::secs);
        let mut grants = self.grants.clone();
        grants.retain(|grant| Some(issued_until(grant)) >= valid_from);
        let Some(covered) = grants.get(MOST_GRANTS_OF_A_USER) else { return (valid_from, grants) };
        let last_issued = self.last_refreshed.map_or(i64::MAX, |at| (at + reissue).secs() + 1);
        let not_before = valid_from.max(Some(after(covered.ended_at).min(last_issued)));
        grants.retain(|grant| Some(issued_until(grant)) >= not_before);
        (not_before, grants)
    }
}

impl List {
    /// When the last of the listed grants ended.
    pub(crate) fn last_ended(&self) -> Option<Timestamp> {
        self.sids.values().max().copied()
    }
}

/// The first second in which no token of a grant that ended at this time was issued.
fn after(ended_at: Timestamp) -> i64 {
    ended_at.secs().saturating_add(ISSUED_LATE + 1)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const T: i64 = 1_800_000_000;

    fn issuer() -> Issuer {
        Issuer::parse("https://auth.example.com").unwrap()
    }

    fn user(number: i64) -> (UserId, EntryHash) {
        let user = UserId(Uuid::from_u64_pair(1, number.unsigned_abs()));
        (user, EntryHash::of_user(&issuer(), user))
    }

    fn grant(number: i64, ended_at: i64, refreshed_at: i64) -> EndedGrant {
        let hash = EntryHash::of_grant(&issuer(), GrantId(Uuid::from_u64_pair(0, number.unsigned_abs())));
        let at = Timestamp::from_secs;
        EndedGrant { hash, ended_at: at(ended_at), refreshed_at: at(refreshed_at) }
    }

    fn ended() -> Ended {
        Ended::new(Duration::from_secs(10))
    }

    fn with_grants(ended: &mut Ended, of: (UserId, EntryHash), grants: impl IntoIterator<Item = EndedGrant>) {
        for one in grants {
            ended.take_grant(of.0, of.1, one);
        }
    }

    /// Whether the list refuses a token of this grant and user that was issued at `iat`.
    fn refuses(list: &List, grant: EntryHash, user: EntryHash, iat: i64) -> bool {
        list.sids.contains_key(&grant)
            || list.subs.get(&user).is_some_and(|at| iat < *at)
            || list.refuse_before.is_some_and(|at| iat < at)
    }

    #[test]
    fn sixteen_ended_grants_are_listed_singly_and_more_as_their_user() {
        let (mut ended, of) = (ended(), user(1));
        with_grants(&mut ended, of, (0..16).map(|i| grant(i, T + i * 10, T)));
        let list = ended.list(MOST_ENTRIES);
        assert_eq!((list.sids.len(), list.subs.len()), (16, 0));
        with_grants(&mut ended, of, (16..60_000).map(|i| grant(i, T + i * 10, T + i * 10 - 1)));
        let list = ended.list(MOST_ENTRIES);
        assert_eq!(list.subs.len(), 1);
        assert!(list.sids.len() <= 16, "{}", list.sids.len());
        for i in (0..60_000).step_by(997).chain([59_990, 59_999]) {
            let at = T + i * 10;
            assert!(refuses(&list, grant(i, at, at).hash, of.1, at), "{i}");
        }
        // A login that began after the last but sixteen ended is not refused.
        assert!(!refuses(&list, grant(70_000, 0, 0).hash, of.1, T + 59_999 * 10));
        assert!(
            serde_json::to_string(&(&list.sids.keys().collect::<Vec<_>>(), &list.subs)).unwrap().len() < 500
        );
    }

    #[test]
    fn grants_that_ended_all_at_once_are_one_entry() {
        let (mut ended, of) = (ended(), user(1));
        with_grants(&mut ended, of, (0..60_000).map(|i| grant(i, T, T - 1)));
        let list = ended.list(MOST_ENTRIES);
        assert_eq!((list.sids.len(), list.subs), (0, [(of.1, T + 3)].into()));
    }

    #[test]
    fn what_a_user_s_not_before_time_covers_is_not_listed_again() {
        let (mut ended, of) = (ended(), user(1));
        assert!(ended.take_user(of.0, of.1, Timestamp::from_secs(T)));
        assert!(!ended.take_user(of.0, of.1, Timestamp::from_secs(T)));
        // Ended afterwards, one by one; tokens of it were last issued long before, just before, and in that very second.
        with_grants(
            &mut ended,
            of,
            [grant(1, T + 60, T - 16), grant(2, T + 60, T - 15), grant(3, T + 60, T)],
        );
        let list = ended.list(MOST_ENTRIES);
        assert_eq!(list.subs, [(of.1, T)].into());
        assert_eq!(list.sids.keys().count(), 2);
        assert!(!list.sids.contains_key(&grant(1, 0, 0).hash));
        // A batch that goes on for minutes does not move the time.
        with_grants(&mut ended, of, (10..400).map(|i| grant(i, T + i, T - 1)));
        let list = ended.list(MOST_ENTRIES);
        assert_eq!((list.sids.len(), list.subs), (0, [(of.1, T + 16)].into()));
    }

    #[test]
    fn the_order_of_reading_does_not_matter_and_neither_does_reading_twice() {
        let (mut one, mut other) = (ended(), ended());
        let grants: Vec<_> = (0..40).map(|i| grant(i, T + (i * 7) % 11, T - i)).collect();
        with_grants(&mut one, user(1), grants.iter().copied());
        with_grants(&mut other, user(1), grants.iter().rev().copied());
        with_grants(&mut other, user(1), grants.iter().copied());
        assert_eq!(one.list(MOST_ENTRIES), other.list(MOST_ENTRIES));
        let again = grants.iter().filter(|grant| one.take_grant(user(1).0, user(1).1, **grant)).count();
        assert_eq!(again, 0, "nothing new");
    }

    #[test]
    fn an_entry_goes_when_no_token_can_live_any_more() {
        let (mut ended, of) = (ended(), user(1));
        with_grants(&mut ended, of, [grant(1, T + 300, T), grant(2, T + 1, T + 1)]);
        ended.take_user(user(2).0, user(2).1, Timestamp::from_secs(T));
        ended.take_rest(Timestamp::from_secs(T - 3));
        assert!(!ended.forget(Timestamp::from_secs(T)));
        assert!(ended.forget(Timestamp::from_secs(T + 1)));
        let list = ended.list(MOST_ENTRIES);
        assert_eq!(list.sids.keys().copied().collect::<Vec<_>>(), [grant(2, 0, 0).hash]);
        assert_eq!((list.subs.len(), list.refuse_before), (0, None));
        assert!(ended.forget(Timestamp::from_secs(T + 2)));
        assert_eq!(ended.list(MOST_ENTRIES), List::default());
    }

    #[test]
    fn what_does_not_fit_is_refused_by_a_time_and_never_forgotten() {
        let mut ended = ended();
        for i in 0..40 {
            with_grants(&mut ended, user(i), [grant(i, T + i, T + i)]);
        }
        ended.take_user(user(100).0, user(100).1, Timestamp::from_secs(T + 20));
        let list = ended.list(10);
        assert_eq!(
            list.refuse_before,
            Some(T + 32),
            "the eleventh last grant, and what it may have issued late"
        );
        assert_eq!((list.sids.len(), list.subs.len()), (10, 0));
        for i in 0..40 {
            assert!(refuses(&list, grant(i, 0, 0).hash, user(i).1, T + i + ISSUED_LATE), "{i}");
        }
        assert!(!refuses(&list, grant(99, 0, 0).hash, user(99).1, T + 32));
        // The same when it does not fit into the memory.
        assert!(ended.forget_oldest(10));
        assert_eq!(ended.list(10).refuse_before, Some(T + 32));
        assert_eq!(ended.list(MOST_ENTRIES).sids, list.sids);
    }

    #[test]
    fn an_entry_is_the_first_96_bits_of_the_digest() {
        let user = UserId("01a20875-c4f8-716e-aeec-93a82e381920".parse().unwrap());
        let sub = serde_json::to_value(EntryHash::of_user(&issuer(), user)).unwrap();
        assert_eq!(sub.as_str().unwrap().len(), 16);
        let text = ["https://auth.example.com", "sub", "01a20875-c4f8-716e-aeec-93a82e381920"].join("\0");
        assert_eq!(sub, URL_SAFE_NO_PAD.encode(&Fingerprint::of(text.as_bytes()).as_bytes()[..12]));
        assert_ne!(EntryHash::of("i", "sub", "x"), EntryHash::of("i", "sid", "x"));
    }
}
