//! Workers that start to take the place of one that is at its last tasks.

use super::{Dispatcher, Wake};
use crate::process_pool::parent::lane::Status;
use crate::process_pool::sys::Event;
use std::collections::BTreeMap;
use std::sync::Arc;

/// By their lanes. Only pools that replace their workers ever have one.
#[derive(Default)]
pub(super) struct Spares(BTreeMap<usize, Starting>);

struct Starting {
    pid: Option<u32>,
    /// On which the thread sleeps that starts it.
    event: Arc<Event>,
    /// The place is free for it: it is the lane's own worker by now, if not up yet.
    is_seated: bool,
}

impl Spares {
    pub(super) fn is_for(&self, at: usize) -> bool {
        self.0.contains_key(&at)
    }

    /// Whom to wake when they are to look whether they are still wanted.
    pub(super) fn wake(&self) -> impl Iterator<Item = Wake> {
        self.0.values().map(|spare| Wake::Driver(spare.event.clone()))
    }
}

impl Dispatcher {
    /// Whether a worker is to start that will take the place of this lane's: that has its last tasks, and more is waiting.
    pub(crate) fn wants_spare(&self, at: usize) -> bool {
        let lane = &self.lanes[at];
        let done = lane.results() + lane.in_flight() as u64;
        let is_last = self.policy.max_tasks_per_child.is_some_and(|most| done >= u64::from(most));
        (is_last || lane.is_retiring())
            && lane.status() == Status::Up
            && lane.in_flight() > 0
            && !self.spares.is_for(at)
            && (!self.queue.is_empty() || self.addressed.is_for(at))
            && self.wants_worker_at(at)
            && self.lanes_in_use() <= self.max_workers
    }

    /// Wakes a driver whose worker got its last task when nothing else was queued.
    pub(super) fn wake_for_spare(&self) -> Wake {
        if self.policy.max_tasks_per_child.is_none() {
            return Wake::None;
        }
        let wanting = (0..self.lanes.len()).find(|at| self.wants_spare(*at));
        wanting.and_then(|at| self.lanes[at].event().cloned()).map_or(Wake::None, Wake::Driver)
    }

    pub(crate) fn add_spare(&mut self, at: usize, event: Arc<Event>) {
        self.spares.0.insert(at, Starting { pid: None, event, is_seated: false });
    }

    pub(crate) fn remove_spare(&mut self, at: usize) {
        self.spares.0.remove(&at);
    }

    /// The lane has no other worker any more.
    pub(crate) fn seat_spare(&mut self, at: usize) {
        let Some(spare) = self.spares.0.get_mut(&at) else { return };
        spare.is_seated = true;
        if let Some(pid) = spare.pid {
            self.note_process(at, pid);
        }
    }

    /// A process was started: the lane's, or its spare's.
    pub(crate) fn note_start(&mut self, at: usize, pid: u32) {
        match self.spares.0.get_mut(&at) {
            Some(spare) if !spare.is_seated => spare.pid = Some(pid),
            _ => self.note_process(at, pid),
        }
    }

    /// For statistics: those whose place is not free yet, with their processes.
    pub(crate) fn spares(&self) -> impl Iterator<Item = (usize, Option<u32>)> {
        let waiting = self.spares.0.iter().filter(|(_, spare)| !spare.is_seated);
        waiting.map(|(at, spare)| (*at, spare.pid))
    }
}
