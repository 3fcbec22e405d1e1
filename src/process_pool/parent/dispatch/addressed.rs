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
    /// Of those, who are being failed at this moment.
    failing: usize,
}

impl Addressed {
    /// How many wait, dead ones included.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// How many of those are dead.
    pub(super) fn dead(&self) -> usize {
        let all = self.waiting.values().flatten().chain(&self.orphans);
        all.filter(|task| !task.is_queued()).count()
    }

    /// Whether some have no worker, and their futures don't say so yet.
    pub(super) fn has_orphans(&self) -> bool {
        self.failing > 0 || !self.orphans.is_empty()
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
    /// The lanes that have a worker, or are to have one: those who are to make a call.
    pub(crate) fn takers(&self) -> Vec<usize> {
        let is_surplus = self.lanes_in_use() > self.max_workers;
        let takes_part = |at: &usize| match self.lanes[*at].status() {
            Status::Vacant => false,
            Status::Closing => !is_surplus,
            Status::Starting => !self.unwanted.contains(at),
            Status::Up => true,
        };
        let lanes: Vec<usize> = (0..self.lanes.len()).filter(takes_part).collect();
        if !lanes.is_empty() {
            return lanes;
        }
        // All are leaving at this moment: then the futures say so.
        (0..self.lanes.len()).filter(|at| !self.vacant.contains(at)).collect()
    }

    /// Gives each of the [`takers`](Self::takers) a task. Whom to wake, and the tasks that are left over; or all of them, if they are
    /// too few.
    pub(crate) fn address(
        &mut self,
        tasks: Vec<EncodedTask>,
    ) -> Result<(Vec<Wake>, Vec<EncodedTask>), Vec<EncodedTask>> {
        let lanes = self.takers();
        if lanes.len() > tasks.len() {
            return Err(tasks);
        }
        let mut wake: Vec<Wake> = Vec::new();
        let mut tasks = tasks.into_iter();
        for (at, task) in lanes.into_iter().zip(tasks.by_ref()) {
            self.addressed.waiting.entry(at).or_default().push_back(task);
            // What waits there would come before it. Nothing is cancelled by that, because the pool is open.
            wake.extend(self.recall(at, &mut Vec::new()));
            wake.extend(self.lanes[at].event().cloned().map(Wake::Driver));
        }
        Ok((wake, tasks.collect()))
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
        self.addressed.failing += orphans.len();
        orphans
    }

    /// Their futures say so.
    pub(crate) fn orphans_are_failed(&mut self, many: usize) {
        self.addressed.failing -= many;
    }
}
