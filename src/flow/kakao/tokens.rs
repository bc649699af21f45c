//! Kakao's tokens of a person: the access token in the cache, the refresh token in the store, both encrypted; and one call to
//! Kakao when a new access token is needed, however many ask for it, on however many replicas.

use std::time::Duration;

use tracing::{error, info, warn};
use uuid::Uuid;

use crate::domain::{AuditEvent, KakaoAccessToken, KakaoId, KakaoRefreshToken, Timestamp, UserId};
use crate::flow::error::chain;
use crate::flow::refusal::fault;
use crate::flow::refusal::{AccountRefusal, KakaoTokenRefusal};
use crate::flow::{Deps, Error};
use crate::kakao::Fault;
use crate::keys::{self, Purpose};
use crate::store::kakao_links::{self, Link, NewToken};
use crate::store::leases::{self, Lease, Pause};
use crate::store::{self, Db, Tx, audit};

/// How long one replica may take to ask Kakao: longer than `kakao.timeout` can be.
const LEASE: Duration = Duration::from_secs(40);

/// How long the others wait for it.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// How often they look.
const POLL_INTERVAL: Duration = Duration::from_millis(40);

/// After KOE237 (20 access tokens in ten minutes), and after −10, when Kakao does not say how long.
const USER_BACKOFF: Duration = Duration::from_mins(1);
const API_BACKOFF: Duration = Duration::from_secs(5);

/// An access token of Kakao's and its end.
#[derive(Clone, Debug)]
pub struct CachedToken {
    /// The token.
    pub(crate) token: KakaoAccessToken,
    /// When it dies.
    pub(crate) expires_at: Timestamp,
    /// When it came here.
    came_at: Timestamp,
}

fn key_of(user: UserId) -> String {
    format!("kakao-auth:kakao-access-token:{user}")
}

/// The access token goes into the cache for as long as Kakao says it lives; losing it loses nothing that a refresh at Kakao
/// does not bring back, so a failure is logged and whoever asked goes on.
pub(crate) async fn cache(
    deps: &Deps,
    user: UserId,
    token: &KakaoAccessToken,
    expires_in: Duration,
) -> CachedToken {
    let key = key_of(user);
    let came_at = deps.clock.now();
    let expires_at = came_at + expires_in;
    let value = format!("{}:{}:{}", expires_at.micros(), came_at.micros(), token.reveal());
    match deps.keys.master.encrypt(Purpose::KakaoAccessToken, key.as_bytes(), value.as_bytes()) {
        Ok(encrypted) => {
            if let Err(error) = deps.cache.put(&key, &encrypted, expires_in).await {
                warn!(cause = chain(&error), "the Kakao access token was not cached");
            }
        }
        Err(error) => error!(cause = chain(&error), "the Kakao access token was not cached"),
    }
    CachedToken { token: token.clone(), expires_at, came_at }
}

/// The access token in the cache, if it is there and lives.
pub async fn cached(deps: &Deps, user: UserId) -> Option<CachedToken> {
    let key = key_of(user);
    let encrypted = deps.cache.get(&key).await.ok()??;
    let value = deps.keys.master.decrypt(Purpose::KakaoAccessToken, key.as_bytes(), &encrypted)?;
    let value = String::from_utf8(value).ok()?;
    let mut parts = value.splitn(3, ':');
    let mut time = || Some(Timestamp::from_micros(parts.next()?.parse().ok()?));
    let (expires_at, came_at) = (time()?, time()?);
    let found = CachedToken { token: KakaoAccessToken::new(parts.next()?), expires_at, came_at };
    (found.expires_at > deps.clock.now()).then_some(found)
}

/// The access token is dead, or its person is gone.
pub async fn evict(deps: &Deps, user: UserId) {
    if let Err(error) = deps.cache.delete(&key_of(user)).await {
        // The store says that there is no link, so nobody is given it; it dies by itself.
        warn!(cause = chain(&error), "a Kakao access token could not be removed from the cache");
    }
}

/// The same for a token that came before `at`: one that came after is not meant.
pub(crate) async fn evict_older(deps: &Deps, user: UserId, at: Timestamp) {
    if cached(deps, user).await.is_none_or(|found| found.came_at < at) {
        evict(deps, user).await;
    }
}

