//! Table `grants`: codes are spent and refresh tokens rotated here, each by one conditional statement.

use std::time::Duration;

use sqlx::types::Json;
use uuid::Uuid;

use super::outbox::JustEnded;
use super::standing::login_stands;
use super::statement::{Row, Statement};
use super::{Conn, Error, Result, Tx, on, outbox, row};
use crate::domain::pkce::CodeChallenge;
use crate::domain::unanswered::Unanswered;
use crate::domain::{
    AttemptId, Beginning, BrowserSessionId, ClientId, CodeBinding, EndReason, Ending, Fingerprint, Grant,
    GrantId, GrantSummary, MOST_UNSPENT_CODES, NewGrant, Scope, Stage, StoredCode, Timestamp, UserId,
};

/// What the end of a grant changes, at `$3` for the reason `$2`. What only a living one needs is forgotten with it.
macro_rules! ended {
    () => {
        "ended_at = $3, end_reason = $2, user_agent = NULL, nonce = NULL"
    };
}

/// Whether a grant was not ended: neither itself, nor with all logins of its user.
macro_rules! not_ended {
    () => {
        concat!(
            "(grants.ended_at IS NULL AND EXISTS (SELECT 1 FROM users WHERE users.id = grants.user_id AND ",
            login_stands!("users", "grants.logged_in_at"),
            "))"
        )
    };
}

/// Whether a grant lives at `$now`: what [`Grant::life`] says, for statements that must ask and act at once.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "grants.generation > 0 AND grants.idle_expires_at > ",
            $now,
            " AND grants.expires_at > ",
            $now,
            " AND ",
            not_ended!()
        )
    };
}

