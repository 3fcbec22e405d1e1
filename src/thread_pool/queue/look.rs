//! What a worker does next: it takes a task, searches, rests or ends.

use super::Queue;
use super::hand::Pace;
use super::section::{RestEnd, Section};
use super::state::State;
use crate::future::cell::Entry;
use crate::sync::atomic::Ordering;
use crate::sync::spin_until;
use crate::thread_pool::stats::Slot;
use std::sync::Arc;

/// As what a worker is counted when it comes to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::thread_pool) enum CountedAs {
    Starting,
    Returning,
    Searching,
    /// It may have a hand.
    Active,
}

/// What it does after the look.
pub(in crate::thread_pool) enum NextStep {
    Run(Entry),
    Search,
    End,
}

impl Queue {
    /// One look at the queue: take a task, or search, or rest, or end.
    pub(in crate::thread_pool) fn look(&self, counted: CountedAs, slot: &Arc<Slot>) -> NextStep {
        if counted == CountedAs::Active
            && let Some(entry) = self.next_in_hand(slot)
        {
            return NextStep::Run(entry);
        }
        let mut pace = self.pace(slot);
        let mut state = self.section();
        match counted {
            CountedAs::Starting => {
                state.lower(|state| &mut state.starting, 1);
                slot.set_started();
                if slot.is_retry {
                    state.refused = None;
                }
                if let Some(warm_up) = slot.has_started() {
                    // What hangs on the future is user code.
                    state.leave();
                    drop(warm_up);
                    state = self.section();
                }
            }
            CountedAs::Returning => self.lower_returning(&mut state),
            CountedAs::Searching | CountedAs::Active => {}
        }
        let mut searcher = counted == CountedAs::Searching;
        state.take_old_hands_back(&mut pace);
        loop {
            if slot.addressed() > 0
                && let Some(entry) = Self::take_addressed(&mut state, slot)
            {
                state.searching &= !searcher;
                state.leave();
                return NextStep::Run(entry);
            }
            let over = state.active() > self.max_workers();
            if over {
                state.give_back(slot);
            }
            if !state.broken
                && !over
                && let Some(entry) = self.take(&mut state, slot, &mut pace)
            {
                if searcher {
                    state.searching = false;
                }
                state.leave();
                return NextStep::Run(entry);
            }
            if !state.dead.is_empty() {
                // Before it searches or rests, and still as what it is: nobody else searches meanwhile if this worker does.
                state.leave();
                state = self.section();
                continue;
            }
            // A surplus worker has nothing to stay for once the pool is shut down: others are active.
            if state.broken || (state.closed && (over || self.is_empty(&state))) {
                return self.end(state, searcher, slot);
            }
            if !over && !state.searching {
                state.searching = true;
                state.leave();
                return NextStep::Search;
            }
            if searcher {
                state.searching = false;
            }
            state.give_back(slot);
            match state.rest(slot) {
                RestEnd::Woken(back) => (state, searcher) = (back, true),
                RestEnd::Closed(back) | RestEnd::Addressed(back) => (state, searcher) = (back, false),
                RestEnd::LongEnough(back) => return self.end(back, false, slot),
            }
        }
    }

    /// Spins while the inbox is empty; the searcher's short wait before it rests.
    pub(in crate::thread_pool) fn search(&self) {
        spin_until(|| self.inbox.len_hint() > 0);
    }

    /// The worker leaves for good.
    fn end(&self, mut state: Section<'_>, searcher: bool, slot: &Arc<Slot>) -> NextStep {
        state.lower(|state| &mut state.threads, 1);
        if searcher {
            state.searching = false;
        }
        state.give_back(slot);
        self.remove_slot(&mut state, slot);
        if state.threads == 0 {
            self.ended.notify_all();
        }
        state.leave();
        NextStep::End
    }

    /// Claims the next queued task: urgent first, newest first; then the oldest, of the worker's hand, of those that are
    /// ready, of another's hand. It may take more of what is ready along.
    fn take(&self, state: &mut State, slot: &Arc<Slot>, pace: &mut Pace) -> Option<Entry> {
        let taken = loop {
            let next = state.urgent.pop().or_else(|| slot.hand.pop());
            let next = next.or_else(|| self.pop_ready(state)).or_else(|| state.steal(slot, pace));
            match next {
                Some(entry) if self.claim(&entry) => {
                    self.release_place(state);
                    state.fill_hand(slot, pace);
                    break Some(entry);
                }
                Some(dead) => state.dead.push(dead),
                None => break None,
            }
        };
        self.state.set_len_hint(state.ready.len());
        taken
    }

    fn pop_ready(&self, state: &mut State) -> Option<Entry> {
        if state.ready.is_empty() && self.inbox.len_hint() > 0 {
            let mut inbox = self.inbox.lock();
            std::mem::swap(&mut inbox.queue, &mut state.ready);
            self.note_emptied();
        }
        state.ready.pop_front()
    }

    /// The inbox was taken over; its lock is held.
    pub(super) fn note_emptied(&self) {
        self.inbox.set_len_hint(0);
        self.emptied.store(self.emptied.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn is_empty(&self, state: &State) -> bool {
        state.ready.is_empty()
            && state.urgent.is_empty()
            && state.in_hands() == 0
            && self.inbox.lock().queue.is_empty()
    }

    /// A worker has ended its user code and is about to look: as what it counts until then. With a hand it is about to run
    /// the next of it, and nobody may expect it.
    pub(in crate::thread_pool) fn returns(&self, slot: &Slot) -> CountedAs {
        if !slot.hand.is_empty() {
            return CountedAs::Active;
        }
        self.returning.fetch_add(1, Ordering::Relaxed);
        CountedAs::Returning
    }

    /// It isn't yet: callbacks turned up.
    pub(in crate::thread_pool) fn returns_later(&self, counted: CountedAs) {
        if counted != CountedAs::Returning {
            return;
        }
        let mut state = self.section();
        self.lower_returning(&mut state);
        state.leave();
    }

    fn lower_returning(&self, state: &mut State) {
        if self.returning.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.returning.fetch_add(1, Ordering::Relaxed);
            state.note_miscount();
        }
    }
}
