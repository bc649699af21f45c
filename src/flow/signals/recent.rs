//! A value that is made anew only when it is too old: however many ask, one makes it.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Which stores answer. Without the database nobody can log in; without the cache everything goes on.
#[derive(Clone, Copy)]
pub(crate) struct Health {
    /// The database can be written.
    pub(crate) database: bool,
    /// The cache answers.
    pub(crate) cache: bool,
}

/// What was made last, and when. By the machine's own clock: it is about load, not about time.
pub(crate) struct Recent<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Copy> Recent<T> {
    /// The value, at most so old.
    pub(in crate::flow) async fn get(&self, oldest: Duration, make: impl Future<Output = T>) -> T {
        let mut last = self.0.lock().await;
        if let Some((at, value)) = *last
            && at.elapsed() < oldest
        {
            return value;
        }
        let value = make.await;
        *last = Some((Instant::now(), value));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn it_is_made_once_while_it_is_recent() {
        let (recent, count) = (Recent::default(), AtomicU32::new(0));
        let make = async || count.fetch_add(1, Ordering::Relaxed);
        for _ in 0..100 {
            assert_eq!(recent.get(Duration::from_hours(1), make()).await, 0);
        }
        assert_eq!(recent.get(Duration::ZERO, make()).await, 1);
    }
}
