//! Renews Kakao links before their refresh token expires, so that whoever comes back after months is still linked.

use std::time::Duration;

use tracing::info;

use super::tokens;
use crate::flow::{Deps, Error};
use crate::store::{Db, kakao_links};

/// Kakao sends a new refresh token only when the old one has less than a month (30 days).
const RENEW_BEFORE: Duration = Duration::from_hours(28 * 24);

/// A link that could not be renewed is tried again after this.
const RETRY_AFTER: Duration = Duration::from_hours(24);

/// Renews up to `most` links whose refresh token expires within four weeks; how many were tried.
///
/// `stop` is asked before each: what Kakao sends in exchange for a refresh token must not be lost in a shutdown.
pub async fn renew_links(
    deps: &Deps,
    db: &mut Db,
    most: u32,
    stop: impl Fn() -> bool,
) -> Result<usize, Error> {
    let now = deps.clock.now();
    let due = kakao_links::claim_for_renewal(db, now + RENEW_BEFORE, now - RETRY_AFTER, now, most).await?;
    for user in due.iter().take_while(|_| !stop()) {
        // Longer than any access token lives: whatever is cached does not do.
        match tokens::fresh(deps, db, *user, Duration::MAX, None).await {
            Ok(_) => info!(user = %user, "the link to Kakao was renewed"),
            Err(Error::Refused(refusal)) => {
                info!(user = %user, ?refusal, "the link to Kakao was not renewed");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(due.len())
}
