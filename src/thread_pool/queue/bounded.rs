//! The places of a bounded queue, and the threads that wait for one.

use super::Queue;
use super::state::State;
use crate::error::{Rejected, TaskError};
use crate::executor::WhenFull;
use crate::future::cell::Entry;
use crate::future::hub::{Hub, RingWhen};
use std::sync::Arc;

pub(super) struct PlaceWaiter {
    pub(super) hub: Arc<Hub>,
    /// A worker of this pool: told to look when nobody is active.
    pub(super) own: bool,
}

impl Queue {
    pub(in crate::thread_pool) fn is_bounded(&self) -> bool {
        self.config.capacity.is_some()
    }

    #[inline(never)]
    pub(super) fn push_bounded(&self, entry: Entry, capacity: usize, when_full: WhenFull) {
        let slot = self.own_slot();
        let own = slot.is_some();
        let mut told = false;
        let mut state = self.section();
        loop {
            let closed = self.inbox.lock().closed().cloned();
            // A worker that waits for its own pool's queue while nobody is left to empty it is let in over capacity.
            let stuck = told && own && self.is_stuck(&state);
            if closed.is_some() || state.live < capacity || stuck {
                if let (Some(slot), true) = (&slot, told) {
                    state.unhold(slot, 1);
                }
                if let Some(closed) = closed {
                    state.leave();
                    return self.observed().refuse(&*entry, closed.error());
                }
                let entered = entry.header().word.mark_entered();
                let gone = (!entered && self.observed().is_set()).then(|| entry.clone());
                if entered {
                    state.live += 1;
                    let mut inbox = self.inbox.lock();
                    inbox.queue.push_back(entry);
                    self.inbox.set_len_hint(inbox.queue.len());
                } else if told {
                    // Cancelled or run while it waited: the place goes to the next.
                    Self::tell_place(&mut state);
                }
                state.leave();
                return gone.iter().for_each(|task| self.observed().gone(&**task));
            }
            match when_full {
                WhenFull::Reject => {
                    state.leave();
                    return self.observed().refuse(&*entry, TaskError::Rejected(Rejected::Full));
                }
                WhenFull::CallerRuns => {
                    state.leave();
                    return self.run_on_caller(&entry);
                }
                WhenFull::Block => {
                    let hub = Hub::new(RingWhen::Completed(1));
                    let ticket = state.tickets;
                    state.tickets += 1;
                    state.place_waiters.insert(ticket, PlaceWaiter { hub: hub.clone(), own });
                    if let (Some(slot), false) = (&slot, told) {
                        state.hold(slot, 1);
                    }
                    state.leave();
                    // Rung, or told to help: either way it looks again.
                    let _ = hub.sleep(None);
                    told = true;
                    state = self.section();
                    state.place_waiters.remove(&ticket);
                }
            }
        }
    }

    /// A queued task is queued no more: its place is free.
    pub(super) fn release_place(&self, state: &mut State) {
        if self.config.capacity.is_some() {
            state.lower(|state| &mut state.live, 1);
            Self::tell_place(state);
        }
    }

    fn tell_place(state: &mut State) {
        if let Some((_, waiter)) = state.place_waiters.pop_first() {
            waiter.hub.ring();
        }
    }
}
