//! [`Hand`]: the next few tasks of a worker, which it comes for without the pool's lock.
//!
//! With short tasks the lock of the state is what workers meet at. So a worker takes several at a time while tasks are short
//! and many are queued; they lie in its hand, unclaimed: they may be cancelled, run in place and taken away as any other.
//!
//! - *How many*: up to [`MOST`], twice as many at each look, while the time from look to look stays below [`SHORT`]; and
//!   never more than a worker's half share of what is queued.
//! - *Whoever finds nothing queued* takes half of what lies in another's hand: no worker sleeps beside a queued task.
//! - *What is in a hand waits for the task that its worker runs*, and that may turn out long. A hand that is [`OLD`] goes back to
//!   the front of the queue, by whoever looks next; and its own worker looks, too, which asks the clock at each
//!   [`STRETCH`] of its tasks.
//! - *A worker that waits, rests or ends has no hand*; nor has one that is too many. Else another would begin younger tasks
//!   first, also where there is one worker and a spare.
//! - *A worker with a hand looks at the state between two of its tasks* if somebody needs one urgently or too many are
//!   active ([`Queue::attention`]).
//! - Pools with a bounded queue have no hands: there each task that begins gives a place back, under the lock.

use super::Queue;
use super::state::State;
use crate::future::cell::Entry;
use crate::sync::atomic::Ordering;
use crate::sync::{CachePadded, HAS_CLOCK, IS_TIMED, Mutex, plain};
use crate::thread_pool::stats::Slot;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks that a worker takes at a time, at most.
const MOST: usize = 32;

/// While its tasks took less than this in all, a worker takes more the next time.
const SHORT: Duration = Duration::from_micros(20);

/// A hand that lies for longer: its worker is at something else. Twice what it was to take.
const OLD: Duration = Duration::from_micros(40);

/// Tasks of its hand that a worker runs between two looks at the clock: which costs about what a tenth of such a task does.
const STRETCH: usize = 8;

/// While no more than these are queued, each is taken for itself, and nobody asks the clock.
const FEW: usize = 16;

/// Locked after the state, by whoever locks both.
#[derive(Default)]
pub(in crate::thread_pool) struct Hand(CachePadded<Inner>);

#[derive(Default)]
struct Inner {
    held: Mutex<Held>,
    /// Rises in a section of the state only. Falls also without: after the dead were counted that were taken out.
    len: plain::AtomicUsize,
}

#[derive(Default)]
struct Held {
    /// The oldest last, where its worker takes it from.
    tasks: Vec<Entry>,
    /// How many its worker took at its last look, at most.
    run: usize,
    /// When that was.
    since: Option<Instant>,
}

impl Held {
    fn is_old(&self) -> bool {
        HAS_CLOCK && self.since.is_none_or(|since| since.elapsed() > OLD) && IS_TIMED
    }
}

/// A worker that has taken a hand, and may have something of it still.
pub(super) struct Taken {
    slot: Arc<Slot>,
    /// `None` where there is no clock.
    at: Option<Instant>,
}

/// How many tasks a worker may take at a look.
pub(super) struct Pace {
    most: usize,
    /// Of the look, if the clock was asked.
    now: Option<Instant>,
}

impl Pace {
    fn now(&mut self) -> Option<Instant> {
        if HAS_CLOCK { Some(*self.now.get_or_insert_with(Instant::now)) } else { None }
    }
}

impl Hand {
    pub(in crate::thread_pool) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In a section of the state: never less than there is.
    fn len(&self) -> usize {
        // ORDERING: Acquire pairs with the Release below: who sees that an entry is gone sees it gone from the dead, too.
        self.0.len.load(Ordering::Acquire)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Vec<Entry>) -> R) -> R {
        let mut held = self.0.held.lock();
        let done = change(&mut held.tasks);
        self.note_len(&held);
        done
    }

    fn note_len(&self, held: &Held) {
        // ORDERING: Release pairs with the Acquire above.
        self.0.len.store(held.tasks.len(), Ordering::Release);
    }

    /// Takes the oldest out, for its worker, unless the worker should look at the state. `claim` says whether it is to be
    /// run, with the hand's lock held.
    fn take_next(&self, claim: impl FnOnce(&Entry) -> bool) -> Option<(Entry, bool)> {
        let mut held = self.0.held.lock();
        if held.tasks.len().is_multiple_of(STRETCH) && held.is_old() {
            return None;
        }
        let entry = held.tasks.pop()?;
        let is_claimed = claim(&entry);
        self.note_len(&held);
        Some((entry, is_claimed))
    }

    /// Takes the oldest out, in a section of the state.
    pub(super) fn pop(&self) -> Option<Entry> {
        if self.is_empty() { None } else { self.with(Vec::pop) }
    }

    /// The worker, whose hand is empty, takes these along at this moment, the oldest first.
    fn put(&self, tasks: impl DoubleEndedIterator<Item = Entry>, at: Option<Instant>) {
        let mut held = self.0.held.lock();
        held.tasks.extend(tasks.rev());
        held.since = at;
        self.note_len(&held);
    }

    /// Takes the older half out, the oldest last.
    fn take_half(&self) -> Vec<Entry> {
        if self.is_empty() {
            return Vec::new();
        }
        self.with(|tasks| tasks.split_off(tasks.len() / 2))
    }

    fn pace(&self, now: Instant) -> usize {
        let mut held = self.0.held.lock();
        let is_short = held.since.is_some_and(|since| now.saturating_duration_since(since) < SHORT);
        held.run = if is_short || !IS_TIMED { (2 * held.run).clamp(1, MOST) } else { 1 };
        held.since = Some(now);
        held.run
    }
}

