//! This replica's copy of the revocation feed, and what it is made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, watch};

use super::bell::Bell;
use crate::domain::revocation::{Ended, List};
use crate::domain::{Fingerprint, Timestamp};
use crate::store::LONGEST_TX;

/// How long an entry outlives the tokens it voids: clocks and leeways of verifiers.
const LEEWAY: Duration = Duration::from_mins(2);

/// What ended is committed this long after the time that it says at most: a transaction is not committed after
/// [`LONGEST_TX`], and the rest is for the clocks of replicas.
pub(in crate::flow) const OVERLAP: Duration = Duration::from_secs(30);
const _: () =
    assert!(LONGEST_TX.as_secs() + 10 <= OVERLAP.as_secs(), "what is committed late would be passed");

/// The unit of a cursor: readers who stand close to each other get the same answer, which is signed once.
const CURSOR: i64 = 15;

/// An unchanged feed is signed anew in each of these periods, so that its `iat` shows that it is fresh; seconds.
const PERIOD: i64 = 30;

/// The feed of this moment.
pub(crate) struct Feed {
    /// What it lists.
    pub(in crate::flow) list: List,
    /// Its `iat`.
    pub(in crate::flow) at: Timestamp,
    /// For how long an entry is listed.
    pub(in crate::flow) window: Duration,
    /// Stands for the list: the same on every replica.
    digest: String,
    /// Answers that were signed, by the cursor that they go on from.
    signed: Mutex<BTreeMap<Option<i64>, Arc<[u8]>>>,
}

/// What a reader has, by its entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Known {
    /// This feed.
    All,
    /// Its entries, with an older `iat`.
    Entries,
    /// Something else.
    Nothing,
}

impl Feed {
    /// A list that was made now.
    pub(in crate::flow) fn new(list: List, at: Timestamp, window: Duration) -> serde_json::Result<Self> {
        let List { sids, subs, refuse_before } = &list;
        // When they ended decides what a cursor's answer holds, so it belongs to the content.
        let sids: Vec<_> = sids.iter().collect();
        let digest = Fingerprint::of(&serde_json::to_vec(&(sids, subs, refuse_before, window.as_secs()))?);
        let digest = URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..12]);
        Ok(Self { list, at, window, digest, signed: Mutex::default() })
    }

    /// Whether it lists the same as another.
    pub(in crate::flow) fn same_entries(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Whether it is old enough to be signed anew.
    pub(in crate::flow) fn is_stale(&self, now: Timestamp) -> bool {
        self.period() != now.secs().div_euclid(PERIOD)
    }

    fn period(&self) -> i64 {
        self.at.secs().div_euclid(PERIOD)
    }

    /// Its entity tag, quoted: by content, so that it is the same on every replica, whose signatures differ.
    pub(in crate::flow) fn etag(&self) -> String {
        format!("\"{}.{}\"", self.digest, self.period())
    }

    /// What a reader has who shows this entity tag.
    pub(in crate::flow) fn known(&self, tag: &str) -> Known {
        if tag == self.etag() || tag == "*" {
            return Known::All;
        }
        let digest = tag.strip_prefix('"').and_then(|tag| tag.split_once('.')).map(|(digest, _)| digest);
        if digest == Some(self.digest.as_str()) { Known::Entries } else { Known::Nothing }
    }

    /// Up to where it lists what ended: by the last that did, not by the clock, so that it stays while nothing ends, is the same on
    /// every replica, and lies ahead of a database that was restored.
    pub(in crate::flow) fn cursor(&self) -> i64 {
        self.list.last_ended().map_or(0, |at| at.secs().div_euclid(CURSOR))
    }

    /// The cursor of a reader, if it is one of this list's past. An older one, one from the future and what is none are not.
    pub(in crate::flow) fn past(&self, cursor: &str) -> Option<i64> {
        let cursor = cursor.parse::<i64>().ok().filter(|cursor| *cursor <= self.cursor())?;
        (since(cursor) >= self.at - self.window).then_some(cursor)
    }

    /// From when on what ended may be unknown to who has this cursor: what had not been committed then is listed again.
    pub(in crate::flow) fn overlap(cursor: i64) -> Timestamp {
        since(cursor) - OVERLAP
    }

    /// The answer that goes on from a cursor, signed by `sign` the first time.
    pub(in crate::flow) fn signed<E>(
        &self,
        after: Option<i64>,
        sign: impl FnOnce() -> Result<String, E>,
    ) -> Result<Arc<[u8]>, E> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = signed.get(&after) {
            return Ok(Arc::clone(body));
        }
        let body: Arc<[u8]> = sign()?.into_bytes().into();
        signed.insert(after, Arc::clone(&body));
        Ok(body)
    }
}

fn since(cursor: i64) -> Timestamp {
    Timestamp::from_secs(cursor.saturating_mul(CURSOR))
}

/// The feed, its changes, and what it is made of.
pub(crate) struct Revocations {
    window: Duration,
    current: ArcSwapOption<Feed>,
    version: watch::Sender<u64>,
    read: AsyncMutex<Read>,
    bell: Bell,
}

/// What was read of the database.
pub(in crate::flow) struct Read {
    /// What ended.
    pub(in crate::flow) ended: Ended,
    /// Up to when.
    pub(in crate::flow) at: Option<Timestamp>,
    /// When what was committed late was read too.
    pub(in crate::flow) whole_at: Option<Timestamp>,
}

impl Revocations {
    /// For access tokens that live so long at most, of refreshes that are answered again for so long.
    pub(super) fn new(longest_access_token: Duration, reuse_window: Duration) -> Self {
        Self {
            window: longest_access_token + LEEWAY,
            current: ArcSwapOption::empty(),
            version: watch::Sender::new(0),
            read: AsyncMutex::new(Read { ended: Ended::new(reuse_window), at: None, whole_at: None }),
            bell: Bell::default(),
        }
    }

    /// For how long an entry is listed.
    pub(in crate::flow) fn window(&self) -> Duration {
        self.window
    }

    /// The feed, once it was read for the first time.
    pub(in crate::flow) fn current(&self) -> Option<Arc<Feed>> {
        self.current.load_full()
    }

    /// Tells of each change of what is listed.
    pub(in crate::flow) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What was read; one at a time makes a new feed of it.
    pub(in crate::flow) async fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().await
    }

    /// Takes the place of the feed before. Readers who wait are answered if it `changed`.
    pub(in crate::flow) fn publish(&self, feed: Feed, changed: bool) {
        self.current.store(Some(Arc::new(feed)));
        if changed {
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// Something was ended by this replica: no need to wait for the next look.
    pub(in crate::flow) fn ring(&self) {
        self.bell.ring();
    }

    /// Rings when something was.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}
