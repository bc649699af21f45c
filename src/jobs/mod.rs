//! Owns what happens by itself: one job per file, each a name, a period and a step that a test can call once. Stands on
//! `flow`, `keys` and `store`.
//!
//! What is done in the database is done by one replica at a time, by a lease row or a claim; what each keeps in memory,
//! by each. `Running` watches over the jobs: one that dies is the end of the process.

mod backchannel_logout;
mod job;
mod kakao_unlinks;
pub mod key_reload;
mod profiles;
pub mod renewal;
mod revocation_feed;
pub mod signing_keys;
pub(crate) mod sweep;
mod unanswered;
mod user_endings;
mod webhook_events;

mod running;

pub use job::{Again, Context, Failure, Job, Stop};
pub(crate) use running::Running;

use std::sync::Arc;

/// Every job of a service with these settings.
pub(crate) fn all(context: &Arc<Context>) -> Vec<Job> {
    let always = [
        sweep::job(context),
        signing_keys::job(context),
        key_reload::job(context),
        revocation_feed::job(context),
        user_endings::job(context),
        webhook_events::job(context),
        kakao_unlinks::job(context),
        profiles::job(context),
        unanswered::job(context),
    ];
    let if_wanted = [backchannel_logout::job(context), renewal::job(context)];
    always.into_iter().chain(if_wanted.into_iter().flatten()).collect()
}
