//! Reads profiles again that have changed at Kakao.

use std::time::Duration;

use tracing::{info, warn};

use super::tokens;
use crate::domain::{KakaoId, UserId};
use crate::flow::refusal::KakaoTokenRefusal;
use crate::flow::{Deps, Error};
use crate::kakao::{Fault, Person};
use crate::store::{Db, kakao_links};

/// A profile that could not be read is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Reads what is due; how many profiles were written.
pub async fn read_stale_profiles(deps: &Deps, db: &mut Db) -> Result<usize, Error> {
    let now = deps.clock.now();
    let mut written = 0;
    for (user, kakao_id) in kakao_links::claim_stale(db, now - RETRY_AFTER, now).await? {
        written += usize::from(read(deps, db, user, kakao_id).await?);
    }
    Ok(written)
}

async fn read(deps: &Deps, db: &mut Db, user: UserId, kakao_id: KakaoId) -> Result<bool, Error> {
    let asked_at = deps.clock.now();
    match fetch(deps, db, user, kakao_id).await? {
        ProfileRead::Person(person, scopes) if person.id == kakao_id => {
            let Person { profile, needs_agreement, .. } = *person;
            let written = kakao_links::write_profile(db, user, &profile, &needs_agreement, asked_at).await?;
            if let Some(scopes) = scopes.filter(|_| written) {
                kakao_links::set_scope(db, user, &scopes.join(" ")).await?;
            }
            Ok(written)
        }
        ProfileRead::Person(..) => {
            warn!(user = %user, "Kakao returned another user");
            Ok(false)
        }
        ProfileRead::Unavailable => Ok(false),
        ProfileRead::Fault(fault) if fault.may_pass() => Ok(false),
        ProfileRead::Fault(fault) => {
            if fault.is_under_age() {
                kakao_links::refused_under_age(db, kakao_id, asked_at).await?;
            }
            info!(user = %user, fault = fault.id(), "the profile could not be read; the next login updates it");
            kakao_links::give_up_stale(db, user, asked_at).await?;
            Ok(false)
        }
        ProfileRead::NoToken => {
            kakao_links::give_up_stale(db, user, asked_at).await?;
            Ok(false)
        }
    }
}

/// What Kakao says of a person who was not there to be asked.
enum ProfileRead {
    /// The person, and the consent items that they have granted, if those could be read too.
    Person(Box<Person>, Option<Vec<String>>),
    /// Kakao does not say it.
    Fault(Fault),
    /// The person's token cannot be refreshed now.
    Unavailable,
    /// There is neither an admin key that may ask, nor a token of the person.
    NoToken,
}

impl ProfileRead {
    fn of((person, scopes): (Result<Person, Fault>, Result<Vec<String>, Fault>)) -> Self {
        match person {
            Ok(person) => Self::Person(Box::new(person), scopes.ok()),
            Err(fault) => Self::Fault(fault),
        }
    }
}

/// By the admin key if there is one that may, else by the person's own token.
async fn fetch(deps: &Deps, db: &mut Db, user: UserId, kakao_id: KakaoId) -> Result<ProfileRead, Error> {
    if deps.kakao.has_admin_key() {
        let read = tokio::join!(deps.kakao.me_by_admin(kakao_id), deps.kakao.scopes_by_admin(kakao_id));
        if !read.0.as_ref().is_err_and(Fault::is_not_allowed) {
            return Ok(ProfileRead::of(read));
        }
    }
    match tokens::fresh(deps, db, user, Duration::from_secs(30), None).await {
        Ok(cached) => {
            let read = tokio::join!(deps.kakao.me(&cached.token), deps.kakao.scopes(&cached.token));
            Ok(ProfileRead::of(read))
        }
        Err(Error::Refused(KakaoTokenRefusal::Busy { .. } | KakaoTokenRefusal::Kakao(_))) => {
            Ok(ProfileRead::Unavailable)
        }
        Err(Error::Refused(_)) => Ok(ProfileRead::NoToken),
        Err(error) => Err(error.into()),
    }
}
