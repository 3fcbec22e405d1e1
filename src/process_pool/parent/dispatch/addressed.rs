//! Tasks for one worker each, which `broadcast` makes: they run in the worker of their lane, whichever that is, and in no other.
//!
//! Such a task waits in here, beside the queue. Its lane's driver ships it as a batch of its own, when nothing else is in flight
//! there, and nothing is shipped behind it before it is over: so it is the only task of its worker, which nobody steals
//! (`LoneTaskStays`). If it is taken back before it has begun, it comes back in here.

use super::{Dispatcher, Wake};
use crate::id::FutureId;
use crate::process_pool::parent::lane::Status;
use crate::process_pool::parent::task::EncodedTask;
use std::collections::{BTreeMap, VecDeque};

/// By lanes. Nearly always there are none.
#[derive(Default)]
pub(super) struct Addressed {
    waiting: BTreeMap<usize, VecDeque<EncodedTask>>,
    /// What is in flight.
    shipped: BTreeMap<usize, FutureId>,
    /// Those whose lane has no worker any more and gets none.
    orphans: Vec<EncodedTask>,
}

impl Addressed {
    /// How many wait, dead ones included.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether one waits for this lane.
    pub(super) fn is_for(&self, at: usize) -> bool {
        self.waiting.contains_key(&at)
    }

    /// Whether a lane is kept free, for one that waits or because of one that is in flight.
    pub(super) fn keeps(&self, at: usize) -> bool {
        self.is_for(at) || self.shipped.contains_key(&at)
    }

    fn pop(&mut self, at: usize) -> Option<EncodedTask> {
        let tasks = self.waiting.get_mut(&at)?;
        let first = tasks.pop_front();
        if tasks.is_empty() {
            self.waiting.remove(&at);
        }
        first
    }

    /// What was in flight in this lane isn't any more.
    pub(super) fn is_over(&mut self, at: usize) {
        self.shipped.remove(&at);
    }

    /// Of tasks that were taken back, keeps those that are for one lane; the others are returned.
    pub(super) fn keep_own(&mut self, tasks: Vec<EncodedTask>) -> Vec<EncodedTask> {
        if self.shipped.is_empty() {
            return tasks;
        }
        let mut others = Vec::new();
        for task in tasks {
            let Some((&at, _)) = self.shipped.iter().find(|(_, id)| **id == task.id()) else {
                others.push(task);
                continue;
            };
            self.shipped.remove(&at);
            task.recall();
            self.waiting.entry(at).or_default().push_front(task);
        }
        others
    }

    /// A lane has no driver any more.
    pub(super) fn orphan(&mut self, at: usize) {
        self.orphans.extend(self.waiting.remove(&at).into_iter().flatten());
    }

    /// All that wait.
    pub(super) fn take_waiting(&mut self) -> impl Iterator<Item = EncodedTask> + use<> {
        std::mem::take(&mut self.waiting).into_values().flatten()
    }
}

impl Dispatcher {
    /// Starts all workers that there may be, and gives each lane that has one, or is to have one, a task, by the lanes'
    /// numbers. Whom to wake, and the tasks that are left over.
    pub(crate) fn address(&mut self, tasks: Vec<EncodedTask>) -> (Vec<Wake>, Vec<EncodedTask>) {
        let mut wake: Vec<Wake> = Vec::new();
        loop {
            match self.start_worker() {
                Wake::None => break,
                start => wake.push(start),
            }
        }
        let is_surplus = self.lanes_in_use() > self.max_workers;
        let takes_part = |at: &usize| match self.lanes[*at].status() {
            Status::Vacant => false,
            Status::Closing => !is_surplus,
            Status::Starting => !self.unwanted.contains(at),
            Status::Up => true,
        };
        let mut lanes: Vec<usize> = (0..self.lanes.len()).filter(takes_part).collect();
        if lanes.is_empty() {
            // All are leaving at this moment: then the futures say so.
            lanes = (0..self.lanes.len()).filter(|at| !self.vacant.contains(at)).collect();
        }
        let mut tasks = tasks.into_iter();
        for (at, task) in lanes.into_iter().zip(tasks.by_ref()) {
            self.addressed.waiting.entry(at).or_default().push_back(task);
            // What waits there would come before it. Nothing is cancelled by that, because the pool is open.
            wake.extend(self.recall(at, &mut Vec::new()));
            wake.extend(self.lanes[at].event().cloned().map(Wake::Driver));
        }
        (wake, tasks.collect())
    }

    pub(super) fn ship_addressed(&mut self, at: usize, garbage: &mut Vec<EncodedTask>) -> bool {
        while self.lanes[at].has_room()
            && let Some(task) = self.addressed.pop(at)
        {
            if task.dispatch() {
                self.addressed.shipped.insert(at, task.id());
                return self.ship_batch(at, vec![task]);
            }
            self.dead -= 1;
            garbage.push(task);
        }
        false
    }

    /// So many tasks were cancelled that were never in here.
    pub(crate) fn count_cancelled(&mut self, tasks: usize) {
        self.totals.cancelled += tasks as u64;
    }

    /// Those whose worker could not be started; the caller fails them.
    pub(crate) fn take_orphans(&mut self) -> Vec<EncodedTask> {
        let (orphans, dead): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.addressed.orphans).into_iter().partition(EncodedTask::dispatch);
        self.dead -= dead.len() as isize;
        orphans
    }
}
