//! Deleted accounts: what is erased of a user.

use super::outbox::KAKAO_EVENTS;
use super::profile;
use super::standing::void_before;
use super::statement::Statement;
use super::{Result, Tx, on};
use crate::domain::{ProfileField, Timestamp, UserId};

/// Marks an account as deleted. True for the one caller that did. With `not_since`, only if
/// the user has not logged in at that time or later.
pub async fn mark_deleted(
    tx: &mut Tx<'_>,
    user: UserId,
    now: Timestamp,
    not_since: Option<Timestamp>,
) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE users SET deleted_at = $2, ",
        void_before!("$4"),
        " WHERE id = $1 AND deleted_at IS NULL AND ($3 IS NULL OR last_login_at < $3)"
    );
    let done = on!(tx, c => sqlx::query(SQL).bind(user.0).bind(now).bind(not_since).bind(now.just_after())
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Erases all that is personal of an account that is marked as deleted; what its grants know of browsers goes when they end. The id stays; Kakao's number if the same user is
/// to return, or is kept out: nobody gets rid of that by unlinking.
pub(crate) async fn erase(tx: &mut Tx<'_>, user: UserId, keep_number: bool) -> Result<()> {
    // A number that is forgotten is forgotten here too. Events that are still to be processed forget it afterwards.
    const EVENTS: &str = "DELETE FROM outbox WHERE queue = $4 AND set_aside_at IS NOT NULL AND $2 = $3
                            AND lane = (SELECT CAST(kakao_id AS TEXT) FROM users WHERE id = $1 AND disabled_at IS NULL)";
    const ROLES: &str = "UPDATE users SET roles = '[]' WHERE id = $1";
    on!(tx, c => sqlx::query(EVENTS).bind(user.0).bind(keep_number).bind(false).bind(KAKAO_EVENTS.name)
        .execute(c).await.map(drop))?;
    let mut erase = Statement::new("UPDATE users SET ");
    for column in profile::erase(ProfileField::ALL) {
        erase.push(&column).push(", ");
    }
    erase.push(
        "needs_agreement = NULL, service_terms = NULL, kakao_scope = NULL, kakao_refresh_token = NULL,
         kakao_refresh_expires_at = NULL, profile_stale_at = NULL, under_age_at = NULL,
         kakao_id = CASE WHEN ",
    );
    erase.bind(keep_number).push(" OR disabled_at IS NOT NULL THEN kakao_id ELSE NULL END WHERE id = ");
    erase.bind(user.0).push(" AND deleted_at IS NOT NULL");
    erase.execute(tx).await?;
    on!(tx, c => sqlx::query(ROLES).bind(user.0).execute(c).await.map(drop))?;
    Ok(())
}
