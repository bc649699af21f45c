//! Limits what strangers can set off: `domain::limit` has the table. Counted in the cache, so for all replicas, and in each process
//! while Redis is away. Whoever waits is refused from this process's memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::counter;
use tracing::warn;

use super::Deps;
use super::error::chain;
use super::gauges::{LIMITED, UNLISTED_PROXY};
use super::refusal::LimitRefusal;
use crate::cache::Decision;
use crate::domain::{AddressPrefix, Client, Fingerprint, Limit};
use crate::store::Pool;
use crate::store::leases;

/// How long `doctor` reports a proxy that is not listed.
const NOTED_FOR: Duration = Duration::from_hours(24);

/// Whom a request is counted against.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    address: AddressPrefix,
    /// As the request names it, unproven.
    client: Option<String>,
    /// A client that has shown its secret is counted by itself: all its users come from its own address.
    proven: bool,
}

impl Caller {
    pub(crate) fn new(address: IpAddr, client: Option<&str>) -> Self {
        Self { address: AddressPrefix::of(address), client: client.map(str::to_owned), proven: false }
    }

    /// Once the client is authenticated. A public one has proven nothing.
    pub(crate) fn authenticated(self, client: &Client) -> Self {
        Self { client: Some(client.id.as_str().to_owned()), proven: !client.is_public(), ..self }
    }

    fn key(&self, limit: Limit, name: &str) -> String {
        let (address, client) = (self.address, self.client.as_deref().unwrap_or_default());
        let whom = match limit {
            // A number of buckets, so that a guesser of client ids does not choose how much is kept, and does not see by the
            // limit which ids exist. Sharing one harms no client: its secret passes.
            Limit::ClientAuthentication => {
                format!("{address}:{}", Fingerprint::of(client.as_bytes()).as_bytes()[0] % 64)
            }
            Limit::KakaoAccessToken if self.proven => format!("client:{client}"),
            _ => address.to_string(),
        };
        format!("kakao-auth:limit:{name}:{whom}")
    }
}

/// Counts one request that failed or proves nothing: one round trip, none for a caller that waits.
///
/// # Errors
/// When there were too many.
pub(crate) async fn count(deps: &Deps, limit: Limit, caller: &Caller) -> Result<(), LimitRefusal> {
    let (name, quota) = limit.row(&deps.policy.limits);
    let key = caller.key(limit, name);
    let retry_after = match deps.signals.limiter.remaining(&key) {
        Some(left) => left,
        None => match deps.cache.hit(&key, quota).await {
            Decision::Allowed => return Ok(()),
            Decision::Limited { retry_after } => {
                if deps.signals.limiter.wait(&key, retry_after) {
                    log(limit, name, caller);
                }
                retry_after
            }
        },
    };
    Err(refuse(deps, LimitRefusal { limit, name, quota, retry_after }, caller))
}

/// Runs a flow that asks Kakao for a caller who has proven nothing yet, and counts it if it failed. No more are under way or
/// failed together than the limit allows, so strangers' requests never become calls to Kakao one to one.
///
/// # Errors
/// When too many failed: the flow is not run.
pub(crate) async fn guard<T>(
    deps: &Deps,
    limit: Limit,
    caller: &Caller,
    flow: impl Future<Output = T>,
    failed: impl FnOnce(&T) -> bool,
) -> Result<T, LimitRefusal> {
    let (name, quota) = limit.row(&deps.policy.limits);
    let key = caller.key(limit, name);
    let refuse = |retry_after| refuse(deps, LimitRefusal { limit, name, quota, retry_after }, caller);
    if let Some(left) = deps.signals.limiter.remaining(&key) {
        return Err(refuse(left));
    }
    let turn = deps.signals.limiter.turn(key, quota).await.map_err(refuse)?;
    let outcome = flow.await;
    if failed(&outcome) {
        turn.failed();
        // This one is answered as it is; the next one waits.
        let _ = count(deps, limit, caller).await;
    }
    Ok(outcome)
}

fn refuse(deps: &Deps, refusal: LimitRefusal, caller: &Caller) -> LimitRefusal {
    // Only ids of the settings: a stranger must not choose how many series there are.
    let known = caller.client.as_deref().and_then(|id| deps.clients.find(id));
    let client = known.map_or_else(|| "unknown".to_owned(), |client| client.id.as_str().to_owned());
    counter!(LIMITED, "limit" => refusal.name, "client" => client).increment(1);
    refusal
}

/// A peer forwards for others and is not in `server.trusted_proxies`, so that everybody behind it is one caller to every limit:
/// the operator is told, once by the log, for a day by `doctor`, and by a counter.
pub(crate) fn note_unlisted_proxy(deps: &Arc<Deps>, pool: &Pool, peer: IpAddr) {
    counter!(UNLISTED_PROXY).increment(1);
    if deps.signals.unlisted_proxy.swap(true, Ordering::Relaxed) {
        return;
    }
    warn!(
        %peer,
        "a proxy that server.trusted_proxies does not list forwards requests: the addresses that it names are not believed, and \
         limits count everybody behind it as one. List its network, unless callers send X-Forwarded-For by themselves"
    );
    let (deps, pool) = (Arc::clone(deps), pool.clone());
    tokio::spawn(async move {
        let until = deps.clock.now() + NOTED_FOR;
        if let Err(error) = leases::note_unlisted_proxy(&mut pool.handle(), peer, until).await {
            warn!(cause = chain(&error), "doctor will not know of the unlisted proxy");
        }
    });
}

fn log(limit: Limit, name: &str, caller: &Caller) {
    let client: String = caller.client.iter().flat_map(|id| id.chars()).take(128).collect();
    let address = caller.address;
    let what = match limit {
        Limit::ClientAuthentication => "too many wrong secrets for this client from this address",
        _ => "too many requests from this address that failed or prove nothing",
    };
    warn!(target: "kakao_auth::sampled", limit = name, client, %address, "{what}: further ones are answered 429");
}
