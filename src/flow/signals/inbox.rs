//! What Kakao's webhooks brought and the database could not take yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::bell::Bell;
use crate::domain::{KakaoEvent, Timestamp};

/// Events that wait in memory for a database that is down, at most.
const MAX_WAITING: usize = 10_000;

/// The events that wait, oldest first, and a bell for the job that processes those of the database.
pub(crate) struct Inbox {
    waiting: Mutex<VecDeque<Received>>,
    bell: Bell,
    /// Where replicas of this installation keep events in Redis.
    shelf: String,
    looked_at: Mutex<Option<Instant>>,
}

/// An event of Kakao's, proven and not stored yet.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::flow) struct Received {
    /// What happened at Kakao.
    pub(in crate::flow) event: KakaoEvent,
    /// Its key in the outbox: the same whenever the same token brings it, which then is stored once.
    pub(in crate::flow) key: Uuid,
    /// When it came.
    pub(in crate::flow) at: Timestamp,
    /// Whether Redis has it too.
    #[serde(skip)]
    pub(in crate::flow) shelved: bool,
}

impl Inbox {
    /// Of an installation: the replicas that share a database and an issuer.
    pub(super) fn new(installation: &str) -> Self {
        Self {
            waiting: Mutex::default(),
            bell: Bell::default(),
            shelf: format!("kakao-auth:webhook-events:{installation}"),
            looked_at: Mutex::default(),
        }
    }

    /// This replica stored an event: no need to wait for the next look.
    pub(in crate::flow) fn ring(&self) {
        self.bell.ring();
    }

    /// Rings when one was stored.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Where events are kept in Redis.
    pub(in crate::flow) fn shelf(&self) -> &str {
        &self.shelf
    }

    /// Whether nobody looked into Redis for so long; whoever asks looks.
    pub(in crate::flow) fn look_is_due(&self, after: Duration) -> bool {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked_at.is_none_or(|at| at.elapsed() >= after);
        if due {
            *looked_at = Some(Instant::now());
        }
        due
    }

    /// Keeps an event; gives it back if too many wait already.
    pub(in crate::flow) fn push(&self, received: Received) -> Result<(), Received> {
        let mut waiting = self.lock();
        if waiting.len() >= MAX_WAITING {
            return Err(received);
        }
        waiting.push_back(received);
        Ok(())
    }

    /// The oldest. It stays until it is removed: whoever stores it may be cut off.
    pub(in crate::flow) fn first(&self) -> Option<Received> {
        self.lock().front().cloned()
    }

    /// Forgets an event that is stored.
    pub(in crate::flow) fn remove(&self, key: Uuid) {
        let mut waiting = self.lock();
        if let Some(place) = waiting.iter().position(|received| received.key == key) {
            waiting.remove(place);
        }
    }

    /// Those that Redis does not have, oldest first, so many at most.
    pub(in crate::flow) fn not_shelved(&self, most: usize) -> Vec<Received> {
        self.lock().iter().filter(|received| !received.shelved).take(most).cloned().collect()
    }

    /// Redis has it now.
    pub(in crate::flow) fn mark_shelved(&self, key: Uuid) {
        if let Some(received) = self.lock().iter_mut().find(|received| received.key == key) {
            received.shelved = true;
        }
    }

    /// Takes all of them.
    pub(in crate::flow) fn take_all(&self) -> VecDeque<Received> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