impl State {
    /// Entries that lie in hands.
    pub(super) fn in_hands(&self) -> usize {
        self.hands.iter().map(|taken| taken.slot.hand.len()).sum()
    }

    /// Does something with all that lies in hands.
    pub(super) fn with_hands(&self, mut change: impl FnMut(&mut Vec<Entry>)) {
        self.hands.iter().for_each(|taken| taken.slot.hand.with(&mut change));
    }

    /// Has no worker's hand on the list any more; all are empty.
    pub(super) fn forget_hands(&mut self) {
        self.hands.clear();
    }

    /// A worker's hand goes back to the front of the queue.
    pub(super) fn give_back(&mut self, slot: &Slot) {
        let index = self.hands.iter().position(|taken| std::ptr::eq(&raw const *taken.slot, slot));
        if let Some(index) = index {
            self.give_back_nth(index);
        }
    }

    fn give_back_nth(&mut self, index: usize) {
        let Taken { slot, .. } = self.hands.remove(index);
        if !slot.hand.is_empty() {
            slot.hand.with(|tasks| tasks.drain(..).for_each(|entry| self.ready.push_front(entry)));
        }
    }

    /// The same for hands that have lain too long.
    pub(super) fn take_old_hands_back(&mut self, pace: &mut Pace) {
        if self.hands.is_empty() {
            return;
        }
        let Some(now) = pace.now() else { return };
        let is_old = |at: Instant| now.saturating_duration_since(at) > OLD && IS_TIMED;
        // They are listed as they were taken; the oldest comes to the front last.
        let old = self.hands.partition_point(|taken| taken.at.is_some_and(is_old));
        (0..old).rev().for_each(|index| self.give_back_nth(index));
    }

    /// A worker takes the next of what is ready along, if it may take more than the one it has just taken.
    pub(super) fn fill_hand(&mut self, slot: &Arc<Slot>, pace: &mut Pace) {
        let workers = self.threads.saturating_sub(self.blocked).max(1);
        // A model has few tasks: there half of them are enough for a hand.
        let share = if HAS_CLOCK { self.ready.len() / (2 * workers) } else { self.ready.len().div_ceil(2) };
        let many = share.min(pace.most.saturating_sub(1));
        if many > 0 && slot.hand.is_empty() {
            slot.hand.put(self.ready.drain(..many), pace.now());
            self.list_hand(slot, pace.now());
        }
    }

    /// Half of what another worker has in its hand, for one that finds nothing else: the oldest of it; the rest goes into
    /// its own hand.
    pub(super) fn steal(&mut self, slot: &Arc<Slot>, pace: &mut Pace) -> Option<Entry> {
        let others = self.hands.iter().filter(|taken| !Arc::ptr_eq(&taken.slot, slot));
        let mut stolen = others.map(|taken| taken.slot.hand.take_half()).find(|half| !half.is_empty())?;
        let first = stolen.pop();
        if !stolen.is_empty() {
            slot.hand.put(stolen.into_iter().rev(), pace.now());
            self.list_hand(slot, pace.now());
        }
        first
    }

    fn list_hand(&mut self, slot: &Arc<Slot>, at: Option<Instant>) {
        let before = self.hands.iter().position(|taken| Arc::ptr_eq(&taken.slot, slot));
        let slot = before.map_or_else(|| slot.clone(), |index| self.hands.remove(index).slot);
        self.hands.push(Taken { slot, at });
    }
}

impl Queue {
    /// How many tasks a worker may take that comes to look.
    pub(super) fn pace(&self, slot: &Slot) -> Pace {
        // Models have no clock: there a hand is taken wherever it may be.
        if !HAS_CLOCK && self.config.capacity.is_none() {
            return Pace { most: MOST, now: None };
        }
        let are_few = self.state.len_hint() <= FEW && self.inbox.len_hint() <= FEW;
        if self.config.capacity.is_some() || are_few {
            return Pace { most: 1, now: None };
        }
        let now = Instant::now();
        Pace { most: slot.hand.pace(now), now: Some(now) }
    }

    /// Claims the next task of a worker's own hand, if nothing else comes first.
    pub(super) fn next_in_hand(&self, slot: &Slot) -> Option<Entry> {
        while !slot.hand.is_empty() && !self.attention.load(Ordering::Relaxed) {
            match slot.hand.take_next(|entry| self.claim(entry)) {
                Some((entry, true)) => return Some(entry),
                // A dead one is dropped without the lock.
                Some((_, false)) => {}
                None => break,
            }
        }
        None
    }

    /// Claims the task of an entry that was taken out; false if it is dead.
    pub(super) fn claim(&self, entry: &Entry) -> bool {
        match entry.header().word.claim() {
            Some(before) => {
                if before.is_urgent() {
                    self.other_entry_is_dead();
                }
                true
            }
            None => {
                self.dead.fetch_sub(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Has workers with a hand look at the state before they go on with it, or not. In a section.
    pub(super) fn set_attention(&self, state: &State) {
        let wanted = !state.urgent.is_empty()
            || state.addressed > 0
            || state.broken
            || state.active() > self.max_workers();
        if wanted != self.attention.load(Ordering::Relaxed) {
            self.attention.store(wanted, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hand, MOST, SHORT};
    use std::time::{Duration, Instant};

    #[test]
    fn a_hand_grows_while_tasks_are_short() {
        let (hand, began) = (Hand::default(), Instant::now());
        let mut now = began;
        let mut pace = |passed: Duration| {
            now += passed;
            hand.pace(now)
        };
        let paces: Vec<usize> = (0..7).map(|_| pace(SHORT / 2)).collect();
        assert_eq!(paces, [1, 2, 4, 8, 16, 32, MOST]);
        assert_eq!([pace(SHORT), pace(SHORT / 2)], [1, 2]);
    }
}
