//! [`Section`]: one critical section of the pool's state, and the two ways in which it may end.
//!
//! Only this file locks the state. A section that is dropped otherwise panics where debug assertions are; [`Peek`] is for
//! those that only read.

use super::Queue;
use super::awaits::Await;
use super::len_mutex::LenMutex;
use super::state::{Miscount, State};
use crate::clock;
use crate::future::hub::Hub;
use crate::logging;
use crate::sync::atomic::Ordering;
use crate::sync::{Condvar, MutexGuard};
use crate::thread_pool::stats::Slot;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// The state behind its mutex, with the length of `ready` as a hint.
pub(super) struct StateLock(LenMutex<State>);

impl StateLock {
    pub(super) fn new(is_observed: bool) -> Self {
        StateLock(LenMutex::new(State { ask: true, is_observed, ..State::default() }))
    }

    pub(super) fn len_hint(&self) -> usize {
        self.0.len_hint()
    }

    /// The caller is in a section.
    pub(super) fn set_len_hint(&self, len: usize) {
        self.0.set_len_hint(len);
    }
}

/// The state, to read and to change, until [`leave`](Section::leave) or [`rest`](Section::rest).
#[must_use = "a section ends by `leave` or `rest`"]
pub(super) struct Section<'q> {
    queue: &'q Queue,
    state: MutexGuard<'q, State>,
    bomb: Bomb,
}

/// The state, to read only. What changes nothing has nobody to wake.
pub(super) struct Peek<'q>(MutexGuard<'q, State>);

/// Panics when it is dropped, where debug assertions are: its section was not ended by the rule.
struct Bomb;

#[cfg(debug_assertions)]
impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a section of a pool's state was dropped; `leave` ends it");
    }
}

/// Why a rest ended. The worker is in a section again, and no longer among those that rest.
pub(super) enum RestEnd<'q> {
    /// It was woken to search.
    Woken(Section<'q>),
    Closed(Section<'q>),
    /// There is a task that only this worker runs.
    Addressed(Section<'q>),
    LongEnough(Section<'q>),
}

/// What is left to do once the state is unlocked.
#[must_use]
enum Action {
    Nothing,
    Wake(Arc<Slot>),
    /// Of a thread that is counted already.
    Start(Arc<Slot>),
    Help(Vec<Arc<Hub>>, Vec<Arc<Await>>),
}

impl Queue {
    pub(super) fn section(&self) -> Section<'_> {
        Section { queue: self, state: self.state.0.lock(), bomb: Bomb }
    }

    pub(super) fn peek(&self) -> Peek<'_> {
        Peek(self.state.0.lock())
    }
}

impl Deref for Section<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Section<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Deref for Peek<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

impl Peek<'_> {
    /// Waits until `changed` is notified, or until then; true if the time was up.
    pub(super) fn wait(&mut self, changed: &Condvar, until: Option<Instant>) -> bool {
        match until {
            None => {
                changed.wait(&mut self.0);
                false
            }
            Some(at) => changed.wait_until(&mut self.0, at).timed_out(),
        }
    }
}

impl<'q> Section<'q> {
    /// Ends the section. See the module's "one rule".
    pub(super) fn leave(mut self) {
        let action = self.queue.settle(&mut self.state);
        if !self.wait_changes.is_empty() {
            return self.leave_and_tell(action);
        }
        let miscounted = self.miscount == Miscount::Seen;
        if miscounted {
            self.miscount = Miscount::Told;
        }
        let queue = self.unlock();
        queue.perform(action);
        if miscounted {
            logging::error(format_args!(
                "a pool of threads has miscounted its workers and goes on; please report this"
            ));
        }
    }

    /// The same, where the pool's observer is to be told of waits.
    #[cold]
    #[inline(never)]
    fn leave_and_tell(mut self, action: Action) {
        let changes = std::mem::take(&mut self.wait_changes);
        let queue = self.unlock();
        queue.perform(action);
        queue.tell_waits(changes);
    }

    /// The same, and each worker that rests looks whether it goes on resting.
    pub(super) fn leave_and_ring(self) {
        let resting = self.resting.clone();
        self.leave();
        resting.iter().for_each(|slot| slot.bell.ring());
    }

