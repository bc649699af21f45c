//! Kakao's tokens of a person: the access token in the cache, the refresh token in the store, both sealed; and one call to
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
use crate::store::leases::{self, Lease};
use crate::store::{self, Db, Tx, audit};

/// How long one replica may take to ask Kakao: longer than `kakao.timeout` can be.
const LEASE: Duration = Duration::from_secs(40);

/// How long the others wait for it.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often they look.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// After KOE237 (20 access tokens in ten minutes), and after −10, when Kakao does not say how long.
const PERSON_RESTS: Duration = Duration::from_mins(1);
const APP_RESTS: Duration = Duration::from_secs(10);

/// An access token of Kakao's and its end.
#[derive(Clone, Debug)]
pub struct Held {
    /// The token.
    pub token: KakaoAccessToken,
    /// When it dies.
    pub expires_at: Timestamp,
    /// When it came here.
    came_at: Timestamp,
}

fn key_of(user: UserId) -> String {
    format!("kakao-auth:kakao-access-token:{user}")
}

/// The access token goes into the cache for as long as Kakao says it lives; losing it loses nothing that a refresh at Kakao
/// does not bring back, so a failure is logged and whoever asked goes on.
pub async fn keep(deps: &Deps, user: UserId, token: &KakaoAccessToken, expires_in: Duration) -> Held {
    let key = key_of(user);
    let came_at = deps.clock.now();
    let expires_at = came_at + expires_in;
    let value = format!("{}:{}:{}", expires_at.micros(), came_at.micros(), token.reveal());
    match deps.keys.master.seal(Purpose::KakaoAccessToken, key.as_bytes(), value.as_bytes()) {
        Ok(sealed) => {
            if let Err(error) = deps.cache.put(&key, &sealed, expires_in).await {
                warn!(cause = chain(&error), "the Kakao access token was not cached");
            }
        }
        Err(error) => error!(cause = chain(&error), "the Kakao access token was not cached"),
    }
    Held { token: token.clone(), expires_at, came_at }
}

/// The access token in the cache, if it is there and lives.
pub async fn cached(deps: &Deps, user: UserId) -> Option<Held> {
    let key = key_of(user);
    let sealed = deps.cache.get(&key).await.ok()??;
    let value = deps.keys.master.open(Purpose::KakaoAccessToken, key.as_bytes(), &sealed)?;
    let value = String::from_utf8(value).ok()?;
    let mut parts = value.splitn(3, ':');
    let mut time = || Some(Timestamp::from_micros(parts.next()?.parse().ok()?));
    let (expires_at, came_at) = (time()?, time()?);
    let held = Held { token: KakaoAccessToken::new(parts.next()?), expires_at, came_at };
    (held.expires_at > deps.clock.now()).then_some(held)
}

/// The access token is dead, or its person is gone.
pub async fn forget(deps: &Deps, user: UserId) {
    if let Err(error) = deps.cache.delete(&key_of(user)).await {
        // The store says that there is no link, so nobody is given it; it dies by itself.
        warn!(cause = chain(&error), "a Kakao access token stays in the cache");
    }
}

/// The same for a token that came before `at`: one that came after is not meant.
pub async fn forget_older(deps: &Deps, user: UserId, at: Timestamp) {
    if cached(deps, user).await.is_none_or(|held| held.came_at < at) {
        forget(deps, user).await;
    }
}

/// Seals a refresh token for the store.
pub fn seal_refresh(
    deps: &Deps,
    kakao_id: KakaoId,
    token: &KakaoRefreshToken,
) -> Result<Vec<u8>, keys::Error> {
    deps.keys.master.seal(Purpose::KakaoRefreshToken, &kakao_id.0.to_be_bytes(), token.reveal().as_bytes())
}

/// Opens a refresh token of the store.
pub fn open_refresh(deps: &Deps, kakao_id: KakaoId, sealed: &[u8]) -> Result<KakaoRefreshToken, keys::Error> {
    let clear = deps.keys.master.open(Purpose::KakaoRefreshToken, &kakao_id.0.to_be_bytes(), sealed);
    clear
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(KakaoRefreshToken::new)
        .ok_or(keys::Error::Sealed("a Kakao refresh token"))
}

