//! How long a caller waits for the database. The database's own limits cannot be relied on for that: a server that has
//! fallen silent applies none.

use std::time::{Duration, Instant};

use crate::domain::Initiator;
use crate::store::error::{Error, Result};

/// What a request may wait for the database in all: it is answered 503 within two seconds, with time left for the rest.
const REQUEST: Duration = Duration::from_millis(1_300);

/// What a statement of a request may take however long those before it took: what a flow does last, such as recording that
/// a login failed, is worth a try on a connection of its own.
const LEAST: Duration = Duration::from_millis(200);

/// What a statement takes of the request's time only beyond this: a database that is far away, or a caller who asks again and
/// again, is not a database that does not answer.
const USUAL: Duration = Duration::from_millis(100);

/// A statement of a job: one batch. Longer than [`Patience::begin`] gives it at the server.
const SERVICE: Duration = Duration::from_secs(6);

/// A statement of a command, such as an import.
const COMMAND: Duration = Duration::from_secs(65);

/// How much longer one caller waits.
#[derive(Debug)]
pub(super) struct Patience {
    /// For one statement at most.
    each: Duration,
    /// For all of them, if they are counted together.
    left: Option<Duration>,
    /// How its transactions begin.
    begin: &'static str,
}

impl Patience {
    /// A request waits shortly and never long for a lock: whoever waits keeps a connection from others. Jobs and commands
    /// have time, but not without end.
    pub(super) const fn of(initiator: &Initiator) -> Self {
        match initiator {
            Initiator::Request(_) => Self::of_request(),
            Initiator::Service => Self {
                each: SERVICE,
                left: None,
                begin: "BEGIN; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '2s'",
            },
            Initiator::Command => Self {
                each: COMMAND,
                left: None,
                begin: "BEGIN; SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '10s'",
            },
        }
    }

    pub(super) const fn of_request() -> Self {
        Self {
            each: REQUEST,
            left: Some(REQUEST),
            begin: "BEGIN; SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '250ms'",
        }
    }

    /// How a transaction of this caller begins on Postgres: with the server's own limits, in one round trip. Without them a
    /// server would go on with a statement whose caller has long gone.
    pub(super) const fn begin(&self) -> &'static str {
        self.begin
    }

    /// What the next step may take: a connection, a statement, a commit.
    pub(super) fn limit(&self) -> Duration {
        self.left.map_or(self.each, |left| left.max(LEAST))
    }

    /// Something took so long.
    pub(super) fn spend(&mut self, took: Duration) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(took.saturating_sub(USUAL));
        }
    }

    /// The outcome of a step, within what is left.
    pub(in crate::store) async fn within<T>(
        &mut self,
        step: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let outcome = within(self.limit(), step).await;
        self.spend(began.elapsed());
        outcome
    }
}

/// The outcome of a step, or that it took too long.
pub(in crate::store) async fn within<T>(
    limit: Duration,
    step: impl Future<Output = sqlx::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, step).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Error::silent(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_request_waits_for_one_slow_statement_and_shortly_for_what_comes_after() {
        let mut patience = Patience::of(&Initiator::Request("1".into()));
        assert_eq!(patience.limit(), REQUEST);
        patience.spend(REQUEST);
        assert_eq!(patience.limit(), LEAST);
        patience.spend(LEAST);
        assert_eq!(patience.limit(), LEAST);
    }

    #[test]
    fn a_hundred_statements_of_a_database_that_is_far_away_are_no_wait() {
        let mut patience = Patience::of(&Initiator::Request("1".into()));
        for _ in 0..100 {
            patience.spend(ms(90));
        }
        assert_eq!(patience.limit(), REQUEST);
    }

    #[test]
    fn jobs_and_commands_wait_longer_for_each_statement_and_never_without_end() {
        for (initiator, each) in [(Initiator::Service, SERVICE), (Initiator::Command, COMMAND)] {
            let mut patience = Patience::of(&initiator);
            patience.spend(Duration::from_mins(10));
            assert_eq!(patience.limit(), each);
        }
    }
}
