//! The revocation feed: which logins were ended before their tokens expired. Followed in the background, looked up in memory.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tracing::{debug, warn};
use url::Url;
use uuid::Uuid;

use crate::{BuildError, Inner, Refused};

/// Ten thousand entries have 400 kilobytes.
const LARGEST_FEED: usize = 16 * 1024 * 1024;

/// How long a request waits at the issuer for a change, seconds.
const WAIT: u64 = 20;

/// After a failure, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// What the feed lists: logins that ended, and users whose earlier tokens are void.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    iss: String,
    iat: i64,
    /// Sorted.
    sids: Vec<Uuid>,
    /// Sorted by user.
    subs: Vec<(Uuid, i64)>,
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
    iat: i64,
    sids: Vec<Uuid>,
    #[serde(default)]
    subs: std::collections::BTreeMap<Uuid, i64>,
}

impl RevocationList {
    /// Reads the payload of a feed. That its signature is good is for the caller to know.
    ///
    /// # Errors
    /// [`Refused::Claims`] when it is not one.
    pub fn read(payload: &[u8]) -> Result<Self, Refused> {
        let Payload { iss, iat, mut sids, subs } =
            serde_json::from_slice(payload).map_err(|_| Refused::Claims)?;
        // The issuer sorts them; one that does not is put up with.
        if !sids.is_sorted() {
            sids.sort_unstable();
        }
        Ok(Self { iss, iat, sids, subs: subs.into_iter().collect() })
    }

    /// Whether a token of this login, user and time of issue (seconds since the epoch) is void.
    pub fn revokes(&self, sid: Option<&str>, sub: &str, iat: i64) -> bool {
        if self.sids.is_empty() && self.subs.is_empty() {
            return false;
        }
        let id = |text: &str| Uuid::parse_str(text).ok();
        sid.and_then(id).is_some_and(|sid| self.sids.binary_search(&sid).is_ok())
            || id(sub).is_some_and(|sub| {
                let found = self.subs.binary_search_by_key(&sub, |(user, _)| *user).ok();
                found.and_then(|at| self.subs.get(at)).is_some_and(|(_, not_before)| iat < *not_before)
            })
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
    pub(crate) fn with(&self, sid: Uuid) -> Self {
        let mut list = self.clone();
        if let Err(at) = list.sids.binary_search(&sid) {
            list.sids.insert(at, sid);
        }
        list
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
}

impl Feed {
    pub(crate) fn new(url: Url, required: Option<Duration>) -> Result<Self, BuildError> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(WAIT + 10))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let required = required.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        Ok(Self { url, http, current: ArcSwap::default(), started: OnceCell::new(), required })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn fixed(url: Url, list: RevocationList) -> Result<Self, BuildError> {
        let feed = Self::new(url, None)?;
        feed.current.store(Arc::new(list));
        // Nothing is followed: what the test says is what there is.
        let _ = feed.started.set(());
        Ok(feed)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn revoke(&self, sid: Uuid) {
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
                let fetched = fetch(&self.http, self.url.clone(), None, false).await;
                let etag = take(inner, fetched).await.unwrap_or_default();
                tokio::spawn(follow(Arc::downgrade(inner), self.http.clone(), self.url.clone(), etag));
            })
            .await;
    }
}

enum Fetched {
    Unchanged,
    New { body: String, etag: Option<String> },
}

async fn follow(inner: Weak<Inner>, http: reqwest::Client, url: Url, mut etag: Option<String>) {
    let mut back_off = BACK_OFF.0;
    loop {
        // While the issuer is waited for, the verifier may go.
        let fetched = fetch(&http, url.clone(), etag.as_deref(), etag.is_some()).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Some(new) = take(&inner, fetched).await {
            if new.is_some() {
                etag = new;
            }
            back_off = BACK_OFF.0;
        } else {
            drop(inner);
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(BACK_OFF.1);
        }
    }
}

/// Takes a feed over; its entity tag, or `None` if it was not to be had.
async fn take(inner: &Arc<Inner>, fetched: Option<Fetched>) -> Option<Option<String>> {
    match fetched {
        None => {
            debug!("the revocation feed could not be fetched; the one before stays");
            None
        }
        Some(Fetched::Unchanged) => Some(None),
        Some(Fetched::New { body, etag }) => match inner.read_feed(&body).await {
            Ok(list) => {
                if let Some(feed) = &inner.feed {
                    feed.current.store(Arc::new(list));
                }
                Some(etag)
            }
            Err(refused) => {
                warn!(%refused, "the revocation feed was refused; the one before stays");
                None
            }
        },
    }
}

async fn fetch(http: &reqwest::Client, mut url: Url, etag: Option<&str>, wait: bool) -> Option<Fetched> {
    if wait {
        url.query_pairs_mut().append_pair("wait", &WAIT.to_string());
    }
    let mut request = http.get(url);
    if let Some(tag) = etag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    let mut response = request.send().await.ok()?;
    match response.status() {
        StatusCode::NOT_MODIFIED => return Some(Fetched::Unchanged),
        StatusCode::OK => {}
        _ => return None,
    }
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
    async fn read_feed(&self, body: &str) -> Result<RevocationList, Refused> {
        self.check_signature::<serde::de::IgnoredAny>(body, "revocations+jwt", LARGEST_FEED).await?;
        let payload = crate::payload(body)?;
        let list = RevocationList::read(&payload)?;
        if list.iss == self.issuer { Ok(list) } else { Err(Refused::Issuer) }
    }
}
