//! The revocation feed: which logins and users were ended within the longest life of an access token, signed, so that
//! backend services that verify offline learn of it within seconds (`docs/revocation-feed.md`).
//!
//! Each replica keeps its own copy in memory and reads from the database what is new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::signals::feed::Feed;
use super::{Deps, Error};
use crate::domain::{Fingerprint, GrantId, UserId};
use crate::keys::signer::TokenType;
use crate::store::Db;
use crate::store::revocations;

/// Rows that were committed late, or by a replica whose clock is behind, are read again for so long.
const OVERLAP: Duration = Duration::from_secs(15);

/// An unchanged feed is signed anew after this, so that its `iat` shows that it is fresh.
const SIGNED_ANEW: Duration = Duration::from_secs(30);

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
        || revocations.current().ok_or_else(|| Error::unavailable("the revocation feed was not read yet"));
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
    let mut known = feed.known().await;
    let all = now - feed.window();
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
        window: feed.window().as_secs(),
        sids: known.sids.keys().copied().collect(),
        subs: known.subs.iter().map(|(id, at)| (*id, at.secs())).collect(),
    };
    let ring = deps.keys.ring();
    let alg = deps.keys.policy.algorithms.first().copied().unwrap_or(crate::domain::SigningAlg::Es256);
    let body = ring.sign(alg, TokenType::Revocations, &claims)?;
    let digest = Fingerprint::of(body.as_bytes());
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..12]));
    feed.publish(Feed { body, etag });
    known.signed_at = Some(now);
    Ok(changed)
}