/// The columns of a [`GrantRow`], from `grants` and its user.
macro_rules! columns {
    () => {
        concat!(
            "id, user_id, client_id, scope, resource, auth_time, code_expires_at, code_spent_at, redirect_uri,
             challenge, nonce, generation, refreshed_at, unanswered_at, idle_expires_at, expires_at, ended_at, end_reason,
             (SELECT roles FROM users WHERE users.id = grants.user_id) AS roles,
             (SELECT COALESCE(logins_valid_from, disabled_at, deleted_at) FROM users
              WHERE users.id = grants.user_id AND NOT ",
            login_stands!("users", "grants.logged_in_at"),
            ") AS void_from"
        )
    };
}

row!(GrantRow {
    id: Uuid,
    user_id: Uuid,
    client_id: String,
    scope: String,
    resource: Option<String>,
    auth_time: Option<Timestamp>,
    code_expires_at: Option<Timestamp>,
    code_spent_at: Option<Timestamp>,
    redirect_uri: Option<String>,
    challenge: Option<String>,
    nonce: Option<String>,
    generation: i64,
    refreshed_at: Timestamp,
    unanswered_at: Option<Timestamp>,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
    end_reason: Option<String>,
    roles: Json<Vec<String>>,
    void_from: Option<Timestamp>,
});

impl GrantRow {
    fn stage(&self) -> Result<Stage> {
        let impossible = |column| Error::impossible("grants", column, &self.id);
        Ok(match (self.ended_at, self.void_from, self.generation) {
            (Some(at), _, _) => {
                let reason = self.end_reason.as_deref().and_then(EndReason::from_name);
                Stage::Ended { at, reason: reason.ok_or_else(|| impossible("end_reason"))? }
            }
            (None, Some(at), _) => Stage::Ended { at, reason: EndReason::LoginVoid },
            (None, None, 0) => {
                let code_expires_at = self.code_expires_at.ok_or_else(|| impossible("code_expires_at"))?;
                Stage::Issued { code_expires_at }
            }
            (None, None, generation) => Stage::Live {
                generation,
                refreshed_at: self.refreshed_at,
                unanswered_at: self.unanswered_at,
                idle_expires_at: self.idle_expires_at,
            },
        })
    }

    /// What its code is bound to; `None` if it began without one.
    fn binding(&mut self) -> Result<Option<CodeBinding>> {
        let Some(redirect_uri) = self.redirect_uri.take() else { return Ok(None) };
        let challenge = self.challenge.as_deref().map(CodeChallenge::parse).transpose();
        let challenge = challenge.map_err(|_| Error::impossible("grants", "challenge", &self.id))?;
        Ok(Some(CodeBinding { redirect_uri, challenge, nonce: self.nonce.take() }))
    }

    /// The same, of a row that was found by its code.
    fn code(mut self) -> Result<StoredCode> {
        let binding = self.binding()?;
        let binding = binding.ok_or_else(|| Error::impossible("grants", "redirect_uri", &self.id))?;
        let spent_at = self.code_spent_at;
        Ok(StoredCode { grant: self.try_into()?, binding, spent_at })
    }
}

impl TryFrom<GrantRow> for Grant {
    type Error = Error;

    fn try_from(row: GrantRow) -> Result<Self> {
        let scope = Scope::parse(&row.scope).map_err(|_| Error::impossible("grants", "scope", &row.id))?;
        let resource = row.resource.as_deref().unwrap_or_default();
        Ok(Self {
            stage: row.stage()?,
            id: GrantId(row.id),
            user: UserId(row.user_id),
            client: ClientId(row.client_id),
            scope,
            resource: resource.split_ascii_whitespace().map(str::to_owned).collect(),
            auth_time: row.auth_time,
            roles: row.roles.0,
            expires_at: row.expires_at,
        })
    }
}

/// A code lives no longer than this (`tokens.code_ttl`).
const LONGEST_CODE: Duration = Duration::from_mins(10);

/// Says, after `WHERE`, that a user (a column or placeholder that is there already) has room for this grant: its unspent codes
/// at the client are not too many. Of requests at the same moment each counts those that are there already.
pub(super) fn has_room<'q>(statement: &mut Statement<'q>, user: User, grant: &'q NewGrant) {
    let Beginning::Code(_) = grant.beginning else {
        statement.push("1 = 1");
        return;
    };
    statement.push("(SELECT count(*) FROM (SELECT 1 FROM grants AS g WHERE g.user_id = ");
    match user {
        User::Column(column) => statement.push(column),
        User::Is(user) => statement.bind(user.0),
    };
    statement.push(" AND g.client_id = ").bind(grant.request.client.as_str());
    // With this, and the index, only the logins of the last minutes are looked at.
    statement.push(" AND g.created_at > ").bind(grant.created_at - LONGEST_CODE);
    statement.push(" AND g.ended_at IS NULL AND g.code_spent_at IS NULL AND g.code_expires_at > ");
    statement.bind(grant.created_at).push(" LIMIT ").bind(i64::from(MOST_UNSPENT_CODES));
    statement.push(") AS unspent) < ").bind(i64::from(MOST_UNSPENT_CODES));
}

/// The user of a statement that is put together.
#[derive(Clone, Copy, Debug)]
pub(super) enum User {
    /// In this column.
    Column(&'static str),
    Is(UserId),
}

/// The one binder of `INSERT INTO grants`. Its user, session and `logged_in_at` are the caller's to set: not every statement
/// knows them yet.
pub(super) fn new_row(grant: &NewGrant) -> Row<'_> {
    let resource = (!grant.request.resource.is_empty()).then(|| grant.request.resource.join(" "));
    let row = Row::default()
        .set("id", grant.id.0)
        .set("client_id", grant.request.client.as_str())
        .set("scope", grant.request.scope.as_str())
        .set("resource", resource)
        .set("attempt_id", grant.attempt.as_ref().map(AttemptId::as_bytes))
        .set("auth_time", grant.auth_time)
        .set("created_at", grant.created_at)
        .set("refreshed_at", grant.created_at)
        .set("expires_at", grant.expires_at)
        .set("user_agent", grant.user_agent.as_deref());
    match &grant.beginning {
        Beginning::Code(code) => row
            .set("generation", 0_i64)
            .set("idle_expires_at", code.expires_at)
            .set("code_hash", code.hash.as_bytes())
            .set("code_expires_at", code.expires_at)
            .set("redirect_uri", code.binding.redirect_uri.as_str())
            .set("challenge", code.binding.challenge.as_ref().map(CodeChallenge::as_str))
            .set("nonce", code.binding.nonce.as_deref()),
        Beginning::Live { idle_expires_at } => {
            row.set("generation", 1_i64).set("idle_expires_at", *idle_expires_at)
        }
    }
}

