//! Dead entries: those whose task is no longer queued. They are counted, and swept when they are most of the queue.

use super::Queue;
use super::state::State;
use crate::future::cell::Entry;
use crate::future::state::{Phase, Snapshot};
use crate::sync::atomic::Ordering;
use std::collections::VecDeque;

/// Dead entries that are not worth a sweep.
const SWEEP_AT_LEAST: usize = 64;

impl Queue {
    /// A task was claimed or cancelled without taking its entry out: the entry is dead. `before` is its word as it was.
    pub(in crate::thread_pool) fn forget(&self, before: Snapshot) {
        let entries = 1 + isize::from(before.is_urgent());
        if before.is_urgent() {
            self.doubled.fetch_sub(1, Ordering::Relaxed);
        }
        let dead = self.dead.fetch_add(entries, Ordering::Relaxed) + entries;
        let guess = self.inbox.len_hint() + self.state.len_hint();
        let sweep = is_worth_a_sweep(dead, guess);
        if self.config.capacity.is_none() && !sweep {
            return;
        }
        let mut state = self.section();
        self.release_place(&mut state);
        let removed = if sweep { self.sweep(&mut state) } else { Vec::new() };
        state.leave();
        // Without the lock: these may be the last pointers.
        drop(removed);
    }

    /// One entry of a task with two was taken out, and the task is no longer queued: the other entry is dead.
    pub(super) fn other_entry_is_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
        self.doubled.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes the dead entries out of all lists, if they are most of them.
    fn sweep(&self, state: &mut State) -> Vec<Entry> {
        {
            let mut inbox = self.inbox.lock();
            state.ready.append(&mut inbox.queue);
            self.note_emptied();
        }
        let mut removed = Vec::new();
        let entries = state.ready.len() + state.urgent.len() + state.in_hands();
        if is_worth_a_sweep(self.dead.load(Ordering::Relaxed), entries) {
            let (live, dead): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut state.ready).into_iter().partition(is_queued);
            state.ready = live;
            removed.extend(dead);
            let (live, dead): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.urgent).into_iter().partition(is_queued);
            state.urgent = live;
            removed.extend(dead);
            state.with_hands(|hand| {
                let (live, dead): (Vec<_>, Vec<_>) = std::mem::take(hand).into_iter().partition(is_queued);
                *hand = live;
                removed.extend(dead);
            });
            // What was removed, never zero: another thread may have made one dead and not counted it yet.
            self.dead.fetch_sub(removed.len() as isize, Ordering::Relaxed);
        }
        self.state.set_len_hint(state.ready.len());
        removed
    }
}

pub(super) fn is_queued(entry: &Entry) -> bool {
    entry.header().word.load().phase() == Phase::Queued
}

fn is_worth_a_sweep(dead: isize, entries: usize) -> bool {
    usize::try_from(dead).is_ok_and(|dead| dead > SWEEP_AT_LEAST && dead > entries / 2)
}

#[cfg(test)]
mod tests {
    use super::is_worth_a_sweep;

    #[test]
    fn a_sweep_pays_when_most_entries_are_dead() {
        assert!(!is_worth_a_sweep(64, 64));
        assert!(is_worth_a_sweep(65, 129));
        assert!(!is_worth_a_sweep(65, 130));
        assert!(!is_worth_a_sweep(-3, 0));
    }
}