    /// Sleeps until there is something to look for, or for long enough.
    pub(super) fn rest(self, slot: &Arc<Slot>) -> RestEnd<'q> {
        let (queue, mut state) = (self.queue, self);
        state.resting.push(slot.clone());
        let since = Instant::now();
        // As `leave`, but the same lock is waited under.
        match queue.settle(&mut state) {
            action @ (Action::Nothing | Action::Wake(_)) => queue.perform(action),
            action => {
                state.unlock().perform(action);
                state = queue.section();
            }
        }
        loop {
            if slot.bell.answer() {
                return RestEnd::Woken(state);
            }
            if state.closed || state.broken {
                state.end_rest(slot);
                return RestEnd::Closed(state);
            }
            if slot.addressed() > 0 {
                state.end_rest(slot);
                return RestEnd::Addressed(state);
            }
            match queue.rests_until(&state, slot, since) {
                None => slot.bell.changed.wait(&mut state.state),
                Some(at) => {
                    let timed_out = slot.bell.changed.wait_until(&mut state.state, at).timed_out();
                    let is_told = state.closed || state.broken || slot.addressed() > 0;
                    let is_up = timed_out && !slot.bell.is_called() && !is_told;
                    // Others may have left meanwhile, so that this one may stay.
                    if is_up && clock::is_over(queue.rests_until(&state, slot, since)) {
                        state.end_rest(slot);
                        return RestEnd::LongEnough(state);
                    }
                }
            }
        }
    }

    /// Unlocks the state; the caller has settled it.
    fn unlock(self) -> &'q Queue {
        let Section { queue, mut state, bomb } = self;
        let dead = std::mem::take(&mut state.dead);
        drop(state);
        std::mem::forget(bomb);
        drop(dead);
        queue
    }
}

impl Queue {
    /// Whether a push should come and leave.
    fn wants_asking(&self, state: &State) -> bool {
        state.closed
            || state.broken
            || (!state.searching
                && state.active() < self.max_workers()
                && (!state.resting.is_empty() || self.can_start(state) || self.may_start_later(state)))
    }

    /// Whether every thread there is waits, and no other can be had: only the waiters can help themselves. A push from
    /// elsewhere brings nothing that they could run, so it need not ask.
    pub(super) fn is_stuck(&self, state: &State) -> bool {
        state.active() == 0 && state.resting.is_empty() && !self.can_start(state)
    }

    /// Steps 1 and 2 of the rule.
    fn settle(&self, state: &mut State) -> Action {
        state.check();
        self.set_attention(state);
        let ask = self.wants_asking(state);
        let stuck = self.is_stuck(state);
        if !ask && !state.ask && !stuck {
            return Action::Nothing;
        }
        let in_inbox = self.store_ask(state, ask);
        if !ask && !stuck {
            return Action::Nothing;
        }
        // Counted after the store, and no later than the returning and the dead: see the module's argument.
        let queued = self.queued(state, in_inbox);
        if state.searching || state.active() >= self.max_workers() || queued <= self.coming(state) {
            return Action::Nothing;
        }
        let action = if let Some(slot) = state.resting.pop() {
            slot.bell.call();
            state.searching = true;
            Action::Wake(slot)
        } else if self.can_start(state) {
            Action::Start(self.count_one_more(state))
        } else if stuck {
            let own_place_waiters =
                state.place_waiters.values().filter(|waiter| waiter.own).map(|waiter| &waiter.hub);
            let hubs = state.helpers.values().chain(own_place_waiters).cloned().collect();
            Action::Help(hubs, state.awaiting.iter().filter_map(Weak::upgrade).collect())
        } else {
            Action::Nothing
        };
        let ask = self.wants_asking(state);
        if ask != state.ask {
            self.store_ask(state, ask);
        }
        action
    }

    /// How many tasks wait for a worker, with so many in the inbox; never too few.
    pub(super) fn queued(&self, state: &State, in_inbox: usize) -> usize {
        let entries = state.urgent.len() + state.ready.len() + in_inbox + state.in_hands();
        let dead = self.dead.load(Ordering::Relaxed).max(0) as usize;
        entries.saturating_sub(dead)
    }

    /// How many workers are sure to look, beside one that searches.
    pub(super) fn coming(&self, state: &State) -> usize {
        state.starting.saturating_add(self.returning.load(Ordering::Relaxed))
    }

    /// Stores whether a push has to ask; returns how long the inbox is, after the store.
    fn store_ask(&self, state: &mut State, ask: bool) -> usize {
        let mut inbox = self.inbox.lock();
        inbox.ask = ask;
        inbox.busy = state.active() > state.starting;
        state.ask = ask;
        inbox.queue.len()
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Wake(slot) => slot.bell.ring(),
            Action::Start(slot) => self.start(&slot),
            Action::Help(hubs, awaits) => {
                hubs.iter().for_each(|hub| hub.help());
                awaits.into_iter().for_each(Await::help);
            }
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use crate::contain::contain;
    use crate::thread_pool::ThreadPoolExecutor;

    #[test]
    fn a_section_ends_by_the_rule_or_with_a_panic() {
        let pool = ThreadPoolExecutor::new(1);
        pool.queue().section().leave();
        drop(pool.queue().peek());
        let dropped = contain(|| drop(pool.queue().section()));
        assert!(dropped.is_err_and(|panic| panic.message().contains("`leave` ends it")));
    }
}