/// A code that is to be spent, and until when its grant lives afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spending<'a> {
    pub(crate) code: &'a Fingerprint,
    /// The client that presents it.
    pub(crate) client: &'a ClientId,
    /// Until when the grant lives unused.
    pub(crate) idle_expires_at: Timestamp,
    /// Until when the grant lives at all.
    pub(crate) expires_at: Timestamp,
}

/// Spends a code: the one caller that finds it unspent, in time, and its own gets the grant (RFC 6749 §4.1.2).
pub(crate) async fn spend_code(
    conn: &mut Conn,
    asked: &Spending<'_>,
    now: Timestamp,
) -> Result<Option<Grant>> {
    const SQL: &str = concat!(
        "UPDATE grants SET code_spent_at = $3, generation = 1, refreshed_at = $3, idle_expires_at = $4, expires_at = $5
         WHERE code_hash = $1 AND client_id = $2 AND code_spent_at IS NULL AND code_expires_at > $3 AND ",
        not_ended!(),
        " RETURNING ",
        columns!()
    );
    let row: Option<GrantRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(asked.code.as_bytes()).bind(asked.client.as_str()).bind(now).bind(asked.idle_expires_at)
        .bind(asked.expires_at)
        .fetch_optional(c).await)?;
    row.map(Grant::try_from).transpose()
}

/// What a refresh presents, and until when the grant lives unused after it.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The grant of the refresh token.
    pub grant: GrantId,
    /// The client that presents it.
    pub client: &'a ClientId,
    /// The generation of the refresh token.
    pub generation: i64,
    /// Until when the grant then lives unused.
    pub idle_expires_at: Timestamp,
}

/// Rotates: the one caller that presents the current generation of a living grant of its own moves it on.
pub async fn rotate(conn: &mut Conn, asked: &Rotation<'_>, now: Timestamp) -> Result<Option<Grant>> {
    const SQL: &str = concat!(
        "UPDATE grants SET generation = generation + 1, refreshed_at = $4, unanswered_at = NULL, idle_expires_at = $5
         WHERE id = $1 AND client_id = $2 AND generation = $3 AND ",
        live!("$4"),
        " RETURNING ",
        columns!()
    );
    let row: Option<GrantRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(asked.grant.0).bind(asked.client.as_str()).bind(asked.generation).bind(now)
        .bind(asked.idle_expires_at)
        .fetch_optional(c).await)?;
    row.map(Grant::try_from).transpose()
}

/// Writes into the row that the answer with its current generation was a 503, if that is so: the note fits, or the row says so
/// already and the client was answered 503 once more. True if it was written.
pub async fn note_unanswered(conn: &mut Conn, note: &Unanswered, now: Timestamp) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE grants SET unanswered_at = $5
         WHERE id = $1 AND generation = $2 AND (refreshed_at BETWEEN $3 AND $4 OR unanswered_at IS NOT NULL) AND ",
        live!("$5")
    );
    let done = on!(conn, c => sqlx::query(SQL).bind(note.grant.0).bind(note.generation).bind(note.from).bind(note.to)
        .bind(now).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// The grant of this id.
pub async fn find(conn: &mut Conn, grant: GrantId) -> Result<Option<Grant>> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM grants WHERE id = $1");
    let row: Option<GrantRow> = on!(conn, c => sqlx::query_as(SQL).bind(grant.0).fetch_optional(c).await)?;
    row.map(Grant::try_from).transpose()
}

