//! [`Listener`]: a thread that waits for a task hears its reply by itself, while the worker's driver sleeps on.
//!
//! It saves two wake-ups of three on a small task's way there and back: the driver's, and then the waiter's by the
//! driver. The steps are those of `PROTOCOL.md`, "Listen from outside".

use super::pool::Pool;
use super::sys::{Bell, Mapping};
use crate::future::home::Listen;
use crate::id::FutureId;
use std::sync::Arc;

pub(super) struct Listener {
    pool: Arc<Pool>,
    lane: usize,
    segment: Arc<Mapping>,
    event: Arc<Bell>,
    task: FutureId,
}

impl Listener {
    /// For a task that is alone in flight to its worker, whose driver sleeps.
    pub(super) fn new(pool: &Arc<Pool>, task: FutureId) -> Option<Self> {
        let (lane, segment, event) = pool.dispatcher.lock().sole_in_flight(task)?;
        segment.ring.try_disable_doorbell().then(|| Listener {
            pool: pool.clone(),
            lane,
            segment,
            event,
            task,
        })
    }
}

impl Listen for Listener {
    fn has_news(&self) -> bool {
        self.segment.ring.has_replies()
    }

    fn hear(self: Box<Self>) {
        let Listener { pool, lane, segment, task, .. } = &*self;
        let (pool, mut reply) = (pool.clone(), Vec::new());
        let heard = pool.dispatcher.lock().hear(*lane, segment, *task, &mut reply);
        if heard.as_ref().is_none_or(|(_, can_sleep)| !can_sleep) {
            self.event.ring();
        }
        // Before anything of the user's runs: until then nobody is rung for what comes.
        drop(self);
        if let Some((encoded, _)) = heard {
            pool.complete(encoded, &reply);
        }
    }
}

/// Hangs up.
impl Drop for Listener {
    fn drop(&mut self) {
        if self.segment.ring.enable_doorbell() {
            self.event.ring();
        }
    }
}
