//! Threads that are started before there is anything to do.

use super::Queue;
use super::section::Section;
use crate::executor::WarmUp;
use crate::future::Future;
use crate::thread_pool::stats::Slot;
use std::sync::Arc;

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
        self.start_all(&mut |slot| slot.await_start(&warm_up)).leave();
        future
    }

    /// Starts all threads that there may be; each is shown before it runs. Returns in the section that found no more to start.
    pub(super) fn start_all(&self, show: &mut dyn FnMut(&Arc<Slot>)) -> Section<'_> {
        // Those that are idle may end as fast as others come: none is started in the place of one that was started here.
        let mut left = self.max_workers();
        // One after the other: if the system refuses one, no more are tried.
        loop {
            let mut state = self.section();
            let is_closed = state.closed || self.inbox.lock().closed().is_some();
            let is_enough = left == 0 || state.threads >= self.max_workers();
            if is_closed || is_enough || !self.can_start(&state) {
                return state;
            }
            left -= 1;
            let slot = self.count_one_more(&mut state);
            show(&slot);
            state.leave();
            self.start(&slot);
        }
    }
}