/// Encrypts a refresh token for the store.
pub(crate) fn encrypt_refresh_token(
    deps: &Deps,
    kakao_id: KakaoId,
    token: &KakaoRefreshToken,
) -> Result<Vec<u8>, keys::Error> {
    deps.keys.master.encrypt(Purpose::KakaoRefreshToken, &kakao_id.0.to_be_bytes(), token.reveal().as_bytes())
}

/// Opens a refresh token of the store.
pub(crate) fn decrypt_refresh_token(
    deps: &Deps,
    kakao_id: KakaoId,
    encrypted: &[u8],
) -> Result<KakaoRefreshToken, keys::Error> {
    let clear = deps.keys.master.decrypt(Purpose::KakaoRefreshToken, &kakao_id.0.to_be_bytes(), encrypted);
    clear
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(KakaoRefreshToken::new)
        .ok_or(keys::Error::NotDecryptable("a Kakao refresh token"))
}

/// An access token that lives for at least `min_ttl` and is not `refused`: from the cache, else refreshed at Kakao once.
pub(crate) async fn fresh(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    min_ttl: Duration,
    refused: Option<&KakaoAccessToken>,
) -> Result<CachedToken, Error<KakaoTokenRefusal>> {
    let look = async || {
        let found = cached(deps, user).await?;
        let lives = found.expires_at.since(deps.clock.now()) >= min_ttl;
        let dead = refused.is_some_and(|refused| refused.matches(found.token.reveal()));
        (lives && !dead).then_some(found)
    };
    if let Some(found) = look().await {
        return Ok(found);
    }
    let (lease, holder) = (Lease::KakaoToken(user), Uuid::now_v7());
    let wait = async {
        let turn = deps.signals.token_locks.of(user).lock().await;
        loop {
            if let Some(found) = look().await {
                return Ok::<_, Error<KakaoTokenRefusal>>((turn, Some(found)));
            }
            check_backoff(deps, db, Pause::Tokens(user)).await?;
            let now = deps.clock.now();
            if leases::acquire(db, lease, holder, now, now + LEASE).await? {
                return Ok((turn, None));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let waited = tokio::time::timeout(MAX_WAIT + deps.kakao.timeout(), wait).await;
    let Ok(waited) = waited else {
        // It may just have been given.
        leases::release(db, lease, holder).await?;
        return Err(KakaoTokenRefusal::Busy { retry_after: Duration::from_secs(2) }.into());
    };
    let (_turn, found) = waited?;
    if let Some(found) = found {
        return Ok(found);
    }
    // From here on nothing is cut off: what Kakao sends in exchange for a refresh token must be kept. Whoever had the lease
    // before may have finished between the look and the lease.
    let outcome = match look().await {
        Some(found) => Ok(found),
        None => refresh(deps, db, user).await,
    };
    leases::release(db, lease, holder).await?;
    outcome
}

/// Asks Kakao. Whoever calls this has the lease.
async fn refresh(deps: &Deps, db: &mut Db, user: UserId) -> Result<CachedToken, Error<KakaoTokenRefusal>> {
    let link = kakao_links::find(db, user).await?.ok_or(AccountRefusal::NotFound)?;
    let (Some(kakao_id), Some(encrypted), false) = (link.kakao_id, &link.refresh_token, link.unlinked) else {
        return Err(KakaoTokenRefusal::ReauthenticationRequired.into());
    };
    let old = decrypt_refresh_token(deps, kakao_id, encrypted)?;
    let tokens = match deps.kakao.refresh(&old).await {
        Ok(tokens) => tokens,
        Err(fault) => return Err(after_fault(deps, db, user, &link, &fault).await?.into()),
    };
    let now = deps.clock.now();
    // Kakao sends a new one only when the old one has less than a month; the old one is dead then.
    if let Some(new) = &tokens.refresh_token {
        let new = NewToken {
            encrypted: &encrypt_refresh_token(deps, kakao_id, new)?,
            expires_at: tokens.refresh_token_expires_in.map(|length| now + length),
            came_at: now,
        };
        let spent = Spent { user, kakao_id, encrypted, clear: &old };
        if !replace(deps, db, &spent, &new).await? {
            info!(user = %user, "a newer Kakao refresh token from a login was kept");
        }
    }
    if let Some(scope) = &tokens.scope {
        kakao_links::set_scope(db, user, scope).await?;
    }
    Ok(cache(deps, user, &tokens.access_token, tokens.expires_in).await)
}

/// A person's refresh token that Kakao has answered with a new one.
struct Spent<'a> {
    user: UserId,
    kakao_id: KakaoId,
    /// As it was read from the store.
    encrypted: &'a [u8],
    clear: &'a KakaoRefreshToken,
}

/// Puts the new refresh token in the place of the one it was sent for, also if that was encrypted anew meanwhile.
async fn replace(
    deps: &Deps,
    db: &mut Db,
    spent: &Spent<'_>,
    new: &NewToken<'_>,
) -> Result<bool, keys::Error> {
    if kakao_links::replace_token(db, spent.user, spent.encrypted, new).await? {
        return Ok(true);
    }
    let there = kakao_links::find(db, spent.user).await?.and_then(|link| link.refresh_token);
    let Some(there) = there.filter(|there| there != spent.encrypted) else { return Ok(false) };
    if !decrypt_refresh_token(deps, spent.kakao_id, &there)?.matches(spent.clear.reveal()) {
        return Ok(false);
    }
    Ok(kakao_links::replace_token(db, spent.user, &there, new).await?)
}

/// Refuses while Kakao wants to be left alone about this.
pub(crate) async fn check_backoff(
    deps: &Deps,
    db: &mut Db,
    pause: Pause,
) -> Result<(), Error<KakaoTokenRefusal>> {
    let now = deps.clock.now();
    match leases::backoff_until(db, pause, now).await? {
        Some(until) => Err(KakaoTokenRefusal::Busy { retry_after: until.since(now) }.into()),
        None => Ok(()),
    }
}

/// What a fault means for whoever asked for a token of the user, and for everybody who would ask next: a limit of Kakao's is
/// waited out by all replicas, dead tokens are forgotten.
pub(super) async fn after_fault(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    link: &Link,
    fault: &Fault,
) -> Result<KakaoTokenRefusal, store::Error> {
    if let Some(busy) = back_off(deps, db, user, fault).await? {
        return Ok(busy);
    }
    let refusal = fault::of_kakao_link(fault);
    info!(user = %user, fault = fault.id(), ?refusal, "the user's Kakao tokens cannot be used");
    if refusal == KakaoTokenRefusal::ReauthenticationRequired {
        end_link(deps, db, user, link, fault).await?;
    }
    Ok(refusal)
}

/// Has all replicas rest after a fault that says so: KOE237 is the limit of this user's tokens, −10 that of one API, and nothing
/// of kauth answers it.
async fn back_off(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    fault: &Fault,
) -> Result<Option<KakaoTokenRefusal>, store::Error> {
    let (pause, length) = if fault.is_token_limit() {
        (Pause::Tokens(user), USER_BACKOFF)
    } else if fault.is_quota() {
        (Pause::Scopes, API_BACKOFF)
    } else {
        return Ok(None);
    };
    let retry_after = fault.retry_after.unwrap_or(length);
    leases::back_off(db, pause, deps.clock.now() + retry_after).await?;
    Ok(Some(KakaoTokenRefusal::Busy { retry_after }))
}

/// Kakao no longer takes what we hold: it is forgotten, once, and the person must log in again before a token is needed.
async fn end_link(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    link: &Link,
    fault: &Fault,
) -> Result<(), store::Error> {
    evict(deps, user).await;
    let Some(encrypted) = &link.refresh_token else { return Ok(()) };
    let mut tx = Tx::begin(db).await?;
    if kakao_links::forget_token(&mut tx, user, encrypted).await? {
        let fault = fault.id();
        audit::record(&mut tx, deps.clock.now(), &AuditEvent::KakaoLinkEnded { user, fault }).await?;
        tx.commit().await?;
        info!(user = %user, fault, "Kakao no longer accepts the user's tokens");
    }
    Ok(())
}
