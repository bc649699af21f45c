//! What a job is, and the loop that all of them share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::flow::{Bell, Deps, chain};
use crate::store::{Db, Pool};

/// What the jobs of a process stand on.
pub struct Context {
    /// What the flows stand on.
    pub(super) deps: Arc<Deps>,
    /// The database, of which each step gets a handle.
    pub(super) pool: Pool,
    /// Who this process is in leases.
    pub(super) holder: Uuid,
}

impl Context {
    /// For a process that starts.
    pub(crate) fn new(deps: Arc<Deps>, pool: Pool) -> Arc<Self> {
        Arc::new(Self { deps, pool, holder: Uuid::now_v7() })
    }

    pub(super) fn db(&self) -> Db {
        self.pool.handle()
    }
}

/// When the next step of a job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// There is more to do.
    AtOnce,
    /// After the period, or when the bell rings.
    Later,
}

/// Why a step did not do what it should: it is tried again after the period.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

type Outcome = Result<Again, Failure>;

/// Whether the process ends: a step that does many things looks before each.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self(stop)
    }

    pub(super) fn is_now(&self) -> bool {
        *self.0.borrow()
    }

    async fn comes(&mut self) {
        // Whoever could say so is gone: that is the end too.
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

/// Something to do every so often, for as long as the process lives.
pub struct Job {
    name: &'static str,
    period: Duration,
    bell: Option<Bell>,
    step: Box<dyn Fn(Stop) -> BoxFuture<'static, Outcome> + Send>,
}

impl Job {
    /// A job whose step is done at once, and then again a period after it ended.
    pub fn new<F>(name: &'static str, period: Duration, step: impl Fn(Stop) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Self { name, period, bell: None, step: Box::new(move |stop| Box::pin(step(stop))) }
    }

    /// The same, but the step does not wait for its time when the bell rings.
    pub(super) fn woken_by(self, bell: &Bell) -> Self {
        Self { bell: Some(bell.clone()), ..self }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Steps until it is time to stop. A step that is under way is finished: what Kakao sends in exchange for a refresh token
    /// must not be lost.
    pub(super) async fn run(self, mut stop: Stop) {
        let mut interval = tokio::time::interval(self.period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut health = Health { job: self.name, failing: false };
        let mut again = Again::Later;
        loop {
            if again == Again::Later {
                tokio::select! {
                    biased;
                    () = stop.comes() => return,
                    _ = interval.tick() => {}
                    () = rings(self.bell.as_ref()) => {}
                }
            } else if stop.is_now() {
                return;
            }
            again = health.note((self.step)(stop.clone()).await);
        }
    }
}

async fn rings(bell: Option<&Bell>) {
    match bell {
        Some(bell) => bell.rings().await,
        None => std::future::pending().await,
    }
}

/// Logs the first failure of a row and its end as news: a database that is down fails every step of every job.
struct Health {
    job: &'static str,
    failing: bool,
}

impl Health {
    fn note(&mut self, outcome: Outcome) -> Again {
        let job = self.job;
        match outcome {
            Ok(again) => {
                if self.failing {
                    info!(job, "the job recovered");
                }
                self.failing = false;
                again
            }
            Err(error) => {
                if self.failing {
                    debug!(job, cause = chain(&*error), "a job step failed again");
                } else {
                    warn!(job, cause = chain(&*error), "a job step failed; it will be retried");
                }
                self.failing = true;
                Again::Later
            }
        }
    }
}
