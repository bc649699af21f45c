//! Reads profiles again that have changed at Kakao, and renews links before their refresh token dies.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Deps, Error, Refusal, kakao_tokens};
use crate::domain::{KakaoId, UserId};
use crate::kakao::{Fault, Person};
use crate::store::{Db, kakao_links, leases};

/// A profile that could not be read is tried again after this.
const AGAIN: Duration = Duration::from_secs(30);

/// Kakao sends a new refresh token only when the old one has less than a month (30 days).
const RENEW_BEFORE: Duration = Duration::from_hours(28 * 24);

/// A link that could not be renewed is tried again after this.
const RENEW_AGAIN: Duration = Duration::from_hours(24);

/// Reads what is due; how many profiles were written.
pub async fn read_stale_profiles(deps: &Deps, db: &mut Db) -> Result<usize, Error> {
    let now = deps.clock.now();
    let mut written = 0;
    for (user, kakao_id) in kakao_links::take_stale(db, now - AGAIN, now).await? {
        written += usize::from(read(deps, db, user, kakao_id).await?);
    }
    Ok(written)
}

async fn read(deps: &Deps, db: &mut Db, user: UserId, kakao_id: KakaoId) -> Result<bool, Error> {
    let asked_at = deps.clock.now();
    match ask(deps, db, user, kakao_id).await? {
        Some(Ok((Person { id, profile, needs_agreement, .. }, scopes))) if id == kakao_id => {
            let written = kakao_links::write_profile(db, user, &profile, &needs_agreement, asked_at).await?;
            match scopes {
                Ok(scopes) if written => kakao_links::set_scope(db, user, &scopes.join(" ")).await?,
                Ok(_) => {}
                Err(fault) => {
                    debug!(user = %user, cause = fault.cause, "the granted consent items were not read");
                }
            }
            Ok(written)
        }
        Some(Ok(_)) => {
            warn!(user = %user, "Kakao told of somebody else");
            Ok(false)
        }
        Some(Err(fault)) if fault.may_pass() => {
            debug!(user = %user, cause = fault.cause, "the profile is read later");
            Ok(false)
        }
        Some(Err(fault)) => {
            if fault.is_under_age() {
                kakao_links::refused_under_age(db, kakao_id, asked_at).await?;
            }
            let (id, actor) = (fault.id(), fault.actor().name());
            warn!(user = %user, id, actor, cause = fault.cause, "the profile cannot be read; the next login will");
            kakao_links::give_up_stale(db, user, asked_at).await?;
            Ok(false)
        }
        None => {
            kakao_links::give_up_stale(db, user, asked_at).await?;
            Ok(false)
        }
    }
}

/// A person, and the consent items that they have granted.
type Read = (Person, Result<Vec<String>, Fault>);

/// By the admin key if there is one that may, else by the person's own token; `None` if there is neither.
async fn ask(
    deps: &Deps,
    db: &mut Db,
    user: UserId,
    kakao_id: KakaoId,
) -> Result<Option<Result<Read, Fault>>, Error> {
    if deps.kakao.has_admin_key() {
        let read = tokio::join!(deps.kakao.me_by_admin(kakao_id), deps.kakao.scopes_by_admin(kakao_id));
        if !read.0.as_ref().is_err_and(Fault::is_not_allowed) {
            return Ok(Some(read.0.map(|person| (person, read.1))));
        }
    }
    match kakao_tokens::fresh(deps, db, user, Duration::from_secs(30), None).await {
        Ok(held) => {
            let read = tokio::join!(deps.kakao.me(&held.token), deps.kakao.scopes(&held.token));
            Ok(Some(read.0.map(|person| (person, read.1))))
        }
        Err(Error::Refused(Refusal::KakaoBusy { .. } | Refusal::AtKakao(_))) => {
            Ok(Some(Err(Fault::later("the person's token cannot be refreshed now"))))
        }
        Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renews up to `most` links whose refresh token dies within four weeks; how many were tried.
///
/// `stop` is asked before each: what Kakao sends in exchange for a refresh token must not be lost in a shutdown.
pub async fn renew_links(
    deps: &Deps,
    db: &mut Db,
    most: u32,
    stop: impl Fn() -> bool,
) -> Result<usize, Error> {
    let now = deps.clock.now();
    if leases::held_until(db, ["kakao-rest", "kakao-rest:renewal"], now).await?.is_some() {
        return Ok(0);
    }
    let due = kakao_links::take_for_renewal(db, now + RENEW_BEFORE, now - RENEW_AGAIN, now, most).await?;
    for user in due.iter().take_while(|_| !stop()) {
        // Longer than any access token lives: whatever is cached does not do.
        match kakao_tokens::fresh(deps, db, *user, Duration::MAX, None).await {
            Ok(_) => info!(user = %user, "the link to Kakao was renewed"),
            Err(Error::Refused(refusal)) => {
                info!(user = %user, ?refusal, "the link to Kakao was not renewed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(due.len())
}
