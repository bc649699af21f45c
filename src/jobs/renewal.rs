//! Renews Kakao links before their refresh token expires.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::job::{Again, Context, Failure, Job, Stop};
use crate::flow::kakao::renew_links::renew_links;
use crate::flow::{Deps, Error};
use crate::store::Db;
use crate::store::leases::{self, Lease};

/// In which time `kakao.renew_per_minute` links are renewed.
const PERIOD: Duration = Duration::from_mins(1);

/// None if the operator wants none renewed.
pub(super) fn job(context: &Arc<Context>) -> Option<Job> {
    let context = Arc::clone(context);
    (context.deps.policy.kakao.renew_per_minute > 0)
        .then(|| Job::new("renewal", PERIOD, move |stop| step(Arc::clone(&context), stop)))
}

async fn step(context: Arc<Context>, stop: Stop) -> Result<Again, Failure> {
    renew_once(&context.deps, &mut context.db(), context.holder, || stop.is_now()).await?;
    Ok(Again::Later)
}

/// Renews what is due of one minute, if this replica has the lease; `None` if another has it.
pub async fn renew_once(
    deps: &Deps,
    db: &mut Db,
    holder: Uuid,
    stop: impl Fn() -> bool,
) -> Result<Option<usize>, Error> {
    let now = deps.clock.now();
    if !leases::acquire(db, Lease::Renewal, holder, now, now + PERIOD).await? {
        return Ok(None);
    }
    renew_links(deps, db, deps.policy.kakao.renew_per_minute, stop).await.map(Some)
}
