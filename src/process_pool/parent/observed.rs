//! What the pool's observer is told of tasks that have run and of workers. Each does nothing where there is none, and is
//! called with no lock held.

use super::death::Death;
use super::lane::KillReason;
use super::pool::Pool;
use crate::error::TaskError;
use crate::future::cell::{AnyCell, Entry};
use crate::future::state::Phase;
use crate::id::FutureId;
use crate::observe::{Observed, PoolEventKind, WorkerEnd, WorkerInfo, this_thread};
use crate::process_pool::sys::shared_clock;
use crate::process_pool::wire::times::Times;
use crate::spans;
use std::sync::Arc;
use std::time::Instant;

/// Where a task has run, and when, as far as that is known.
#[derive(Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) lane: usize,
    pub(crate) pid: Option<u32>,
    /// By its worker's clock.
    pub(crate) times: Option<Times>,
    /// Which run of it this was, from 1.
    pub(crate) attempt: u32,
}

impl Ran {
    /// Of one whose reply has come, its times with it.
    pub(super) fn of_reply(lane: usize, pid: u32) -> Self {
        Ran { lane, pid: Some(pid), times: None, attempt: 1 }
    }

    /// Of one that ends now, with its worker. `begun` says when those began that ran there.
    pub(super) fn of_lost(lane: usize, pid: u32, begun: &[(FutureId, u64)], task: FutureId) -> Self {
        let began = begun.iter().find(|(begun, _)| *begun == task);
        let times = began.map(|(_, began)| Times { began: *began, ended: shared_clock() });
        Ran { lane, pid: Some(pid), times, attempt: 1 }
    }
}

impl Pool {
    pub(super) fn observed(&self) -> &Observed {
        &self.config.observed
    }

    fn name_of(&self, lane: usize) -> Arc<str> {
        self.config.launch.worker_name(lane).into()
    }

    /// When a task began and ended: by its worker's clock, else now.
    fn interval(&self, times: Option<Times>) -> (Instant, Instant) {
        let now = Instant::now();
        let ended = times.map_or(now, |times| self.clock.moment(times.ended));
        (times.map_or(ended, |times| self.clock.moment(times.began).min(ended)), ended)
    }

    fn note_in_span(&self, task: &dyn AnyCell, ran: Ran) {
        if spans::is_wanted() {
            let worker = self.name_of(ran.lane);
            let began = ran.times.map(|times| self.clock.moment(times.began));
            task.header().span.note(|| spans::Ran { worker: &worker, attempt: ran.attempt, began });
        }
    }

    /// A task has run in a worker, and has no result.
    pub(super) fn tell_failed(&self, task: &dyn AnyCell, ran: Ran, error: &TaskError) {
        self.note_in_span(task, ran);
        if self.observed().is_set() {
            let (name, (began, ended)) = (self.name_of(ran.lane), self.interval(ran.times));
            let worker = WorkerInfo { name: &name, pid: ran.pid };
            self.observed().started(began, task, worker);
            self.observed().ended(ended, task, worker, began, Some(error));
        }
    }

    /// A task has run in a worker, and its outcome is in its place.
    pub(super) fn tell_completed(&self, task: &dyn AnyCell, ran: Ran, phase: Phase) {
        self.note_in_span(task, ran);
        if self.observed().is_set() {
            let (name, (began, ended)) = (self.name_of(ran.lane), self.interval(ran.times));
            let worker = WorkerInfo { name: &name, pid: ran.pid };
            self.observed().started(began, task, worker);
            self.observed().ended_as(ended, task, worker, began, phase);
        }
    }

    /// A task begins on this thread, which submitted it.
    pub(super) fn tell_started_here(&self, task: &dyn AnyCell, began: Option<Instant>) {
        if let Some(at) = began.filter(|_| self.observed().is_set()) {
            let name = this_thread();
            self.observed().started(at, task, WorkerInfo { name: &name, pid: None });
        }
    }

    pub(super) fn tell_ended_here(&self, task: &dyn AnyCell, began: Option<Instant>, phase: Phase) {
        if let Some(began) = began.filter(|_| self.observed().is_set()) {
            let (at, name) = (Instant::now(), this_thread());
            self.observed().ended_as(at, task, WorkerInfo { name: &name, pid: None }, began, phase);
        }
    }

    pub(super) fn tell_worker_started(&self, lane: usize, pid: u32, since: Instant) {
        if self.observed().is_set() {
            let name = self.name_of(lane);
            let worker = WorkerInfo { name: &name, pid: Some(pid) };
            self.observed().tell(Instant::now(), PoolEventKind::WorkerStarted { worker, since });
        }
    }

    /// These have run in a worker that died, and run again.
    pub(super) fn tell_again(&self, tasks: &[Entry], death: &Death, ran: impl Fn(FutureId) -> Ran) {
        for task in tasks {
            let died = TaskError::WorkerDied(death.of_worker());
            self.tell_failed(&**task, ran(task.header().id), &died);
        }
    }

    pub(super) fn tell_worker_gone(&self, lane: usize, death: &Death, is_leaving: bool, is_killed: bool) {
        if self.observed().is_set() {
            let (name, died) = (self.name_of(lane), death.of_worker());
            let end = match death.kill_reason {
                None if is_leaving && !is_killed => WorkerEnd::Left,
                None | Some(KillReason::StreamClosed) if !is_killed => WorkerEnd::Died(&died),
                _ => WorkerEnd::Killed(&died),
            };
            let worker = WorkerInfo { name: &name, pid: Some(death.pid) };
            self.observed().tell(Instant::now(), PoolEventKind::WorkerEnded { worker, end });
        }
    }
}
