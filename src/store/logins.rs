//! What a login writes: the user in `users`, its grant in `grants` and the browser's session in `sessions`, all or nothing.
//!
//! Postgres does it in one statement: as BEGIN, two statements and COMMIT it was four round trips, and most of a login's
//! own cost (see `docs/performance.md`). SQLite, which has no data-changing CTE and no network, runs the same texts
//! in a transaction.

use sqlx::types::Json;
use uuid::Uuid;

use super::kakao_links::ended_since;
use super::{Conn, Db, Result, Tx, on, row};
use crate::domain::pkce::CodeChallenge;
use crate::domain::{
    AttemptId, Consent, Fingerprint, KakaoId, NewGrant, Profile, SessionId, Timestamp, UserId,
};

/// What a login writes about its person.
pub struct NewLogin<'a> {
    /// The id to give if Kakao's number is new here.
    pub user: UserId,
    /// Kakao's member number: the only key. E-mail never links or merges.
    pub kakao_id: KakaoId,
    /// What the person shares now; what is absent is forgotten.
    pub profile: &'a Profile,
    /// Sealed; `None` keeps the one we have.
    pub kakao_refresh_token: Option<&'a [u8]>,
    /// When that token dies.
    pub kakao_refresh_expires_at: Option<Timestamp>,
    /// What the person agreed to; what Kakao did not say is kept as it was.
    pub consent: &'a Consent,
    /// The browser's new session; an app has none.
    pub session: Option<NewSession>,
    /// When Kakao was asked for the profile.
    pub read_at: Timestamp,
    /// When Kakao vouched for the person. It is the time of the login: what ended the person's logins after that ends this
    /// one too, whichever is written first.
    pub vouched_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What became of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It stands, and is this user's.
    User(UserId),
    /// The operator keeps this user out; nothing is written.
    Disabled,
    /// The person's logins were ended after Kakao vouched for this one; nothing is written.
    Ended,
}

/// A browser session about to be stored.
pub struct NewSession {
    /// Its row.
    pub id: SessionId,
    /// SHA-256 of its cookie.
    pub token: Fingerprint,
    /// Until when it lives unused.
    pub idle_expires_at: Timestamp,
    /// Until when it lives at all.
    pub expires_at: Timestamp,
}

/// A column of the profile: that of whichever login read it later.
macro_rules! newer {
    ($column:literal) => {
        concat!(
            $column,
            " = CASE WHEN u.profile_read_at > excluded.profile_read_at THEN u.",
            $column,
            " ELSE excluded.",
            $column,
            " END, "
        )
    };
}

/// Makes or updates the user of a Kakao number, in one statement, so that two first logins at once make one user.
/// A disabled user gives no row, and stays as it was; so does one whose logins were ended after Kakao vouched.
macro_rules! upsert_user {
    () => {
        concat!(
            "INSERT INTO users AS u (id, kakao_id, nickname, name, picture, email, email_verified, phone_number,
                                 created_at, updated_at, last_login_at,
                                 kakao_refresh_token, kakao_refresh_expires_at, kakao_scope, kakao_token_at,
                                 age_range, needs_agreement, service_terms, profile_read_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $34, $10, $11, $12, CASE WHEN $10 IS NULL THEN NULL ELSE $9 END,
                 $30, $31, $32, $33)
         ON CONFLICT (kakao_id) DO UPDATE SET ",
            newer!("nickname"),
            newer!("name"),
            newer!("picture"),
            newer!("email"),
            newer!("email_verified"),
            newer!("phone_number"),
            newer!("age_range"),
            newer!("needs_agreement"),
            newer!("profile_read_at"),
            "service_terms = COALESCE(excluded.service_terms, u.service_terms),
             profile_stale_at = CASE WHEN u.profile_stale_at > excluded.profile_read_at THEN u.profile_stale_at
                                     ELSE NULL END,
             under_age_at = NULL, unlinked_at = NULL, unlink_reason = NULL, deleted_at = NULL,
             updated_at = CASE WHEN u.nickname IS NOT DISTINCT FROM excluded.nickname
                                AND u.name IS NOT DISTINCT FROM excluded.name
                                AND u.picture IS NOT DISTINCT FROM excluded.picture
                                AND u.email IS NOT DISTINCT FROM excluded.email
                                AND u.email_verified = excluded.email_verified
                                AND u.phone_number IS NOT DISTINCT FROM excluded.phone_number
                                AND u.age_range IS NOT DISTINCT FROM excluded.age_range
                               THEN u.updated_at ELSE excluded.updated_at END,
             last_login_at = CASE WHEN u.last_login_at > excluded.last_login_at THEN u.last_login_at
                                  ELSE excluded.last_login_at END,
             kakao_refresh_token = COALESCE(excluded.kakao_refresh_token, u.kakao_refresh_token),
             kakao_refresh_expires_at = COALESCE(excluded.kakao_refresh_expires_at, u.kakao_refresh_expires_at),
             kakao_token_at = COALESCE(excluded.kakao_token_at, u.kakao_token_at),
             kakao_scope = COALESCE(excluded.kakao_scope, u.kakao_scope)
         WHERE u.disabled_at IS NULL
           AND (u.unlinked_at IS NULL OR u.unlinked_at <= $34)
           AND (u.deleted_at IS NULL OR u.deleted_at <= $34)
           AND (u.not_before IS NULL OR u.not_before <= $34)
           AND (u.logins_void_before IS NULL OR u.logins_void_before <= $34)
         RETURNING id"
        )
    };
}

