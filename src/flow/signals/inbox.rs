//! What Kakao's webhooks brought and the database could not take yet.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::bell::Bell;
use crate::domain::{KakaoEvent, Timestamp};

/// Events that wait in memory for a database that is down, at most.
const MAX_WAITING: usize = 10_000;

/// The events that wait, oldest first, and a bell for the job that processes those of the database.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<VecDeque<Received>>,
    bell: Bell,
}

/// An event of Kakao's, proven and not stored yet.
pub(in crate::flow) struct Received {
    /// What happened at Kakao.
    pub(in crate::flow) event: KakaoEvent,
    /// Its key in the outbox: the same whenever the same token brings it, which then is stored once.
    pub(in crate::flow) key: Uuid,
    /// When it came.
    pub(in crate::flow) at: Timestamp,
}

impl Inbox {
    /// This replica stored an event: no need to wait for the next look.
    pub(in crate::flow) fn ring(&self) {
        self.bell.ring();
    }

    /// Rings when one was stored.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Keeps an event; false if too many wait already.
    pub(in crate::flow) fn push(&self, received: Received) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return false;
        }
        waiting.push_back(received);
        true
    }

    /// Takes the oldest.
    pub(in crate::flow) fn pop(&self) -> Option<Received> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Puts back what [`Inbox::pop`] took.
    pub(in crate::flow) fn put_back(&self, received: Received) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_front(received);
    }
}
