//! The jobs of a process while it runs. None of them ends by itself, so one that does has died, and the process is to end
//! with an error rather than to go on without it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::warn;

use super::job::{Job, Stop};

/// Jobs that run; dropped, they are cut off.
pub(crate) struct Running {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: watch::Sender<bool>,
}

/// A job that ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the job {name} died")]
pub(crate) struct Died {
    name: &'static str,
    /// Its panic, if it was one.
    #[source]
    cause: Option<JoinError>,
}

impl Running {
    /// Starts them.
    pub(crate) fn start(jobs: Vec<Job>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut running = Self { tasks: JoinSet::new(), names: HashMap::new(), stop };
        for job in jobs {
            let name = job.name();
            let task = running.tasks.spawn(job.run(Stop::new(stopped.clone())));
            running.names.insert(task.id(), name);
        }
        running
    }

    /// Waits until one of them dies. Can be dropped and called again.
    pub(crate) async fn died(&mut self) -> Died {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.death(id, None),
            Some(Err(panic)) => self.death(panic.id(), Some(panic)),
            None => std::future::pending().await,
        }
    }

    /// Has all of them stop, each after the step that it is at; whoever is not done `within` this time is cut off.
    ///
    /// # Errors
    /// When one panicked on the way.
    pub(crate) async fn stop(mut self, within: Duration) -> Result<(), Died> {
        self.stop.send_replace(true);
        let mut outcome = Ok(());
        let all = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                if let Err(panic) = ended {
                    outcome = Err(Died { name: name_of(&self.names, panic.id()), cause: Some(panic) });
                }
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            warn!("a job step did not finish in time");
        }
        outcome
    }

    fn death(&self, id: Id, cause: Option<JoinError>) -> Died {
        Died { name: name_of(&self.names, id), cause }
    }
}

fn name_of(names: &HashMap<Id, &'static str>, id: Id) -> &'static str {
    names.get(&id).copied().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::jobs::Again;

    const SOON: Duration = Duration::from_millis(5);

    fn healthy(name: &'static str, steps: &Arc<AtomicUsize>) -> Job {
        let steps = Arc::clone(steps);
        Job::new(name, SOON, move |_| {
            let steps = Arc::clone(&steps);
            async move {
                steps.fetch_add(1, Ordering::SeqCst);
                Ok(Again::Later)
            }
        })
    }

    #[tokio::test]
    async fn a_job_that_panics_is_named_and_the_others_end_their_step() {
        let steps = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ended);
        let slow = Job::new("slow", SOON, move |_| {
            let counted = Arc::clone(&counted);
            async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(Again::Later)
            }
        });
        let dying = Job::new("dying", SOON, |_| async { panic!("poison") });
        let mut running = Running::start(vec![healthy("healthy", &steps), slow, dying]);
        let died = running.died().await;
        assert_eq!(died.to_string(), "the job dying died");
        assert!(died.cause.is_some_and(|cause| cause.is_panic()));
        running.stop(Duration::from_secs(5)).await.unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 1, "a step under way is finished");
        assert!(steps.load(Ordering::SeqCst) > 0);
    }

    #[tokio::test]
    async fn a_step_that_fails_is_tried_again_and_kills_nobody() {
        let steps = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&steps);
        let failing = Job::new("failing", SOON, move |_| {
            let counted = Arc::clone(&counted);
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                Err("no database".into())
            }
        });
        let mut running = Running::start(vec![failing]);
        let waited = tokio::time::timeout(Duration::from_millis(200), running.died()).await;
        assert!(waited.is_err() && steps.load(Ordering::SeqCst) > 1);
        running.stop(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_while_the_jobs_stop_is_an_error_too() {
        let late = Job::new("late", SOON, |stop| async move {
            while !stop.is_now() {
                tokio::time::sleep(SOON).await;
            }
            panic!("poison")
        });
        let running = Running::start(vec![late]);
        tokio::time::sleep(SOON * 4).await;
        assert_eq!(running.stop(Duration::from_secs(5)).await.unwrap_err().to_string(), "the job late died");
    }
}
