//! The revocation feed: which logins and users were ended within the longest life of an access token, signed, so that
//! siblings that verify offline learn of it within seconds (`docs/revocation-feed.md`).
//!
//! Each replica keeps its own copy in memory and reads from the database what is new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use tokio::sync::{Mutex, Notify, watch};

use super::{Deps, Error};
use crate::domain::{Fingerprint, GrantId, Timestamp, UserId};
use crate::keys::signer::TokenType;
use crate::store::Db;
use crate::store::revocations::{self, Revoked};

/// How long an entry outlives the tokens it voids: clocks and leeways of verifiers.
const LEEWAY: Duration = Duration::from_mins(2);

/// Rows that were committed late, or by a replica whose clock is behind, are read again for so long.
const OVERLAP: Duration = Duration::from_secs(15);

/// An unchanged feed is signed anew after this, so that its `iat` shows that it is fresh.
const SIGNED_ANEW: Duration = Duration::from_secs(30);

/// The feed of this moment, ready to send.
pub struct Feed {
    /// The signed JWT.
    pub body: String,
    /// Its entity tag, quoted.
    pub etag: String,
}

/// This replica's feed.
pub struct Revocations {
    window: Duration,
    current: ArcSwapOption<Feed>,
    version: watch::Sender<u64>,
    known: Mutex<Known>,
    /// Something was ended here: no need to wait for the next look.
    poked: Notify,
}

#[derive(Default)]
struct Known {
    sids: BTreeMap<GrantId, Timestamp>,
    subs: BTreeMap<UserId, Timestamp>,
    read_at: Option<Timestamp>,
    signed_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
    /// Seconds that an entry is listed.
    window: u64,
    /// Ended logins, sorted.
    sids: Vec<GrantId>,
    /// Users, and since when (seconds since the epoch) tokens count.
    subs: BTreeMap<UserId, i64>,
}

impl Revocations {
    /// For access tokens that live so long at most.
    pub fn new(longest_access: Duration) -> Self {
        Self {
            window: longest_access + LEEWAY,
            current: ArcSwapOption::empty(),
            version: watch::Sender::new(0),
            known: Mutex::default(),
            poked: Notify::new(),
        }
    }

    /// The feed, once it was read for the first time.
    fn feed(&self) -> Option<Arc<Feed>> {
        self.current.load_full()
    }

    /// Tells of each change.
    fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Something was ended by this replica.
    pub fn poke(&self) {
        self.poked.notify_one();
    }

    /// Waits until something was.
    pub async fn poked(&self) {
        self.poked.notified().await;
    }
}

impl Known {
    fn take(&mut self, revoked: Vec<Revoked>) -> bool {
        let mut changed = false;
        for one in revoked {
            changed |= match one {
                Revoked::Grant(id, at) => self.sids.insert(id, at) != Some(at),
                Revoked::User(id, at) => self.subs.insert(id, at) != Some(at),
            };
        }
        changed
    }

    fn forget(&mut self, before: Timestamp) -> bool {
        let count = self.sids.len() + self.subs.len();
        self.sids.retain(|_, at| *at >= before);
        self.subs.retain(|_, at| *at >= before);
        self.sids.len() + self.subs.len() != count
    }
}

/// The feed. Whoever has this one already, as `is_known` says, waits up to `wait` for the next.
///
/// # Errors
/// When it was not read for the first time yet.
pub(crate) async fn current(
    deps: &Deps,
    wait: Duration,
    is_known: impl Fn(&Feed) -> bool,
) -> Result<Arc<Feed>, Error> {
    let revocations = &deps.signals.revocations;
    let mut changes = revocations.changes();
    changes.mark_unchanged();
    let feed =
        || revocations.feed().ok_or_else(|| Error::unavailable("the revocation feed was not read yet"));
    let now = feed()?;
    if wait.is_zero() || !is_known(&now) {
        return Ok(now);
    }
    // Whether it changed or the time is over: the answer tells.
    let _ = tokio::time::timeout(wait, changes.changed()).await;
    feed()
}

/// Reads what is new and signs it; whether the feed changed. A store that does not answer leaves the feed as it is.
pub async fn refresh(deps: &Deps, db: &mut Db) -> Result<bool, Error> {
    let feed = &deps.signals.revocations;
    let now = deps.clock.now();
    let mut known = feed.known.lock().await;
    let all = now - feed.window;
    let from = known.read_at.map_or(all, |read_at| (read_at - OVERLAP).max(all));
    let revoked = revocations::since(db, from).await?;
    known.read_at = Some(now);
    let changed = known.take(revoked) | known.forget(all);
    let stale = known.signed_at.is_none_or(|signed| now.since(signed) >= SIGNED_ANEW || signed > now);
    if !changed && !stale {
        return Ok(false);
    }
    let claims = Claims {
        iss: deps.policy.issuer.as_str(),
        iat: now.secs(),
        window: feed.window.as_secs(),
        sids: known.sids.keys().copied().collect(),
        subs: known.subs.iter().map(|(id, at)| (*id, at.secs())).collect(),
    };
    let ring = deps.keys.ring();
    let alg = deps.keys.policy.algorithms.first().copied().unwrap_or(crate::domain::SigningAlg::Es256);
    let body = ring.sign(alg, TokenType::Revocations, &claims)?;
    let digest = Fingerprint::of(body.as_bytes());
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..12]));
    feed.current.store(Some(Arc::new(Feed { body, etag })));
    known.signed_at = Some(now);
    feed.version.send_modify(|version| *version += 1);
    Ok(changed)
}
