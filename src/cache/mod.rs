//! Owns what may be lost: Kakao access tokens (encrypted by the caller) and counters. Stands on `domain`; `redis` is at
//! home here.
//!
//! The database is the truth. Every call ends within [`PER_CALL`], and a cache that does not answer is left alone for a
//! moment, so that a Redis that hangs costs no request more than the first few.

mod answer;
mod memory;
mod remote;

use std::time::Duration;

pub use answer::{Decision, Error, PER_CALL};

use crate::domain::{Clock, Quota};

/// A cache: Redis, or this process's memory.
#[derive(Clone)]
pub enum Cache {
    /// Shared by all replicas.
    Redis(remote::Remote),
    /// For one machine.
    Memory(memory::Memory),
}

impl Cache {
    /// Opens `redis://…`, `rediss://…` or `memory:`. Never waits for the network: a Redis that is down is connected to
    /// when it comes up.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn open(url: &str, clock: Clock) -> Result<Self, Error> {
        let memory = memory::Memory::new(clock);
        match url {
            "memory:" => Ok(Self::Memory(memory)),
            _ => Ok(Self::Redis(remote::Remote::open(url, memory)?)),
        }
    }

    /// Keeps a value for at most `ttl`; a TTL of zero keeps nothing.
    pub async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        match self {
            _ if ttl.is_zero() => self.delete(key).await,
            Self::Redis(redis) => redis.put(key, value, ttl).await,
            Self::Memory(memory) => {
                memory.put(key, value, ttl);
                Ok(())
            }
        }
    }

    /// The value, if it is still there.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Redis(redis) => redis.get(key).await,
            Self::Memory(memory) => Ok(memory.get(key)),
        }
    }

    /// Forgets the value.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.delete(key).await,
            Self::Memory(memory) => {
                memory.delete(key);
                Ok(())
            }
        }
    }

    /// Keeps a value as a field of `key`, for all replicas, for the time after the last was put, and no more fields than the
    /// bound. Whether it is kept: memory of one process is no place for that.
    pub(crate) async fn put_field(
        &self,
        key: &str,
        field: &str,
        value: &[u8],
        bounds: (Duration, u32),
    ) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.put_field(key, field, value, bounds).await,
            Self::Memory(_) => Ok(false),
        }
    }

    /// Some of the fields of `key`.
    pub(crate) async fn some_fields(&self, key: &str, most: u32) -> Result<Vec<(String, Vec<u8>)>, Error> {
        match self {
            Self::Redis(redis) => redis.some_fields(key, most).await,
            Self::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Forgets a field.
    pub(crate) async fn delete_field(&self, key: &str, field: &str) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.delete_field(key, field).await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// Counts one against a quota. Without Redis this process counts for itself.
    pub async fn hit(&self, key: &str, quota: Quota) -> Decision {
        match self {
            Self::Redis(redis) => redis.hit(key, quota).await,
            Self::Memory(memory) => memory.hit(key, quota),
        }
    }

    /// What the server says of itself: `7.2.4`. Memory has no version.
    pub(crate) async fn server_version(&self) -> Result<Option<String>, Error> {
        match self {
            Self::Redis(redis) => redis.server_version().await.map(Some),
            Self::Memory(_) => Ok(None),
        }
    }

    /// Whether the cache answers.
    pub async fn ping(&self) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.ping().await,
            Self::Memory(_) => Ok(()),
        }
    }
}
