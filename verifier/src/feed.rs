//! The revocation feed: what was ended before its tokens expired. Followed in the background, looked up in memory.
//! The format, and what is done with it, is `docs/revocation-feed.md`.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER};
use serde::{Deserialize, Deserializer};
use tokio::sync::OnceCell;
use tracing::{debug, warn};
use url::Url;

use crate::{BuildError, Inner, Refused};

/// The issuer lists 50,000 entries at most: less than three megabytes.
const LARGEST_FEED: usize = 4 * 1024 * 1024;

/// How long a request waits at the issuer for a change, seconds.
const WAIT: u64 = 25;

/// From one request to the next, however fast the answers come.
const FLOOR: Duration = Duration::from_secs(1);

/// After a failure, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The longest `Retry-After` that is heeded.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What a claim's value is listed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct EntryHash([u8; 12]);

impl EntryHash {
    fn of(issuer: &str, claim: &str, value: &str) -> Self {
        let mut digest = Context::new(&SHA256);
        for part in [issuer.as_bytes(), b"\0", claim.as_bytes(), b"\0", value.as_bytes()] {
            digest.update(part);
        }
        let mut cut = [0; 12];
        cut.copy_from_slice(&digest.finish().as_ref()[..12]);
        Self(cut)
    }
}

impl<'de> Deserialize<'de> for EntryHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes.try_into().map_err(|_| serde::de::Error::custom("an entry has 96 bits"))?))
    }
}

/// What is known to have ended. An answer of the issuer adds to it and never takes anything away; an entry is forgotten once no
/// token that it refuses can live any more. So it does not matter which replica answers, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    iss: String,
    /// The newest of all answers.
    iat: i64,
    /// Of the last answer, for the next request.
    cursor: Option<String>,
    /// Ended grants, and until when they are remembered.
    sids: HashMap<EntryHash, i64>,
    /// Users, and the time before which their tokens were issued that are refused.
    subs: HashMap<EntryHash, Until>,
    /// All tokens that were issued before are refused.
    all: Option<Until>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until {
    not_before: i64,
    remembered: i64,
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
    iat: i64,
    window: i64,
    cursor: String,
    complete: bool,
    after: Option<String>,
    sids: Vec<EntryHash>,
    subs: HashMap<EntryHash, i64>,
    refuse_before: Option<i64>,
}

impl RevocationList {
    /// An empty one of this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self { iss: issuer.into(), ..Self::default() }
    }

    /// Adds what the payload of an answer says. That its signature is good is for the caller to know. `after` is the cursor that was
    /// asked with, `now` the time in seconds since the epoch, from which the issuer's clock may be `leeway` seconds away.
    ///
    /// # Errors
    /// When it is no answer of this issuer to this question, or so old that nothing in it matters. Nothing is changed then.
    pub fn add(&mut self, payload: &[u8], after: Option<&str>, now: i64, leeway: i64) -> Result<(), Refused> {
        let new: Payload = serde_json::from_slice(payload).map_err(|_| Refused::Claims)?;
        if new.iss != self.iss {
            return Err(Refused::Issuer);
        } else if new.window <= 0 || (!new.complete && (new.after.is_none() || new.after.as_deref() != after))
        {
            return Err(Refused::Claims);
        } else if new.iat.saturating_add(new.window) < now {
            return Err(Refused::Expired);
        } else if new.iat.saturating_sub(leeway) > now {
            return Err(Refused::NotYet);
        }
        let until = |from: i64| from.saturating_add(new.window);
        self.iat = self.iat.max(new.iat);
        self.cursor = Some(new.cursor);
        for sid in new.sids {
            self.sids.entry(sid).or_insert(until(new.iat));
        }
        let later = |known: Option<&Until>, at: i64| {
            let new = Until { not_before: at, remembered: until(new.iat.max(at)) };
            known.filter(|known| known.not_before >= at).copied().unwrap_or(new)
        };
        for (sub, at) in new.subs {
            self.subs.insert(sub, later(self.subs.get(&sub), at));
        }
        if let Some(at) = new.refuse_before {
            self.all = Some(later(self.all.as_ref(), at));
        }
        self.sids.retain(|_, remembered| *remembered >= self.iat);
        self.subs.retain(|_, until| until.remembered >= self.iat);
        self.all = self.all.filter(|until| until.remembered >= self.iat);
        Ok(())
    }

    /// Whether a token of this grant, user and time of issue (seconds since the epoch) is void.
    pub fn revokes(&self, sid: Option<&str>, sub: &str, iat: i64) -> bool {
        let hash = |claim: &str, value: &str| EntryHash::of(&self.iss, claim, value);
        let before = |until: &Until| iat < until.not_before;
        self.all.as_ref().is_some_and(before)
            || (!self.sids.is_empty() && sid.is_some_and(|sid| self.sids.contains_key(&hash("sid", sid))))
            || (!self.subs.is_empty() && self.subs.get(&hash("sub", sub)).is_some_and(before))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.sids.len() + self.subs.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cfg(feature = "testing")]
    pub(crate) fn with(&self, sid: &str) -> Self {
        let mut list = self.clone();
        list.sids.insert(EntryHash::of(&self.iss, "sid", sid), i64::MAX);
        list
    }
}

