//! Ends a grant, and keeps a record of why.

use serde_json::json;
use tracing::warn;

use crate::domain::{EndReason, Grant};
use crate::flow::Deps;
use crate::store::audit::{self, AuditEvent};
use crate::store::{self, Db, grants};

/// Ends a grant; the second to end it records nothing.
pub(crate) async fn end(
    deps: &Deps,
    db: &mut Db,
    grant: &Grant,
    reason: EndReason,
) -> Result<(), store::Error> {
    let now = deps.clock.now();
    if grants::end(db, grant.id, reason, now).await? {
        let (user, client) = (grant.user, &grant.client);
        warn!(grant = %grant.id, %user, %client, reason = reason.name(), "a grant was ended");
        let event = AuditEvent {
            at: now,
            kind: "grant.ended",
            user: Some(user),
            client: Some(client.clone()),
            grant: Some(grant.id),
            request_id: None,
            detail: json!({ "reason": reason.name() }),
        };
        deps.signals.revocations.ring();
        audit::record(db, &event).await?;
    }
    Ok(())
}
