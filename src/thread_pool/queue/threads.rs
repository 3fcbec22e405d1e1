//! The pool's threads: when one can be had, how it is started, and what becomes of a refusal.

use super::Queue;
use super::inbox::Closed;
use super::state::State;
use crate::clock;
use crate::contain::contain;
use crate::error::{Broken, TaskError};
use crate::logging;
use crate::sync::{HAS_CLOCK, thread};
use crate::thread_pool::stats::Slot;
use crate::thread_pool::worker;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Threads beyond the greatest `max_workers` there was, at most: workers that replace those blocked in waits. Java's ForkJoinPool has this
/// figure.
const SPARES: usize = 256;

/// How long a spare stays when there is nothing to do. Not at once: timed waits in a loop would start a thread each.
pub(super) const SPARE_REST: Duration = Duration::from_millis(500);

/// After the system has refused a thread none is tried for this long; twice as long after each further refusal, up to 64
/// times.
const REFUSED_FOR: Duration = Duration::from_millis(10);

/// The smallest stack that a thread is started with, where less is asked for: the worker itself needs some.
const LEAST_STACK: usize = 64 << 10;

/// Threads that were started and not joined.
#[derive(Default)]
pub(super) struct Handles {
    pub(super) all: Vec<thread::JoinHandle<()>>,
    /// Threads that take some out, and wait for the ends of theirs.
    pub(super) joiners: usize,
    /// Those of ended threads are swept when there are this many: each sweep is paid for by as many starts.
    sweep_at: usize,
}

impl Handles {
    fn sweep(&mut self) {
        const AT_LEAST: usize = 16;
        if self.all.len() >= self.sweep_at {
            self.all.retain(|handle| !thread::is_finished(handle));
            self.sweep_at = (2 * self.all.len()).max(AT_LEAST);
        }
    }
}

/// The system refused a thread.
pub(super) struct Refused {
    /// No thread is tried before.
    until: Option<Instant>,
    times: u32,
}

impl Refused {
    fn again(before: Option<&Self>) -> Self {
        let times = before.map_or(0, |before| before.times.saturating_add(1));
        Refused { until: clock::deadline_after(REFUSED_FOR * (1 << times.min(6))), times }
    }

    /// One at a time is tried, until one is there.
    fn trying(&mut self) {
        self.until = clock::deadline_after(REFUSED_FOR * 64);
    }

    fn is_over(&self) -> bool {
        HAS_CLOCK && clock::is_over(self.until)
    }
}

impl State {
    /// When a thread is tried again, if the system refused one.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let refused = self.refused.as_ref().filter(|refused| HAS_CLOCK && !refused.is_over());
        refused.and_then(|refused| refused.until)
    }
}

impl Queue {
    pub(super) fn can_start(&self, state: &State) -> bool {
        self.has_room(state) && (state.refused.as_ref().is_none_or(Refused::is_over) || state.threads == 0)
    }

    fn has_room(&self, state: &State) -> bool {
        state.threads < self.most_workers(state).saturating_add(SPARES) && !state.broken
    }

    /// A thread was refused, and may be had when somebody looks again.
    pub(super) fn may_start_later(&self, state: &State) -> bool {
        HAS_CLOCK && state.refused.is_some() && self.has_room(state)
    }

    /// Whether another worker could be had at once: one is idle, or fewer than `max_workers` were started. True or
    /// false, it may be otherwise in the next moment, so only a preference may rest on it.
    pub(in crate::thread_pool) fn has_another(&self) -> bool {
        let state = self.peek();
        !state.resting.is_empty() || (state.threads < self.max_workers() && self.can_start(&state))
    }

    /// When a thread is tried again, if the system refused one.
    pub(in crate::thread_pool) fn retry_at(&self) -> Option<Instant> {
        self.peek().retry_at()
    }

    /// It is time to try.
    pub(in crate::thread_pool) fn try_again(&self) {
        self.section().leave();
    }