/// An access token that lives for at least `min_ttl` and is not `refused`: from the cache, else refreshed at Kakao once.
pub async fn fresh(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    min_ttl: Duration,
    refused: Option<&KakaoAccessToken>,
) -> Result<Held, Error<KakaoTokenRefusal>> {
    let look = async || {
        let held = cached(deps, user).await?;
        let lives = held.expires_at.since(deps.clock.now()) >= min_ttl;
        let dead = refused.is_some_and(|refused| refused.matches(held.token.reveal()));
        (lives && !dead).then_some(held)
    };
    if let Some(held) = look().await {
        return Ok(held);
    }
    let (lease, holder) = (Lease::KakaoToken(user), Uuid::now_v7());
    let wait = async {
        let turn = deps.signals.token_locks.of(user).lock().await;
        loop {
            if let Some(held) = look().await {
                return Ok::<_, Error<KakaoTokenRefusal>>((turn, Some(held)));
            }
            refuse_while_resting(deps, db, user).await?;
            let now = deps.clock.now();
            if leases::acquire(db, lease, holder, now, now + LEASE).await? {
                return Ok((turn, None));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE + deps.kakao.timeout(), wait).await;
    let Ok(waited) = waited else {
        // It may just have been given.
        leases::release(db, lease, holder).await?;
        return Err(KakaoTokenRefusal::Busy { retry_after: Duration::from_secs(2) }.into());
    };
    let (_turn, held) = waited?;
    if let Some(held) = held {
        return Ok(held);
    }
    // From here on nothing is cut off: what Kakao sends in exchange for a refresh token must be kept. Whoever had the lease
    // before may have finished between the look and the lease.
    let outcome = match look().await {
        Some(held) => Ok(held),
        None => refresh(deps, db, user).await,
    };
    leases::release(db, lease, holder).await?;
    outcome
}

/// Asks Kakao. Whoever calls this has the lease.
async fn refresh(deps: &Deps, db: &mut Db, user: UserId) -> Result<Held, Error<KakaoTokenRefusal>> {
    let link = kakao_links::find(db, user).await?.ok_or(AccountRefusal::NotFound)?;
    let (Some(kakao_id), Some(sealed), false) = (link.kakao_id, &link.refresh_token, link.unlinked) else {
        return Err(KakaoTokenRefusal::ReauthenticationRequired.into());
    };
    let old = open_refresh(deps, kakao_id, sealed)?;
    let tokens = match deps.kakao.refresh(&old).await {
        Ok(tokens) => tokens,
        Err(fault) => return Err(after_fault(deps, db, user, &link, &fault).await?.into()),
    };
    let now = deps.clock.now();
    // Kakao sends a new one only when the old one has less than a month; the old one is dead then.
    if let Some(new) = &tokens.refresh_token {
        let new = NewToken {
            sealed: &seal_refresh(deps, kakao_id, new)?,
            expires_at: tokens.refresh_token_expires_in.map(|length| now + length),
            came_at: now,
        };
        let spent = Spent { user, kakao_id, sealed, clear: &old };
        if !replace(deps, db, &spent, &new).await? {
            info!(user = %user, "a login brought a Kakao refresh token meanwhile; it stays");
        }
    }
    if let Some(scope) = &tokens.scope {
        kakao_links::set_scope(db, user, scope).await?;
    }
    Ok(keep(deps, user, &tokens.access_token, tokens.expires_in).await)
}

/// A person's refresh token that Kakao has answered with a new one.
struct Spent<'a> {
    user: UserId,
    kakao_id: KakaoId,
    /// As it was read from the store.
    sealed: &'a [u8],
    clear: &'a KakaoRefreshToken,
}

/// Puts the new refresh token in the place of the one it was sent for, also if that was sealed anew meanwhile.
async fn replace(
    deps: &Deps,
    db: &mut Db,
    spent: &Spent<'_>,
    new: &NewToken<'_>,
) -> Result<bool, keys::Error> {
    if kakao_links::replace_token(db, spent.user, spent.sealed, new).await? {
        return Ok(true);
    }
    let there = kakao_links::find(db, spent.user).await?.and_then(|link| link.refresh_token);
    let Some(there) = there.filter(|there| there != spent.sealed) else { return Ok(false) };
    if !open_refresh(deps, spent.kakao_id, &there)?.matches(spent.clear.reveal()) {
        return Ok(false);
    }
    Ok(kakao_links::replace_token(db, spent.user, &there, new).await?)
}

/// Whether Kakao wants to be left alone by all of this app.
pub(super) async fn is_app_resting(deps: &Deps, db: &mut Db) -> Result<bool, store::Error> {
    Ok(leases::paused_until(db, None, deps.clock.now()).await?.is_some())
}

/// Refuses while Kakao wants to be left alone: by everybody, or for this person.
pub async fn refuse_while_resting(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
) -> Result<(), Error<KakaoTokenRefusal>> {
    let now = deps.clock.now();
    match leases::paused_until(db, Some(user), now).await? {
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
    if let Some(busy) = rested(deps, db, user, fault).await? {
        return Ok(busy);
    }
    let refusal = fault::of_held_tokens(fault);
    info!(user = %user, fault = fault.id(), ?refusal, "Kakao's tokens of a user are of no use now");
    if refusal == KakaoTokenRefusal::ReauthenticationRequired {
        end_link(deps, db, user, link, fault).await?;
    }
    Ok(refusal)
}

/// Has all replicas rest after a fault that says so: KOE237 for this person, −10 for everybody.
async fn rested(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    fault: &Fault,
) -> Result<Option<KakaoTokenRefusal>, store::Error> {
    let (whom, length) = if fault.is_token_limit() {
        (Some(user), PERSON_RESTS)
    } else if fault.is_quota() {
        (None, APP_RESTS)
    } else {
        return Ok(None);
    };
    let retry_after = fault.retry_after.unwrap_or(length);
    leases::pause(db, whom, deps.clock.now() + retry_after).await?;
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
    forget(deps, user).await;
    let Some(sealed) = &link.refresh_token else { return Ok(()) };
    let mut tx = Tx::begin(db).await?;
    if kakao_links::forget_token(&mut tx, user, sealed).await? {
        let fault = fault.id();
        audit::record(&mut tx, deps.clock.now(), &AuditEvent::KakaoLinkEnded { user, fault }).await?;
        tx.commit().await?;
        info!(user = %user, fault, "Kakao no longer takes the tokens of a user");
    }
    Ok(())
}