/// How time passes for whoever follows a feed; tests pass another.
#[derive(Clone)]
pub struct Pace {
    /// Since some moment.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Waits.
    pub sleep: Arc<dyn Fn(Duration) -> Sleep + Send + Sync>,
}

/// Over when the time is.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Default for Pace {
    fn default() -> Self {
        let began = Instant::now();
        Self {
            elapsed: Arc::new(move || began.elapsed()),
            sleep: Arc::new(|time| Box::pin(tokio::time::sleep(time))),
        }
    }
}

pub(crate) struct Feed {
    url: Url,
    http: reqwest::Client,
    current: ArcSwap<RevocationList>,
    /// The first read, which the first token waits for.
    started: OnceCell<()>,
    /// Without a feed younger than this, seconds, no token is accepted.
    required: Option<i64>,
    pace: Pace,
}

impl Feed {
    pub(crate) fn new(
        issuer: &str,
        url: Url,
        required: Option<Duration>,
        pace: Pace,
    ) -> Result<Self, BuildError> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(WAIT + 10))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let required = required.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let current = ArcSwap::from_pointee(RevocationList::new(issuer));
        Ok(Self { url, http, current, started: OnceCell::new(), required, pace })
    }

    /// One that follows nothing: what the test says is what there is.
    #[cfg(feature = "testing")]
    pub(crate) fn fixed(issuer: &str, url: Url) -> Result<Self, BuildError> {
        let feed = Self::new(issuer, url, None, Pace::default())?;
        let _ = feed.started.set(());
        Ok(feed)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn revoke(&self, sid: &str) {
        self.current.rcu(|list| list.with(sid));
    }

    pub(crate) fn check(&self, sid: Option<&str>, sub: &str, iat: i64, now: i64) -> Result<(), Refused> {
        let list = self.current.load();
        if self.required.is_some_and(|age| now.saturating_sub(list.iat) > age) {
            return Err(Refused::Unavailable);
        }
        if list.revokes(sid, sub, iat) { Err(Refused::Revoked) } else { Ok(()) }
    }

    /// Reads the feed once and then follows it in the background for as long as the verifier lives.
    pub(crate) async fn start(&self, inner: &Arc<Inner>) {
        self.started
            .get_or_init(|| async {
                let mut follower = Follower {
                    http: self.http.clone(),
                    url: self.url.clone(),
                    pace: self.pace.clone(),
                    etag: None,
                    back_off: BACK_OFF.0,
                };
                let asked_at = (self.pace.elapsed)();
                let fetched = follower.fetch(None).await;
                let pause = follower.take(inner, None, fetched).await;
                tokio::spawn(follower.follow(Arc::downgrade(inner), asked_at, pause));
            })
            .await;
    }
}

