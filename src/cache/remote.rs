//! The cache in Redis: one multiplexed connection that heals itself, and a rest after a failure.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisError, Script};
use std::sync::{Mutex, PoisonError};
use tracing::{debug, warn};

use super::memory::Memory;
use super::{Decision, Error, PER_CALL};
use crate::domain::Quota;

/// How long Redis is left alone after it did not answer.
const REST: Duration = Duration::from_secs(1);

/// The decision of `domain::limit::judge` in one round trip, by the server's clock, so that replicas agree. Returns 0, or the
/// microseconds to wait.
const GCRA: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local step, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + step
local excess = whole - (now + period)
if excess > 0 then return excess end
redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
return 0";

/// Puts a field into a hash that has room for it.
const PUT_FIELD: &str = r"
local there = redis.call('HEXISTS', KEYS[1], ARGV[1])
if there == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1";

/// A Redis server, and the counters to fall back to.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    gcra: Script,
    put_field: Script,
    fallback: Memory,
    /// Until when Redis is left alone. Monotonic: a clock that is set must not prolong it.
    rests_until: Mutex<Option<Instant>>,
}

impl Remote {
    pub(super) fn open(url: &str, fallback: Memory) -> Result<Self, Error> {
        if !(url.starts_with("redis://") || url.starts_with("rediss://")) {
            return Err(Error::Url("it must begin with redis://, rediss:// or memory:".into()));
        }
        // The message of the parser may hold the URL, and with it the password.
        let unreadable = |_: RedisError| Error::Url("it is not a Redis URL".into());
        let client = Client::open(url).map_err(unreadable)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PER_CALL))
            .set_response_timeout(Some(PER_CALL))
            .set_number_of_retries(1)
            .set_max_delay(PER_CALL);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(unreadable)?;
        Ok(Self(Arc::new(Inner {
            connection,
            gcra: Script::new(GCRA),
            put_field: Script::new(PUT_FIELD),
            fallback,
            rests_until: Mutex::new(None),
        })))
    }

    /// Without Redis this process remembers for itself, so that what one call brought is there for the next.
    pub(super) async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        let mut connection = self.0.connection.clone();
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let put = self.within(async move { connection.pset_ex(key, value, milliseconds).await }).await;
        if put.is_err() {
            self.0.fallback.put(key, value, ttl);
        }
        put
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut connection = self.0.connection.clone();
        let got = self.within(async move { connection.get(key).await }).await;
        got.or_else(|error| self.0.fallback.get(key).map(Some).ok_or(error))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        let mut connection = self.0.connection.clone();
        self.0.fallback.delete(key);
        self.within(async move { connection.del(key).await }).await
    }

    pub(super) async fn put_field(
        &self,
        key: &str,
        field: &str,
        value: &[u8],
        (ttl, most): (Duration, u32),
    ) -> Result<bool, Error> {
        let mut connection = self.0.connection.clone();
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.0.put_field.key(key);
        call.arg(field).arg(value).arg(milliseconds).arg(most);
        self.within(async move { call.invoke_async(&mut connection).await }).await
    }

    pub(super) async fn some_fields(&self, key: &str, most: u32) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut connection = self.0.connection.clone();
        let mut call = redis::cmd("HSCAN");
        call.arg(key).arg(0).arg("COUNT").arg(most);
        let scanned = self.within(async move { call.query_async(&mut connection).await }).await;
        scanned.map(|(_, fields): (u64, Vec<(String, Vec<u8>)>)| fields)
    }

    pub(super) async fn delete_field(&self, key: &str, field: &str) -> Result<(), Error> {
        let mut connection = self.0.connection.clone();
        self.within(async move { connection.hdel(key, field).await }).await
    }

    pub(super) async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.0.connection.clone();
        self.within(async move { connection.ping::<()>().await }).await
    }

    pub(super) async fn server_version(&self) -> Result<String, Error> {
        let mut connection = self.0.connection.clone();
        let call =
            async move { redis::cmd("INFO").arg("server").query_async::<String>(&mut connection).await };
        let info = self.within(call).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or_default().trim().to_owned())
    }

    pub(super) async fn hit(&self, key: &str, quota: Quota) -> Decision {
        let mut connection = self.0.connection.clone();
        let step = micros(quota.step());
        let mut call = self.0.gcra.key(key);
        call.arg(step).arg(micros(quota.per));
        match self.within(async move { call.invoke_async::<u64>(&mut connection).await }).await {
            Ok(0) => Decision::Allowed,
            Ok(wait) => Decision::Limited { retry_after: Duration::from_micros(wait) },
            Err(error) => {
                debug!(%error, "Redis is unavailable; limits are counted in this process alone");
                self.0.fallback.hit(key, quota)
            }
        }
    }

    /// Runs a call within its time, unless Redis rests.
    async fn within<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, Error> {
        if self.rests() {
            return Err(Error::Resting);
        }
        let cause: Box<dyn std::error::Error + Send + Sync> = match tokio::time::timeout(PER_CALL, call).await
        {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Box::new(error),
            Err(elapsed) => Box::new(elapsed),
        };
        self.let_rest();
        warn!(%cause, "Redis did not answer; it is not asked for a second");
        Err(Error::Unavailable(cause))
    }

    fn rests(&self) -> bool {
        let until = self.0.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn let_rest(&self) {
        *self.0.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
