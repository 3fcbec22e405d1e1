//! Tasks that are taken back from a worker: by a `cancel`, for a kill, at a death.

use super::{Dispatcher, PoolState, Wake};
use crate::id::FutureId;
use crate::process_pool::parent::lane::{KillReason, Lane, Position, TaskKill};
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::sys::Signal;
use std::time::Duration;

impl Dispatcher {
    fn find(&self, id: FutureId) -> Option<(usize, Position)> {
        let mut lanes = self.lanes.iter().enumerate();
        lanes.find_map(|(at, lane)| lane.find(id).map(|position| (at, position)))
    }

    /// Whether a shipped task has begun. One that is in no table is being resolved.
    pub(crate) fn has_begun(&self, id: FutureId) -> bool {
        self.find(id).is_none_or(|(at, position)| self.lanes[at].has_begun(position))
    }

    /// Takes a shipped task back for good, if it has not begun. The tasks behind it in its batch go back to the queue.
    pub(crate) fn take_back(&mut self, id: FutureId) -> (Option<EncodedTask>, Vec<Wake>) {
        let Some((at, Position { batch, index })) = self.find(id) else { return (None, Vec::new()) };
        // It may begin while the limit is lowered: then it is not among these.
        let mut recalled = self.change(at, |lane| lane.recall(batch, index));
        let found = recalled.first().is_some_and(|task| task.id() == id).then(|| recalled.remove(0));
        if let Some(task) = &found {
            task.cancel_dispatched();
            self.totals.cancelled += 1;
            self.addressed.is_over(at);
        }
        let mut wake = self.requeue(recalled);
        // Its lane may have come free: the driver finds out by looking.
        wake.extend(self.lanes[at].event().cloned().map(Wake::Driver));
        (found, wake)
    }

    /// Takes back all that this worker has not begun.
    pub(crate) fn recall(&mut self, at: usize, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        let recalled = self.change(at, Lane::recall_all);
        self.put_back(recalled, cancelled)
    }

    /// Whether the worker should do something soon.
    pub(crate) fn should_progress(&self, at: usize) -> bool {
        self.lanes[at].should_progress()
    }

    /// Recalled tasks go back to the front of the queue, in order; or are cancelled, if the pool is cancelling.
    pub(super) fn put_back(
        &mut self,
        recalled: Vec<EncodedTask>,
        cancelled: &mut Vec<EncodedTask>,
    ) -> Vec<Wake> {
        match self.state {
            PoolState::Open | PoolState::Draining => self.requeue(recalled),
            PoolState::Cancelling | PoolState::Broken(_) => {
                recalled.iter().for_each(EncodedTask::cancel_dispatched);
                cancelled.extend(recalled);
                Vec::new()
            }
        }
    }

    pub(super) fn requeue(&mut self, tasks: Vec<EncodedTask>) -> Vec<Wake> {
        let tasks = self.addressed.keep_own(tasks);
        let count = tasks.len();
        for task in tasks.into_iter().rev() {
            task.recall();
            self.queue.push_front(task);
        }
        (0..count).map(|_| self.wake_one()).take_while(|wake| !matches!(wake, Wake::None)).collect()
    }

    /// Asks a task that has begun to stop: whether it could be asked. None if it has not begun.
    pub(crate) fn ask_to_stop(&self, id: FutureId) -> Option<bool> {
        match self.find(id) {
            Some((at, position)) => self.lanes[at].ask_to_stop(position),
            // It is in the queue again, or in the hands of the thread that resolves it.
            None => Some(false),
        }
    }

    // ---- kills --------------------------------------------------------------------------------------

    /// Asks for the end of the worker that runs this task; whom to wake, if one does.
    pub(crate) fn request_kill(&mut self, id: FutureId, kill: TaskKill) -> Option<Wake> {
        let (at, position) = self.find(id)?;
        let lane = &mut self.lanes[at];
        if !lane.request_kill(id, position, kill) {
            return None;
        }
        Some(lane.event().cloned().map_or(Wake::None, Wake::Driver))
    }

    /// Takes the signal that is to be sent to a worker, whatever it does.
    pub(crate) fn take_signal(&mut self, at: usize) -> Option<Signal> {
        self.lanes[at].take_signal()
    }

    /// Where the task is for whose end the worker is to be killed, if that is for its time limit alone.
    pub(crate) fn out_of_time(&self, at: usize) -> Option<Position> {
        self.lanes[at].out_of_time()
    }

    /// After a recall and a read of socket and ring: whether the worker is to be killed, because a task whose end was asked
    /// for still runs.
    pub(crate) fn confirm_kill(&mut self, at: usize) -> bool {
        self.lanes[at].confirm_kill()
    }

    /// The worker is killed for another reason than a task: what it has not begun is taken back.
    pub(crate) fn kill_worker(
        &mut self,
        at: usize,
        reason: KillReason,
        cancelled: &mut Vec<EncodedTask>,
    ) -> Vec<Wake> {
        let wake = self.recall(at, cancelled);
        self.lanes[at].set_kill_reason(reason);
        wake
    }

    /// Running tasks whose time is limited, and how long each may take.
    pub(crate) fn limited(&self, at: usize) -> Vec<(FutureId, Duration)> {
        let limited = self.lanes[at].running().filter(|task| task.is_limited);
        limited.filter_map(|task| Some((task.id(), task.time_limit()?))).collect()
    }
}
