//! Ends a grant, and keeps a record of why.

use tracing::{info, warn};

use crate::domain::{AuditEvent, EndReason, Grant};
use crate::flow::Deps;
use crate::store::{self, Db, Tx, audit, grants};

/// Ends a grant and records that, both or neither; the second to end it records nothing.
pub(crate) async fn end(
    deps: &Deps,
    db: &mut Db,
    grant: &Grant,
    reason: EndReason,
) -> Result<(), store::Error> {
    let ending = deps.ending(reason);
    let mut tx = Tx::begin(db).await?;
    if !grants::end(&mut tx, grant.id, &ending).await? {
        return Ok(());
    }
    let (user, client) = (grant.user, grant.client.clone());
    let event = AuditEvent::GrantEnded { user, client, grant: grant.id, reason };
    audit::record(&mut tx, ending.at, &event).await?;
    tx.commit().await?;
    deps.signals.revocations.ring();
    let client = &grant.client;
    let (grant, reason) = (grant.id, ending.reason);
    if reason == EndReason::Revoked {
        // A client that logs its user out.
        info!(%grant, %user, %client, reason = reason.name(), "a grant was ended");
    } else {
        warn!(%grant, %user, %client, reason = reason.name(), "a grant was ended");
    }
    Ok(())
}
