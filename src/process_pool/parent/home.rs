//! The way back from a future to its pool: cancel, ask to stop, kill, and the direct wait.
//!
//! In a *direct wait* a thread that waits for a task takes the reply by itself, while the worker's driver sleeps on. It
//! saves two wake-ups of three on a small task's way there and back: the driver's, and then the waiter's by the driver. The
//! steps are those of `PROTOCOL.md`, "Direct wait".

use super::dispatch::{DirectRoute, Wake};
use super::lane::TaskKill;
use super::observed::Ran;
use super::pool::Pool;
use super::results::Results;
use crate::contain::drop_contained;
use crate::future::cell::AnyCell;
use crate::future::home::{DirectWait, Home};
use crate::future::state::{Snapshot, State};
use crate::id::FutureId;
use crate::sync::one_processor;
use std::sync::Arc;

impl Home for Pool {
    fn cancelled(&self, task: &dyn AnyCell, _: Snapshot) {
        if self.is_fork() {
            return;
        }
        self.observed().cancelled(task);
        let dead = self.dispatcher.lock().note_cancelled();
        self.note_room();
        let _ = drop_contained(dead);
    }

    fn take_back(&self, id: FutureId) -> bool {
        if self.is_fork() {
            return false;
        }
        let (task, wake) = self.dispatcher.lock().take_back(id);
        if let Some(pool) = self.me() {
            pool.wake_all(wake);
        }
        // The caller, which cancels it, publishes that.
        let taken = task.map(|task| task.into_unresolved().release());
        taken.iter().for_each(|task| self.observed().cancelled(&**task));
        taken.is_some()
    }

    fn state(&self, id: FutureId) -> State {
        let has_begun = !self.is_fork() && self.dispatcher.lock().has_begun(id);
        if has_begun { State::Running } else { State::Dispatched }
    }

    fn wait_directly(&self, id: FutureId) -> Option<Box<dyn DirectWait>> {
        // A worker whose memory is watched is looked at by its driver between tasks.
        if self.is_fork() || self.config.memory_growth.is_some() || one_processor() {
            return None;
        }
        Some(Box::new(RingWait::new(&self.me()?, id)?))
    }

    fn ask_to_stop(&self, id: FutureId) -> Option<bool> {
        if self.is_fork() {
            return Some(false);
        }
        self.dispatcher.lock().ask_to_stop(id)
    }

    fn kill(&self, id: FutureId) -> bool {
        if self.is_fork() {
            return false;
        }
        let wake = self.dispatcher.lock().request_kill(id, TaskKill::Requested);
        if let Some(Wake::Driver(event)) = &wake {
            event.set();
        }
        wake.is_some()
    }
}

/// A direct wait: it holds the doorbell disabled, in the driver's place.
struct RingWait {
    pool: Arc<Pool>,
    route: DirectRoute,
    task: FutureId,
}

impl RingWait {
    /// For a task that is alone in flight to its worker, whose driver sleeps.
    fn new(pool: &Arc<Pool>, task: FutureId) -> Option<Self> {
        let route = pool.dispatcher.lock().direct_route(task)?;
        let may_wait = route.segment.ring.try_disable_doorbell();
        may_wait.then(|| RingWait { pool: pool.clone(), route, task })
    }
}

impl DirectWait for RingWait {
    fn has_reply(&self) -> bool {
        self.route.segment.ring.has_replies()
    }

    fn take_reply(self: Box<Self>) {
        let DirectRoute { lane, pid, segment, event, results } = &self.route;
        let ran = Ran { lane: *lane, pid: *pid, times: None, attempt: 1 };
        let (pool, results, mut reply) = (self.pool.clone(), results.clone(), Vec::new());
        let taken = pool.dispatcher.lock().take_direct(*lane, segment, self.task, &mut reply);
        if taken.as_ref().is_none_or(|taken| !taken.driver_sleeps) {
            event.set();
        }
        // Before any code of the user's runs: until then no doorbell is rung for what comes.
        drop(self);
        if let Some(taken) = taken {
            pool.complete(taken.task, &reply, Results::of_reply(results.as_ref(), taken.position), ran);
        }
    }
}

impl Drop for RingWait {
    fn drop(&mut self) {
        if self.route.segment.ring.enable_doorbell() {
            self.route.event.set();
        }
    }
}
