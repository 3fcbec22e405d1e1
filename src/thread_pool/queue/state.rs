//! [`State`]: everything about a pool but its inbox, and the counters that never fall below zero.

use super::awaits::Await;
use super::bounded::PlaceWaiter;
use super::hand::Taken;
use super::observed::WaitChange;
use super::threads::Refused;
use crate::future::cell::Entry;
use crate::future::hub::Hub;
use crate::thread_pool::stats::Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

#[derive(Default)]
pub(super) struct State {
    /// Older than anything in the inbox.
    pub(super) ready: VecDeque<Entry>,
    /// Taken out, and cancelled or run before. They are dropped without the lock: with them goes what is the user's.
    pub(super) dead: Vec<Entry>,
    /// Whose hand may have something in it, in the order in which they were taken.
    pub(super) hands: Vec<Taken>,
    /// Second entries of tasks that a blocked waiter needs; the newest is last and served first.
    pub(super) urgent: Vec<Entry>,
    /// Tasks for one worker each, in the workers' slots, dead ones included.
    pub(super) addressed: usize,
    pub(super) threads: usize,
    pub(super) blocked: usize,
    /// Workers that rest, the last to rest at the end: it is called first. One that is called is no longer among them.
    pub(super) resting: Vec<Arc<Slot>>,
    pub(super) starting: usize,
    pub(super) searching: bool,
    /// What was last stored in the inbox.
    pub(super) ask: bool,
    pub(super) closed: bool,
    /// It was closed by a shutdown that cancels.
    pub(super) cancelling: bool,
    pub(super) broken: bool,
    /// The greatest `max_workers` that was set since the pool was built.
    pub(super) most_workers: usize,
    /// The system refused a thread, and none was had since.
    pub(super) refused: Option<Refused>,
    /// Queued tasks, of a bounded pool.
    pub(super) live: usize,
    /// By their tickets, which rise: first come, first served.
    pub(super) place_waiters: BTreeMap<u64, PlaceWaiter>,
    pub(super) tickets: u64,
    /// Blocked waiters that could run one of their own tasks, by the number of their worker and the address of the hub,
    /// which no other hub has while it is in here.
    pub(super) helpers: BTreeMap<(usize, usize), Arc<Hub>>,
    /// What own workers have polled, dead ones included.
    pub(super) awaiting: Vec<Weak<Await>>,
    /// A counter was to fall below zero: a mistake of ours, told once.
    pub(super) miscount: Miscount,
    /// By their numbers.
    pub(super) slots: BTreeMap<usize, Arc<Slot>>,
    /// The pool has an observer.
    pub(super) is_observed: bool,
    /// What it is to be told when this section ends.
    pub(super) wait_changes: Vec<WaitChange>,
    pub(super) free_numbers: BTreeSet<usize>,
    /// Every number below this has been given to a thread.
    pub(super) numbers: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Miscount {
    #[default]
    None,
    Seen,
    Told,
}

impl State {
    pub(super) fn active(&self) -> usize {
        // What would be negative is a mistake in these counters, seen by `check`; a wrapped number would stop the pool.
        self.threads.saturating_sub(self.blocked).saturating_sub(self.resting.len())
    }

    /// The thread behind `slot` is in that many more waits: with the first it counts as blocked, and has no hand. A thread
    /// that is still starting is not coming meanwhile.
    pub(super) fn hold(&mut self, slot: &Slot, waits: usize) {
        let before = slot.holds();
        slot.set_holds(before + waits);
        if before == 0 && waits > 0 {
            self.blocked += 1;
            self.give_back(slot);
            if self.is_observed {
                self.note_wait(slot, true);
            }
            if slot.is_starting() {
                self.lower(|state| &mut state.starting, 1);
            }
        }
    }

    /// A worker's rest is over, and nobody has called it.
    pub(super) fn end_rest(&mut self, slot: &Arc<Slot>) {
        match self.resting.iter().rposition(|resting| Arc::ptr_eq(resting, slot)) {
            Some(index) => drop(self.resting.remove(index)),
            None => self.note_miscount(),
        }
    }

    /// It is in that many waits fewer: with the last it is active again.
    pub(super) fn unhold(&mut self, slot: &Slot, waits: usize) {
        let Some(left) = slot.holds().checked_sub(waits) else { return self.note_miscount() };
        slot.set_holds(left);
        if left == 0 && waits > 0 {
            self.lower(|state| &mut state.blocked, 1);
            if self.is_observed {
                self.note_wait(slot, false);
            }
            if slot.is_starting() {
                self.starting += 1;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn note_wait(&mut self, slot: &Slot, waits: bool) {
        self.wait_changes.push(WaitChange { at: Instant::now(), worker: slot.name.clone(), waits });
    }

    /// Every counter falls here, and none below zero.
    pub(super) fn lower(&mut self, counter: impl FnOnce(&mut State) -> &mut usize, by: usize) {
        let counter = counter(self);
        match counter.checked_sub(by) {
            Some(left) => *counter = left,
            None => {
                *counter = 0;
                self.note_miscount();
            }
        }
    }

    #[cold]
    pub(super) fn note_miscount(&mut self) {
        debug_assert!(false, "a counter of a pool would have fallen below zero");
        if self.miscount == Miscount::None {
            self.miscount = Miscount::Seen;
        }
    }

    pub(super) fn check(&mut self) {
        if self.blocked + self.resting.len() > self.threads {
            self.note_miscount();
        }
    }
}
