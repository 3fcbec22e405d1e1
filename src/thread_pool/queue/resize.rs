//! How many workers there may be, and how that changes while the pool runs.

use super::Queue;
use super::state::State;
use super::threads::SPARE_REST;
use crate::clock;
use crate::sync::plain::Ordering;
use crate::thread_pool::stats::Slot;
use std::time::Instant;

impl Queue {
    /// How many tasks run at once at most.
    pub(in crate::thread_pool) fn max_workers(&self) -> usize {
        self.max_workers.load(Ordering::Relaxed)
    }

    /// The same, from now on.
    ///
    /// Fewer: whoever is active beyond the number finds that at its next look, gives its hand back and rests; one with a hand looks
    /// before the next task of it, since `leave` sets [`attention`](Queue::attention). Those that rest already are woken, for some of
    /// them may leave now: each decides in the section in which it goes, so no more leave than are too many.
    pub(in crate::thread_pool) fn set_max_workers(&self, n: usize) {
        let mut state = self.section();
        let before = self.max_workers();
        self.max_workers.store(n, Ordering::Relaxed);
        state.most_workers = state.most_workers.max(n);
        if n < before {
            // After the change: one that is about to rest holds the lock until it can be notified.
            state.leave_and_ring();
        } else {
            state.leave();
        }
        // By that section and those to come all that rest are called, if tasks are queued: each calls the next when it takes its
        // first task. Each of those that are started would start the next then, which is after an initializer that may take long.
        for _ in before..n {
            let mut state = self.section();
            let queued = self.queued(&state, self.inbox.lock().queue.len());
            let coming = self.coming(&state) + usize::from(state.searching) + state.resting.len();
            let are_enough = state.active() + state.resting.len() >= self.max_workers();
            if queued <= coming || are_enough || !self.can_start(&state) {
                return state.leave();
            }
            let slot = self.count_one_more(&mut state);
            state.leave();
            self.start(&slot);
        }
    }

    /// The greatest number of workers there might ever be: as many may be in waits, and their spares come on top.
    pub(super) fn most_workers(&self, state: &State) -> usize {
        state.most_workers.max(self.config.max_workers)
    }

    /// Until when a worker rests that has rested from `since` on; `None`, until it is woken.
    pub(super) fn rests_until(&self, state: &State, slot: &Slot, since: Instant) -> Option<Instant> {
        if slot.is_kept() {
            return None;
        }
        let is_surplus = state.threads > self.max_workers();
        let limit = if is_surplus { Some(SPARE_REST) } else { self.config.keep_alive };
        limit.and_then(|limit| clock::after(since, limit))
    }
}
