//! How many workers there may be, and how that changes while the pool runs.

use super::{Dispatcher, PoolState, Wake};
use crate::process_pool::parent::lane::{Lane, Status};
use crate::process_pool::parent::task::EncodedTask;

impl Dispatcher {
    pub(crate) fn max_workers(&self) -> usize {
        self.max_workers
    }

    /// There may be so many workers from now on; whom to wake.
    ///
    /// Nobody chooses who leaves: while there are too many, no worker gets a task, and each that has none left leaves (D3). What
    /// none of them has begun is taken back, since whoever ends its task first goes. Only workers that are starting are
    /// chosen, as many as are too many: they would take the place of one that is up.
    pub(crate) fn set_max_workers(&mut self, n: usize, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        self.max_workers = n;
        self.unwanted.clear();
        let surplus = self.surplus();
        // One that has a call to make starts for it.
        let is_free =
            |at: &usize| self.lanes[*at].status() == Status::Starting && !self.addressed.is_for(*at);
        self.unwanted = (0..self.lanes.len()).rev().filter(is_free).take(surplus).collect();
        let mut wake = self.all_drivers();
        if matches!(self.state, PoolState::Open | PoolState::Draining) {
            if self.has_surplus() {
                wake.extend(self.recall_everything(cancelled));
            }
            let work = self.queued() + self.lanes.iter().map(Lane::stealable).sum::<usize>();
            let starts = (0..work).map(|_| self.start_worker());
            wake.extend(starts.take_while(|wake| !matches!(wake, Wake::None)));
        }
        wake
    }

    /// Takes back all that no worker has begun; it goes to the front of the queue in the order in which it came.
    fn recall_everything(&mut self, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        let lanes = 0..self.lanes.len();
        let mut recalled: Vec<_> = lanes.flat_map(|at| self.change(at, Lane::recall_all)).collect();
        recalled.sort_by_key(EncodedTask::id);
        self.put_back(recalled, cancelled)
    }

    /// Whether there are more workers than may be, without those that are leaving. Then none gets a task, and
    /// the next that has none leaves. It comes to an end: a worker too many is one that runs a task, and leaves when that is over.
    pub(super) fn has_surplus(&self) -> bool {
        self.lanes_in_use() > self.max_workers && self.surplus() > 0
    }

    fn surplus(&self) -> usize {
        let leaving = self.lanes.iter().filter(|lane| lane.status() == Status::Closing).count();
        self.lanes_in_use().saturating_sub(leaving + self.unwanted.len()).saturating_sub(self.max_workers)
    }

    /// Whether a driver is to start a worker in this lane.
    pub(crate) fn wants_worker_at(&self, at: usize) -> bool {
        self.wants_worker() && !self.unwanted.contains(&at)
    }
}
