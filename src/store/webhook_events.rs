//! Table `webhook_events`: what Kakao told, stored before it is answered, and worked off afterwards.

use std::time::Duration;

use sqlx::types::Json;
use uuid::Uuid;

use super::{Conn, Error, Result, Tx, on, row};
use crate::domain::kakao_event::Source;
use crate::domain::{Fingerprint, KakaoEvent, KakaoId, Timestamp};

/// Events taken at once.
const BATCH: i64 = 200;

/// How long an event stays after it was worked off, so that it is recognised when it comes again.
const STAYS: Duration = Duration::from_hours(30 * 24);

#[derive(serde::Serialize, serde::Deserialize, Default)]
struct Detail {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<String>,
}

/// Stores an event, in full or not at all. False if one of this id was stored before.
pub async fn store(
    conn: &mut Conn,
    event: &KakaoEvent,
    dedupe: Option<&Fingerprint>,
    now: Timestamp,
) -> Result<bool> {
    const SQL: &str = "
        INSERT INTO webhook_events (id, dedupe, source, kind, kakao_id, at, received_at, detail, next_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7) ON CONFLICT (dedupe) DO NOTHING";
    let detail = Json(Detail { reason: event.reason.clone(), items: event.items.clone() });
    let done = on!(conn, c => sqlx::query(SQL)
        .bind(Uuid::now_v7()).bind(dedupe.map(Fingerprint::as_bytes)).bind(event.source.name())
        .bind(event.kind.as_str()).bind(event.user.0).bind(event.at).bind(now).bind(&detail)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

row!(EventRow {
    id: Uuid,
    source: String,
    kind: String,
    kakao_id: i64,
    at: Timestamp,
    detail: Json<Detail>,
    attempts: i32,
});

/// An event to be worked off.
pub struct Due {
    /// Its row.
    pub id: Uuid,
    /// What it tells.
    pub event: KakaoEvent,
    /// Which try this is.
    pub attempts: i32,
}

/// Takes some of the events that are due, oldest first. Nobody else gets them before `until`.
pub async fn claim(conn: &mut Conn, now: Timestamp, until: Timestamp) -> Result<Vec<Due>> {
    const SQL: &str = "
        UPDATE webhook_events SET next_at = $2, attempts = attempts + 1
        WHERE id IN (SELECT id FROM webhook_events WHERE done_at IS NULL AND next_at <= $1
                     ORDER BY next_at, id LIMIT $3)
          AND done_at IS NULL AND next_at <= $1
        RETURNING id, source, kind, kakao_id, at, detail, attempts";
    let rows: Vec<EventRow> =
        on!(conn, c => sqlx::query_as(SQL).bind(now).bind(until).bind(BATCH).fetch_all(c).await)?;
    let mut due = rows.into_iter().map(Due::try_from).collect::<Result<Vec<Due>>>()?;
    due.sort_by_key(|due| (due.event.user, due.event.at));
    Ok(due)
}

impl TryFrom<EventRow> for Due {
    type Error = Error;

    fn try_from(row: EventRow) -> Result<Self> {
        let source = [Source::Unlink, Source::AccountStatus]
            .into_iter()
            .find(|source| source.name() == row.source)
            .ok_or_else(|| Error::impossible("webhook_events", "source", &row.id))?;
        Ok(Self {
            id: row.id,
            attempts: row.attempts,
            event: KakaoEvent {
                source,
                kind: row.kind,
                user: KakaoId(row.kakao_id),
                at: row.at,
                reason: row.detail.0.reason,
                items: row.detail.0.items,
            },
        })
    }
}

/// Marks an event as worked off, together with what it did. False if somebody else did. `forget`: Kakao's number is not kept.
pub async fn done(tx: &mut Tx<'_>, id: Uuid, outcome: &str, forget: bool, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE webhook_events SET done_at = $3, outcome = $2,
                                                 kakao_id = CASE WHEN $4 THEN 0 ELSE kakao_id END
                       WHERE id = $1 AND done_at IS NULL";
    let done = on!(tx, c => sqlx::query(SQL).bind(id).bind(outcome).bind(now).bind(forget)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Again at `next`.
pub async fn put_off(conn: &mut Conn, id: Uuid, next: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE webhook_events SET next_at = $2 WHERE id = $1 AND done_at IS NULL";
    on!(conn, c => sqlx::query(SQL).bind(id).bind(next).execute(c).await.map(drop))?;
    Ok(())
}

/// Deletes some of those that were worked off long ago.
pub(super) async fn sweep(conn: &mut Conn, now: Timestamp) -> Result<u64> {
    const SQL: &str = "DELETE FROM webhook_events WHERE id IN
                       (SELECT id FROM webhook_events WHERE done_at <= $1 LIMIT 1000)";
    Ok(on!(conn, c => sqlx::query(SQL).bind(now - STAYS).execute(c).await.map(|done| done.rows_affected()))?)
}