/// Stores the grant of a login for the user that `$from` finds.
macro_rules! insert_grant {
    ($from:literal) => {
        concat!(
            "INSERT INTO grants (id, user_id, client_id, scope, attempt_id, code_hash, code_expires_at, redirect_uri,
                                 challenge, nonce, auth_time, refreshed_at, idle_expires_at, expires_at, created_at,
                                 resource, user_agent, session_id)
             SELECT $13, id, $14, $15, $16, $17, $18, $19, $20, $21, $22, $9, $18, $23, $34, $24, $25, $26 FROM ",
            $from
        )
    };
}

/// Begins the browser's session.
macro_rules! insert_session {
    ($from:literal) => {
        concat!(
            "INSERT INTO sessions (id, token_hash, user_id, auth_time, created_at, last_used_at, idle_expires_at,
                                   expires_at)
             SELECT $26, $27, id, $22, $34, $9, $28, $29 FROM ",
            $from
        )
    };
}

row!(RecordedRow { id: Uuid });

row!(DisabledRow { disabled_at: Option<Timestamp> });

/// Records a login.
pub async fn record(db: &mut Db, login: &NewLogin<'_>, grant: &NewGrant) -> Result<Recorded> {
    const BOTH: &str = concat!(
        "WITH u AS (",
        upsert_user!(),
        "), g AS (",
        insert_grant!("u"),
        "), s AS (",
        insert_session!("u WHERE $26 IS NOT NULL"),
        ") SELECT id FROM u"
    );
    const USER: &str = upsert_user!();
    const GRANT: &str = insert_grant!("users WHERE kakao_id = $2");
    const SESSION: &str = insert_session!("users WHERE kakao_id = $2 AND $26 IS NOT NULL");
    let session = login.session.as_ref();
    let needs_agreement = login.consent.needs_agreement.join(" ");

    macro_rules! bound {
        ($query:expr) => {
            $query
                .bind(login.user.0)
                .bind(login.kakao_id.0)
                .bind(login.profile.nickname.as_deref())
                .bind(login.profile.name.as_deref())
                .bind(login.profile.picture.as_deref())
                .bind(login.profile.email.as_deref())
                .bind(login.profile.email_verified)
                .bind(login.profile.phone_number.as_deref())
                .bind(login.now)
                .bind(login.kakao_refresh_token)
                .bind(login.kakao_refresh_expires_at)
                .bind(login.consent.scopes.as_ref().map(|scopes| scopes.join(" ")))
                .bind(grant.id.0)
                .bind(grant.client.as_str())
                .bind(grant.scope.as_str())
                .bind(grant.attempt.as_ref().map(AttemptId::as_bytes))
                .bind(grant.code.as_bytes())
                .bind(grant.code_expires_at)
                .bind(grant.redirect_uri.as_str())
                .bind(grant.challenge.as_ref().map(CodeChallenge::as_str))
                .bind(grant.nonce.as_deref())
                .bind(grant.auth_time)
                .bind(grant.expires_at)
                .bind((!grant.resource.is_empty()).then(|| grant.resource.join(" ")))
                .bind(grant.user_agent.as_deref())
                .bind(session.map(|session| session.id.0))
                .bind(session.map(|session| session.token.as_bytes()))
                .bind(session.map(|session| session.idle_expires_at))
                .bind(session.map(|session| session.expires_at))
                .bind(login.profile.age_range.as_deref())
                .bind((!needs_agreement.is_empty()).then_some(needs_agreement.as_str()))
                .bind(login.consent.service_terms.as_ref().map(Json))
                .bind(login.read_at)
                .bind(login.vouched_at)
        };
    }
    let user: Option<RecordedRow> = if db.is_postgres() {
        on!(db, c => bound!(sqlx::query_as(BOTH)).fetch_optional(c).await)?
    } else {
        let mut tx = Tx::begin(db).await?;
        let user = on!(tx, c => bound!(sqlx::query_as(USER)).fetch_optional(c).await)?;
        if user.is_some() {
            on!(tx, c => bound!(sqlx::query(GRANT)).execute(c).await.map(drop))?;
            on!(tx, c => bound!(sqlx::query(SESSION)).execute(c).await.map(drop))?;
        }
        tx.commit().await?;
        user
    };
    match user {
        // A deletion may have taken Kakao's number off the user that this was: the login is not to make a new one.
        Some(row) if row.id == login.user.0 && ended_since(db, login.kakao_id, login.vouched_at).await? => {
            take_back(db, login.user).await?;
            Ok(Recorded::Ended)
        }
        Some(row) => Ok(Recorded::User(UserId(row.id))),
        None => why_not(db, login.kakao_id).await,
    }
}

/// Removes a user who was made this moment, and of whom nobody knows.
async fn take_back(db: &mut Db, user: UserId) -> Result<()> {
    const ALL: [&str; 3] = [
        "DELETE FROM grants WHERE user_id = $1",
        "DELETE FROM sessions WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1",
    ];
    let mut tx = Tx::begin(db).await?;
    for sql in ALL {
        on!(tx, c => sqlx::query(sql).bind(user.0).execute(c).await.map(drop))?;
    }
    tx.commit().await
}

async fn why_not(conn: &mut Conn, kakao_id: KakaoId) -> Result<Recorded> {
    const SQL: &str = "SELECT disabled_at FROM users WHERE kakao_id = $1";
    let row: Option<DisabledRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(kakao_id.0).fetch_optional(c).await)?;
    Ok(if row.is_some_and(|row| row.disabled_at.is_some()) { Recorded::Disabled } else { Recorded::Ended })
}
