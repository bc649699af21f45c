//! The issuer's keys: fetched when needed, kept while the issuer is down, never fetched too often.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::header::CACHE_CONTROL;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::warn;
use url::Url;

use crate::{BuildError, Refused};

/// A JWKS of ours has about one kilobyte.
const LARGEST_JWKS: usize = 1024 * 1024;

/// After a fetch, an unknown key is refused without another one for so long: no flood of made-up keys reaches the issuer.
const COOL_DOWN: i64 = 30;

/// What `max-age` may say, seconds.
const MAX_AGE: std::ops::RangeInclusive<i64> = 60..=86_400;

pub(crate) struct Keys {
    url: Url,
    http: reqwest::Client,
    current: ArcSwap<KeySet>,
    /// One fetch at a time; when the last one was tried.
    fetching: Mutex<Option<i64>>,
}

#[derive(Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    fresh_until: i64,
}

pub(crate) struct Key {
    kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl KeySet {
    pub(crate) fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// Keys that this crate does not know are passed over: an issuer may publish newer kinds.
    fn read(body: &[u8], now: i64, max_age: i64) -> Option<Self> {
        let jwks: Jwks = serde_json::from_slice(body).ok()?;
        let keys: Vec<Key> = jwks.keys.into_iter().filter_map(read_key).collect();
        (!keys.is_empty()).then_some(Self { keys, fresh_until: now.saturating_add(max_age) })
    }
}

fn read_key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let algorithm = match jwk.common.key_algorithm? {
        KeyAlgorithm::ES256 => Algorithm::ES256,
        KeyAlgorithm::RS256 => Algorithm::RS256,
        KeyAlgorithm::EdDSA => Algorithm::EdDSA,
        _ => return None,
    };
    Some(Key { kid: jwk.common.key_id.clone()?, algorithm, decoding: DecodingKey::from_jwk(&jwk).ok()? })
}

impl Keys {
    pub(crate) fn new(url: Url) -> Result<Self, BuildError> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { url, http, current: ArcSwap::default(), fetching: Mutex::new(None) })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn fixed(url: Url, jwks: &[u8]) -> Result<Self, BuildError> {
        let keys = Self::new(url)?;
        keys.current.store(Arc::new(KeySet::read(jwks, 0, i64::MAX).unwrap_or_default()));
        Ok(keys)
    }

    /// The keys, fetched when they are old or lack this one.
    pub(crate) async fn with(&self, kid: &str, now: i64) -> Result<Arc<KeySet>, Refused> {
        let keys = self.current.load_full();
        let known = keys.find(kid).is_some();
        if known && now < keys.fresh_until {
            return Ok(keys);
        }
        let mut last_try = if known {
            // The known key serves; whoever gets here first looks for newer ones.
            let Ok(guard) = self.fetching.try_lock() else { return Ok(keys) };
            guard
        } else {
            self.fetching.lock().await
        };
        let keys = self.current.load_full();
        let cooling = last_try.is_some_and(|tried| now.saturating_sub(tried) < COOL_DOWN);
        if cooling || (keys.find(kid).is_some() && now < keys.fresh_until) {
            return Ok(keys);
        }
        *last_try = Some(now);
        if let Some(fetched) = self.fetch(now).await {
            let fetched = Arc::new(fetched);
            self.current.store(Arc::clone(&fetched));
            return Ok(fetched);
        }
        warn!(url = %self.url, "the issuer's keys could not be fetched");
        if known {
            return Ok(keys);
        }
        // Nothing is known of this key, and that is not the token's fault: the next one may ask at once.
        *last_try = None;
        Err(Refused::Unavailable)
    }

    async fn fetch(&self, now: i64) -> Option<KeySet> {
        let mut response = self.http.get(self.url.clone()).send().await.ok()?.error_for_status().ok()?;
        if response.status() != reqwest::StatusCode::OK {
            return None;
        }
        let max_age =
            response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).and_then(max_age);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > LARGEST_JWKS {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        let max_age = max_age.unwrap_or(*MAX_AGE.start()).clamp(*MAX_AGE.start(), *MAX_AGE.end());
        KeySet::read(&body, now, max_age)
    }
}

fn max_age(header: &str) -> Option<i64> {
    header.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())
}
