//! The pool's end: closed, drained, cancelled or broken.

use super::{Dispatcher, Wake};
use crate::error::{Broken, Rejected, TaskError};
use crate::process_pool::parent::lane::{Lane, Status};
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::sys::Signal;

/// A pool goes one way, down this list; breaking is aside.
#[derive(Clone, Debug, Default)]
pub(crate) enum PoolState {
    #[default]
    Open,
    /// No new tasks; what is queued still runs.
    Draining,
    /// No new tasks; what has not begun is cancelled.
    Cancelling,
    /// Nothing runs any more, and why.
    Broken(Broken),
}

impl Dispatcher {
    /// Why no task is taken, if none is.
    pub(crate) fn refusal(&self) -> Option<TaskError> {
        match &self.state {
            PoolState::Open => None,
            PoolState::Draining | PoolState::Cancelling => Some(TaskError::Rejected(Rejected::ShutDown)),
            PoolState::Broken(why) => Some(TaskError::Broken(why.clone())),
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, PoolState::Broken(_))
    }

    /// Takes no more tasks; whom to wake.
    pub(crate) fn drain(&mut self) -> Vec<Wake> {
        if matches!(self.state, PoolState::Open) {
            self.state = PoolState::Draining;
        }
        self.fail_warm_ups(&TaskError::Rejected(Rejected::ShutDown));
        self.all_drivers()
    }

    /// Takes no more tasks and takes back all that has not begun: after this nothing begins.
    pub(crate) fn cancel_all(&mut self, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        if matches!(self.state, PoolState::Open | PoolState::Draining) {
            self.state = PoolState::Cancelling;
        }
        self.fail_warm_ups(&TaskError::Rejected(Rejected::ShutDown));
        let queued = std::mem::take(&mut self.queue).into_iter().chain(self.addressed.take_waiting());
        self.dead = 0;
        cancelled.extend(queued.filter(EncodedTask::begin_cancel));
        for at in 0..self.lanes.len() {
            self.recall(at, cancelled);
        }
        self.totals.cancelled += cancelled.len() as u64;
        self.all_drivers()
    }

    /// Asks all that has begun to stop. After [`cancel_all`](Self::cancel_all), in one section with it, that is all there is.
    pub(crate) fn ask_all_to_stop(&self) {
        self.lanes.iter().for_each(Lane::ask_all_to_stop);
    }

    /// Nothing can run any more. What is queued, or shipped and not begun, comes back; the caller is to fail it.
    pub(crate) fn break_down(&mut self, why: Broken) -> (Vec<EncodedTask>, Vec<Wake>) {
        self.fail_warm_ups(&TaskError::Broken(why.clone()));
        if !self.is_broken() {
            self.state = PoolState::Broken(why);
        }
        let queued = std::mem::take(&mut self.queue).into_iter().chain(self.addressed.take_waiting());
        self.dead = 0;
        let mut lost: Vec<EncodedTask> = queued.filter(EncodedTask::dispatch).collect();
        for at in 0..self.lanes.len() {
            lost.extend(self.change(at, Lane::recall_all));
        }
        (lost, self.all_drivers())
    }

    /// Has every worker sent a signal.
    pub(crate) fn signal_all(&mut self, signal: Signal) -> Vec<Wake> {
        for lane in &mut self.lanes {
            if matches!(lane.status(), Status::Up | Status::Closing) {
                lane.set_signal(signal);
            }
        }
        self.all_drivers()
    }
}