/// This code, spent or not.
pub(crate) async fn find_code(conn: &mut Conn, code: &Fingerprint) -> Result<Option<StoredCode>> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM grants WHERE code_hash = $1");
    let row: Option<GrantRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(code.as_bytes()).fetch_optional(c).await)?;
    row.map(GrantRow::code).transpose()
}

/// Whether a grant was not ended before its time. An access token of it is then good until its own end, even if nobody
/// refreshed in time.
pub async fn is_not_ended(conn: &mut Conn, grant: GrantId) -> Result<bool> {
    const SQL: &str = concat!("SELECT 1 FROM grants WHERE id = $1 AND ", not_ended!());
    let found =
        on!(conn, c => sqlx::query(SQL).bind(grant.0).fetch_optional(c).await.map(|row| row.is_some()))?;
    Ok(found)
}

/// Whether the person of a grant logged in at this moment or since: by Kakao's word, else by when Kakao vouched for them to us.
pub async fn is_of_login_since(conn: &mut Conn, grant: GrantId, since: Timestamp) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM grants WHERE id = $1 AND COALESCE(auth_time, logged_in_at) >= $2";
    let found = on!(conn, c => sqlx::query(SQL).bind(grant.0).bind(since).fetch_optional(c)
        .await.map(|row| row.is_some()))?;
    Ok(found)
}

/// Ends a grant. True for the one caller that ended it.
pub async fn end(tx: &mut Tx<'_>, grant: GrantId, ending: &Ending<'_>) -> Result<bool> {
    const SQL: &str = concat!("UPDATE grants SET ", ended!(), " WHERE id = $1 AND ended_at IS NULL");
    let done = on!(tx, c => sqlx::query(SQL).bind(grant.0).bind(ending.reason.name()).bind(ending.at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    if done == 1 {
        outbox::put_ended(tx, JustEnded::Where("id", grant.0), ending).await?;
    }
    Ok(done == 1)
}

row!(SummaryRow {
    id: Uuid,
    client_id: String,
    user_agent: Option<String>,
    created_at: Timestamp,
    refreshed_at: Timestamp,
    session_id: Option<Uuid>,
});

impl From<SummaryRow> for GrantSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: GrantId(row.id),
            client: ClientId(row.client_id),
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_used_at: row.refreshed_at,
            session: row.session_id.map(BrowserSessionId),
        }
    }
}

/// The living grants of a user, the last used first, a hundred at most.
pub async fn of_user(conn: &mut Conn, user: UserId, now: Timestamp) -> Result<Vec<GrantSummary>> {
    const SQL: &str = concat!(
        "SELECT id, client_id, user_agent, created_at, refreshed_at, session_id FROM grants WHERE user_id = $1 AND ",
        live!("$2"),
        " ORDER BY refreshed_at DESC, id LIMIT 100"
    );
    let rows: Vec<SummaryRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(user.0).bind(now).fetch_all(c).await)?;
    Ok(rows.into_iter().map(GrantSummary::from).collect())
}

/// The grant of this id, if it is this user's and was not ended.
pub(crate) async fn of_user_by_id(
    conn: &mut Conn,
    user: UserId,
    grant: GrantId,
) -> Result<Option<GrantSummary>> {
    const SQL: &str = concat!(
        "SELECT id, client_id, user_agent, created_at, refreshed_at, session_id FROM grants
         WHERE id = $1 AND user_id = $2 AND ",
        not_ended!()
    );
    let row: Option<SummaryRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(grant.0).bind(user.0).fetch_optional(c).await)?;
    Ok(row.map(GrantSummary::from))
}

