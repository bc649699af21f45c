//! Table `audit_events`: what a security officer asks for later.

use sqlx::types::Json;
use uuid::Uuid;

use super::{Conn, Result, on};
use crate::domain::{ClientId, GrantId, Timestamp, UserId};

/// Something that happened. Holds no secret and no profile datum.
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// What, as `noun.verb`.
    pub kind: &'static str,
    /// To whom.
    pub user: Option<UserId>,
    /// At which client.
    pub client: Option<ClientId>,
    /// To which grant.
    pub grant: Option<GrantId>,
    /// In which request, if another than that of the connection.
    pub request_id: Option<String>,
    /// The rest.
    pub detail: serde_json::Value,
}

/// Records an event; in a transaction, together with what it tells of or not at all.
pub async fn record(conn: &mut Conn, event: &AuditEvent) -> Result<()> {
    const SQL: &str =
        "INSERT INTO audit_events (id, at, kind, user_id, client_id, grant_id, request_id, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let initiator = conn.initiator().clone();
    on!(conn, c => sqlx::query(SQL).bind(Uuid::now_v7()).bind(event.at).bind(event.kind)
        .bind(event.user.map(|user| user.0)).bind(event.client.as_ref().map(ClientId::as_str))
        .bind(event.grant.map(|grant| grant.0)).bind(event.request_id.as_deref().or(initiator.request_id())).bind(Json(&event.detail))
        .execute(c).await.map(drop))?;
    Ok(())
}
