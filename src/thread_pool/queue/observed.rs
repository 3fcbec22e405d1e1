//! What the pool's observer is told of tasks that run, of waits and of workers. Each does nothing where there is none, and is
//! called with no lock held.

use super::Queue;
use crate::future::cell::AnyCell;
use crate::future::state::Phase;
use crate::observe::{Observed, PoolEventKind, WorkerEnd, WorkerInfo, this_thread};
use crate::thread_pool::stats::Slot;
use std::sync::Arc;
use std::time::Instant;

/// A worker counts as blocked from now on, or no more.
pub(super) struct WaitChange {
    pub(super) at: Instant,
    pub(super) worker: Arc<str>,
    pub(super) waits: bool,
}

fn thread(name: &Arc<str>) -> WorkerInfo<'_> {
    WorkerInfo { name, pid: None }
}

impl Queue {
    pub(in crate::thread_pool) fn observed(&self) -> &Observed {
        &self.config.observed
    }

    /// A task begins at the moment that was noted; on a worker, or on the thread that submitted it.
    #[cold]
    #[inline(never)]
    pub(in crate::thread_pool) fn tell_started(&self, task: &dyn AnyCell, slot: Option<&Slot>, noted: u64) {
        if self.observed().is_set() {
            let name = slot.map_or_else(this_thread, |slot| slot.name.clone());
            let at = self.beginnings.moment(noted).unwrap_or_else(Instant::now);
            self.observed().started(at, task, thread(&name));
        }
    }

    /// Its outcome is in its place.
    #[cold]
    #[inline(never)]
    pub(in crate::thread_pool) fn tell_ended(
        &self,
        task: &dyn AnyCell,
        slot: Option<&Slot>,
        noted: u64,
        phase: Phase,
    ) {
        if self.observed().is_set() {
            let at = Instant::now();
            let name = slot.map_or_else(this_thread, |slot| slot.name.clone());
            let began = self.beginnings.moment(noted).unwrap_or(at);
            self.observed().ended_as(at, task, thread(&name), began, phase);
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn tell_waits(&self, changes: Vec<WaitChange>) {
        for WaitChange { at, worker, waits } in changes {
            let worker = thread(&worker);
            let kind =
                if waits { PoolEventKind::WaitBegan { worker } } else { PoolEventKind::WaitEnded { worker } };
            self.observed().tell(at, kind);
        }
    }

    /// A worker is initialized; its thread began at `since`.
    pub(in crate::thread_pool) fn tell_worker_started(&self, slot: &Slot, since: Option<Instant>) {
        if let Some(since) = since {
            let kind = PoolEventKind::WorkerStarted { worker: thread(&slot.name), since };
            self.observed().tell(Instant::now(), kind);
        }
    }

    pub(in crate::thread_pool) fn tell_worker_ended(&self, slot: &Slot) {
        if self.observed().is_set() {
            let (worker, end) = (thread(&slot.name), WorkerEnd::Left);
            self.observed().tell(Instant::now(), PoolEventKind::WorkerEnded { worker, end });
        }
    }
}