    /// Counts one more thread, which is about to be started.
    pub(super) fn count_one_more(&self, state: &mut State) -> Arc<Slot> {
        state.threads += 1;
        state.starting += 1;
        let is_retry = state.refused.is_some();
        state.refused.iter_mut().for_each(Refused::trying);
        self.add_slot(state, is_retry)
    }

    /// The slot of one more thread, with the smallest number that is free.
    fn add_slot(&self, state: &mut State, is_retry: bool) -> Arc<Slot> {
        let number = state.free_numbers.pop_first().unwrap_or_else(|| {
            state.numbers += 1;
            state.numbers - 1
        });
        let name = format!("{}_{number}", self.config.name_prefix);
        let slot = Slot::new(number, name.into(), is_retry);
        state.slots.insert(number, slot.clone());
        slot
    }

    pub(super) fn remove_slot(&self, state: &mut State, slot: &Arc<Slot>) {
        state.slots.remove(&slot.number);
        state.free_numbers.insert(slot.number);
        self.counters.fold(slot);
    }

    pub(in crate::thread_pool) fn slots(&self) -> Vec<Arc<Slot>> {
        self.peek().slots.values().cloned().collect()
    }

    /// Starts a thread that is counted already. Whatever fails in it, also by a panic, gives back what was counted.
    pub(super) fn start(&self, slot: &Arc<Slot>) {
        let started = contain(|| self.spawn(slot));
        if let Err(error) = started.unwrap_or_else(|panic| Err(std::io::Error::other(panic.message()))) {
            self.refused(slot, error);
        }
    }

    fn spawn(&self, slot: &Arc<Slot>) -> std::io::Result<()> {
        let stack_size = self.config.stack_size.max(LEAST_STACK);
        let builder = thread::Builder::new().name(slot.name.to_string()).stack_size(stack_size);
        let queue = self.me.upgrade().expect("a thread that starts another holds the pool");
        // Held while the thread starts: a join can't miss the handle of a thread that has ended already.
        let mut handles = self.handles.lock();
        handles.sweep();
        let worker_slot = slot.clone();
        handles.all.push(builder.spawn(move || worker::main(queue, worker_slot))?);
        Ok(())
    }

    fn refused(&self, slot: &Arc<Slot>, error: std::io::Error) {
        let mut state = self.section();
        state.lower(|state| &mut state.threads, 1);
        state.lower(|state| &mut state.starting, 1);
        let addressed = Self::unaddress(&mut state, slot);
        self.remove_slot(&mut state, slot);
        let is_first = state.refused.is_none();
        state.refused = Some(Refused::again(state.refused.as_ref()));
        let until = state.refused.as_ref().and_then(|refused| refused.until);
        let left = state.threads;
        let what = format!(
            "the system refused a worker thread; the pool goes on with {left} and tries again: {error}"
        );
        let broken = Broken::with_source("no worker thread could be started", error);
        let warm_up = slot.has_started();
        if left == 0 {
            for warm_up in warm_up.iter().flatten() {
                warm_up.fail(TaskError::Broken(broken.clone()));
            }
            self.break_pool(state, Closed::Refused(broken.clone(), until));
        } else {
            // A thread that joins tries again in time.
            self.ended.notify_all();
            state.leave();
        }
        self.fail_addressed(addressed, &broken);
        // The logger is the user's: called once the lock is let go of.
        if is_first {
            logging::warn(format_args!("{what}"));
        }
        drop(warm_up);
    }

    /// The initializer failed in a worker that is starting.
    pub(in crate::thread_pool) fn initializer_failed(&self, slot: &Arc<Slot>, broken: Broken) {
        let mut state = self.section();
        state.lower(|state| &mut state.threads, 1);
        state.lower(|state| &mut state.starting, 1);
        let addressed = Self::unaddress(&mut state, slot);
        self.remove_slot(&mut state, slot);
        let warm_up = slot.has_started();
        for warm_up in warm_up.iter().flatten() {
            warm_up.fail(TaskError::Broken(broken.clone()));
        }
        self.break_pool(state, Closed::Broken(broken.clone()));
        self.fail_addressed(addressed, &broken);
        drop(warm_up);
    }
}