/// What came of a request.
enum Fetched {
    Unchanged,
    New { body: String, etag: Option<String> },
    Failed { retry_after: Option<Duration> },
}

struct Follower {
    http: reqwest::Client,
    url: Url,
    pace: Pace,
    etag: Option<String>,
    back_off: Duration,
}

impl Follower {
    async fn follow(mut self, inner: Weak<Inner>, mut asked_at: Duration, mut pause: Duration) {
        loop {
            let floor = FLOOR.saturating_sub((self.pace.elapsed)().saturating_sub(asked_at));
            (self.pace.sleep)(floor.max(pause)).await;
            let Some(known) = inner.upgrade() else { return };
            let cursor = known.feed.as_ref().and_then(|feed| feed.current.load().cursor.clone());
            // While the issuer is waited for, the verifier may go.
            drop(known);
            asked_at = (self.pace.elapsed)();
            let fetched = self.fetch(cursor.as_deref()).await;
            let Some(inner) = inner.upgrade() else { return };
            pause = self.take(&inner, cursor.as_deref(), fetched).await;
        }
    }

    /// Takes an answer over; how long to wait before the next request.
    async fn take(&mut self, inner: &Arc<Inner>, after: Option<&str>, fetched: Fetched) -> Duration {
        let retry_after = match fetched {
            Fetched::Failed { retry_after } => {
                debug!("the revocation feed could not be fetched; what is known stays");
                retry_after
            }
            Fetched::Unchanged => {
                self.back_off = BACK_OFF.0;
                return Duration::ZERO;
            }
            Fetched::New { body, etag } => match inner.take_feed(&body, after).await {
                Ok(()) => {
                    (self.etag, self.back_off) = (etag, BACK_OFF.0);
                    return Duration::ZERO;
                }
                Err(refused) => {
                    warn!(%refused, "the revocation feed was refused; what is known stays");
                    None
                }
            },
        };
        let pause = retry_after.unwrap_or(self.back_off).max(self.back_off);
        self.back_off = (self.back_off * 2).min(BACK_OFF.1);
        pause
    }

    async fn fetch(&self, after: Option<&str>) -> Fetched {
        const FAILED: Fetched = Fetched::Failed { retry_after: None };
        let mut url = self.url.clone();
        if let Some(cursor) = after {
            url.query_pairs_mut().append_pair("after", cursor);
        }
        if self.etag.is_some() {
            url.query_pairs_mut().append_pair("wait", &WAIT.to_string());
        }
        let mut request = self.http.get(url);
        if let Some(tag) = &self.etag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let Ok(response) = request.send().await else { return FAILED };
        match response.status() {
            StatusCode::NOT_MODIFIED => Fetched::Unchanged,
            StatusCode::OK => read(response).await.unwrap_or(FAILED),
            _ => {
                let seconds =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                Fetched::Failed { retry_after: seconds.map(|s| Duration::from_secs(s).min(LONGEST_RETRY)) }
            }
        }
    }
}

async fn read(mut response: reqwest::Response) -> Option<Fetched> {
    let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LARGEST_FEED {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(Fetched::New { body: String::from_utf8(body).ok()?, etag })
}

impl Inner {
    /// Adds what an answer says, if it is one.
    pub(crate) async fn take_feed(&self, body: &str, after: Option<&str>) -> Result<(), Refused> {
        let Some(feed) = &self.feed else { return Ok(()) };
        self.check_signature::<serde::de::IgnoredAny>(body, "revocations+jwt", LARGEST_FEED).await?;
        let mut list = RevocationList::clone(&feed.current.load());
        list.add(&crate::payload(body)?, after, (self.clock)(), self.leeway)?;
        feed.current.store(Arc::new(list));
        Ok(())
    }
}
