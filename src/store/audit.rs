//! Table `audit_events`: what an operator asks about later. An event is written in the transaction, or the statement, of what it
//! records: both are there, or neither.

use uuid::Uuid;

use super::statement::{Row, Statement};
use super::{Result, Tx};
use crate::domain::{AuditEvent, ClientId, Initiator, Timestamp};

/// The one binder of `INSERT INTO audit_events`. Its user is the caller's to set: not every statement knows it yet.
pub(super) fn new_row<'q>(event: &'q AuditEvent, initiator: &'q Initiator, now: Timestamp) -> Row<'q> {
    Row::default()
        .set("id", Uuid::now_v7())
        .set("at", now)
        .set("kind", event.kind())
        .set("client_id", event.client().map(ClientId::as_str))
        .set("grant_id", event.grant().map(|grant| grant.0))
        .set("initiator", initiator.name())
        .set("request_id", initiator.request_id())
        .set("detail", Some(event.detail()))
}

/// Records an event together with what the transaction has written, for whoever the connection was handed to.
pub(crate) async fn record(tx: &mut Tx<'_>, now: Timestamp, event: &AuditEvent) -> Result<()> {
    let initiator = tx.initiator().clone();
    let row = new_row(event, &initiator, now).set("user_id", event.user().map(|user| user.0));
    let mut insert = Statement::default();
    insert.insert("audit_events", [row]);
    insert.execute(tx).await.map(drop)
}