/// Some living grants of a user at a client that are more than `most`, the oldest of them.
pub(crate) async fn beyond(conn: &mut Conn, of: &Grant, most: u32, now: Timestamp) -> Result<Vec<Grant>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE user_id = $1 AND client_id = $2 AND ",
        live!("$3"),
        " ORDER BY created_at DESC, id DESC LIMIT 16 OFFSET $4"
    );
    let rows: Vec<GrantRow> = on!(conn, c => sqlx::query_as(SQL)
        .bind(of.user.0).bind(of.client.as_str()).bind(now).bind(i64::from(most))
        .fetch_all(c).await)?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Has a grant and those of its browser session count as if Kakao had vouched for them at `at`, before all logins of earlier
/// are voided. Of one browser there are no more than a thousand, unless somebody wants them to be many.
pub(crate) async fn keep(tx: &mut Tx<'_>, kept: &GrantSummary, at: Timestamp) -> Result<()> {
    const ONE: &str = "UPDATE grants SET logged_in_at = $2 WHERE id = $1";
    const OF_SESSION: &str = concat!(
        "UPDATE grants SET logged_in_at = $2 WHERE id IN (SELECT id FROM grants WHERE session_id = $1 AND ",
        not_ended!(),
        " LIMIT 1000)"
    );
    if let Some(session) = kept.session {
        on!(tx, c => sqlx::query(OF_SESSION).bind(session.0).bind(at).execute(c).await.map(drop))?;
    }
    on!(tx, c => sqlx::query(ONE).bind(kept.id.0).bind(at).execute(c).await.map(drop))?;
    Ok(())
}

/// Ends the grants that came of a browser session; returns how many.
pub(super) async fn end_of_session(
    tx: &mut Tx<'_>,
    session: BrowserSessionId,
    ending: &Ending<'_>,
) -> Result<u64> {
    const SQL: &str = concat!("UPDATE grants SET ", ended!(), " WHERE session_id = $1 AND ended_at IS NULL");
    let done = on!(tx, c => sqlx::query(SQL).bind(session.0).bind(ending.reason.name()).bind(ending.at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    outbox::put_ended(tx, JustEnded::Where("session_id", session.0), ending).await?;
    Ok(done)
}

row!(LastRow { id: Uuid });

/// Looks at the next thousand grants of a user, behind `after`, and ends those whose logins no longer stand. Returns the last of
/// the thousand; `None` if there are no more.
pub async fn end_void(
    tx: &mut Tx<'_>,
    user: UserId,
    after: GrantId,
    ending: &Ending<'_>,
) -> Result<Option<GrantId>> {
    // The range is one of the whole index. Of "this user's rows behind this id" a planner without statistics (a table that has
    // just grown) expects a few hundred, and sorts all that are left for each batch.
    macro_rules! batch {
        ($after:literal) => {
            concat!(
                "SELECT id FROM (SELECT user_id, id FROM grants WHERE (user_id, id) > ($1, ",
                $after,
                ") ORDER BY user_id, id LIMIT 1000) AS batch WHERE user_id = $1"
            )
        };
    }
    const LAST: &str = concat!(batch!("$2"), " ORDER BY id DESC LIMIT 1");
    const END: &str = concat!(
        "UPDATE grants SET ",
        ended!(),
        " WHERE id IN (",
        batch!("$4"),
        ") AND id <= $5 AND ended_at IS NULL AND NOT ",
        not_ended!()
    );
    let last: Option<LastRow> =
        on!(tx, c => sqlx::query_as(LAST).bind(user.0).bind(after.0).fetch_optional(c).await)?;
    let Some(last) = last.map(|row| GrantId(row.id)) else { return Ok(None) };
    on!(tx, c => sqlx::query(END).bind(user.0).bind(ending.reason.name()).bind(ending.at)
        .bind(after.0).bind(last.0)
        .execute(c).await.map(drop))?;
    outbox::put_ended(tx, JustEnded::Between(user, after, last), ending).await?;
    Ok(Some(last))
}
