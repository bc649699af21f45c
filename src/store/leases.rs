//! Table `job_leases`: one replica at a time runs a periodic job or asks Kakao for a token, and all of them wait when Kakao
//! asks them to.

use std::borrow::Cow;
use std::net::IpAddr;

use uuid::Uuid;

use super::{Conn, Result, on, row};
use crate::domain::{Timestamp, UserId};

/// What one replica at a time has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The job that deletes what is over.
    Sweep,
    /// The job that rotates signing keys.
    SigningKeys,
    /// The job that renews Kakao links.
    Renewal,
    /// Asking Kakao for an access token of this user.
    KakaoToken(UserId),
}

impl Lease {
    fn name(self) -> Cow<'static, str> {
        match self {
            Self::Sweep => "sweep".into(),
            Self::SigningKeys => "signing-keys".into(),
            Self::Renewal => "renewal".into(),
            Self::KakaoToken(user) => format!("kakao-token:{user}").into(),
        }
    }
}

/// What all replicas leave alone when Kakao asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// New access tokens for one user.
    Tokens(UserId),
    /// What users have agreed to (`/v2/user/scopes`).
    Scopes,
}

impl Pause {
    fn name(self) -> Cow<'static, str> {
        match self {
            Self::Tokens(user) => format!("kakao-pause:{user}").into(),
            Self::Scopes => "kakao-pause:scopes".into(),
        }
    }
}

/// Takes or prolongs a lease. True while `holder` has it.
pub async fn acquire(
    conn: &mut Conn,
    lease: Lease,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    const SQL: &str = "INSERT INTO job_leases AS l (name, holder, until) VALUES ($1, $2, $4)
                       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                       WHERE l.holder = $2 OR l.until <= $3";
    let name = lease.name();
    let done = on!(conn, c => sqlx::query(SQL).bind(&*name).bind(holder).bind(now).bind(until)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Writes one small row that only this process writes: proof that the database can be written, its disk included. What
/// waits for somebody else's lock has proved as much.
pub(crate) async fn prove_writable(conn: &mut Conn, process: Uuid, until: Timestamp) -> Result<()> {
    const SQL: &str = "INSERT INTO job_leases (name, holder, until) VALUES ($1, $2, $3)
                       ON CONFLICT (name) DO UPDATE SET until = excluded.until";
    let name = format!("health:{process}");
    let written =
        on!(conn, c => sqlx::query(SQL).bind(&*name).bind(process).bind(until).execute(c).await.map(drop));
    match written {
        Err(error) if error.is_of_a_lock() => Ok(()),
        other => other,
    }
}

/// Gives a lease back.
pub(crate) async fn release(conn: &mut Conn, lease: Lease, holder: Uuid) -> Result<()> {
    const SQL: &str = "DELETE FROM job_leases WHERE name = $1 AND holder = $2";
    let name = lease.name();
    on!(conn, c => sqlx::query(SQL).bind(&*name).bind(holder).execute(c).await.map(drop))?;
    Ok(())
}

/// Has all replicas leave Kakao alone about this until then: a lease that nobody holds. A longer pause stands.
pub(crate) async fn back_off(conn: &mut Conn, pause: Pause, until: Timestamp) -> Result<()> {
    const SQL: &str = "INSERT INTO job_leases AS l (name, holder, until) VALUES ($1, $2, $3)
                       ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE l.until < excluded.until";
    let name = pause.name();
    on!(conn, c => sqlx::query(SQL).bind(&*name).bind(Uuid::nil()).bind(until).execute(c).await.map(drop))?;
    Ok(())
}

/// What stands before the address of a proxy.
const UNLISTED_PROXY: &str = "unlisted-proxy:";

/// Remembers until then that requests come through a proxy that the settings do not list: a lease that nobody holds.
pub(crate) async fn note_unlisted_proxy(conn: &mut Conn, peer: IpAddr, until: Timestamp) -> Result<()> {
    const SQL: &str = "INSERT INTO job_leases (name, holder, until) VALUES ($1, $2, $3)
                       ON CONFLICT (name) DO UPDATE SET until = excluded.until";
    let name = format!("{UNLISTED_PROXY}{peer}");
    on!(conn, c => sqlx::query(SQL).bind(&*name).bind(Uuid::nil()).bind(until).execute(c).await.map(drop))?;
    Ok(())
}

row!(Noted { name: String });

/// The proxies that the settings do not list, at most ten.
pub(crate) async fn unlisted_proxies(conn: &mut Conn, now: Timestamp) -> Result<Vec<String>> {
    const SQL: &str = "SELECT name FROM job_leases WHERE name LIKE 'unlisted-proxy:%' AND until > $1
                       ORDER BY name LIMIT 10";
    let rows: Vec<Noted> = on!(conn, c => sqlx::query_as(SQL).bind(now).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|row| row.name.replacen(UNLISTED_PROXY, "", 1)).collect())
}

row!(Until { until: Timestamp });

/// Until when Kakao is left alone about this, if it is.
pub(crate) async fn backoff_until(
    conn: &mut Conn,
    pause: Pause,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    const SQL: &str = "SELECT until FROM job_leases WHERE name = $1 AND until > $2";
    let name = pause.name();
    let row: Option<Until> = on!(conn, c => sqlx::query_as(SQL)
        .bind(&*name).bind(now).fetch_optional(c).await)?;
    Ok(row.map(|row| row.until))
}
