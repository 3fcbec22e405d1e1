//! Threads that are started before there is anything to do.

use super::Queue;
use super::threads::Refused;
use crate::executor::WarmUp;
use crate::future::Future;
use crate::thread_pool::stats::Slot;

impl Queue {
    /// Starts all threads that there may be; the future is done when each has been initialized.
    pub(in crate::thread_pool) fn warm_up(&self) -> Future<()> {
        let (warm_up, future) = WarmUp::new();
        let state = self.section();
        let refusal = self.inbox.lock().closed().map(|closed| closed.error());
        refusal.into_iter().for_each(|error| warm_up.fail(error));
        for slot in state.slots.values().filter(|slot| slot.is_starting()) {
            slot.await_start(&warm_up);
        }
        state.leave();
        self.start_all(&|slot| slot.await_start(&warm_up));
        future
    }

    /// Starts all threads that there may be; each is shown before it runs.
    pub(super) fn start_all(&self, show: &dyn Fn(&Slot)) {
        // One after the other: if the system refuses one, no more are tried.
        loop {
            let mut state = self.section();
            let is_closed = state.closed || self.inbox.lock().closed().is_some();
            if is_closed || state.threads >= self.max_workers() || !self.can_start(&state) {
                state.leave();
                break;
            }
            state.threads += 1;
            state.starting += 1;
            let is_retry = state.refused.is_some();
            state.refused.iter_mut().for_each(Refused::trying);
            let slot = self.add_slot(&mut state, is_retry);
            show(&slot);
            state.leave();
            self.start(&slot);
        }
    }
}
