//! The queue and its sleep protocol: who takes which task, who sleeps, who is woken, who is started.
//!
//! Everything that a worker, a submitter, a canceller or a waiter does to the pool is a *section* of one of two mutexes.
//!
//! ```text
//! submitter -> inbox { queue, ask, closed }        all that a push touches: in a busy pool one short lock
//!                 | swapped whole when ready runs dry
//!                 v
//! worker    -> state { ready, urgent, threads, blocked, resting, starting, searching, .. }
//!                 | a few at a time, while tasks are short
//!                 v
//!              hand { tasks }                      of each worker, which comes here first
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `state.rs`, `inbox.rs`, `len_mutex.rs` | what the two mutexes protect, and the mutexes |
//! | `section.rs` | a section of the state, and the rule by which it ends |
//! | `submit.rs`, `bounded.rs` | how a task gets in; the places of a bounded queue |
//! | `look.rs`, `bell.rs` | what a worker does next; how one that rests is called |
//! | `hand.rs` | what a worker has taken along, and not begun |
//! | `blocked.rs`, `awaits.rs` | workers that wait, and workers that poll |
//! | `dead.rs` | entries whose task is no longer queued |
//! | `addressed.rs` | tasks for one worker each |
//! | `observed.rs` | what the pool's observer is told |
//! | `threads.rs` | threads that are started, refused and joined |
//! | `resize.rs` | how many workers there may be, and how that changes |
//! | `warm_up.rs` | threads that are started before there is anything to do |
//! | `shutdown.rs` | the end: a shutdown, a broken pool, a join |
//!
//! Words: *active* = threads - blocked - resting. A thread *holds* one more of these while it is in one more wait,
//! however they nest, and counts as blocked, once, while it holds any ([`State::hold`](state::State::hold)). An *entry* is one pointer to a
//! task in the inbox, in `ready` or in a worker's hand, or its second one on the urgent stack; a *dead entry* is one whose task
//! is no longer queued (cancelled, or run in place by a waiter). Lock order: state, then inbox or one hand.
//!
//! # The one rule
//!
//! A [`Section`](section::Section) ends by `leave`, which alone decides whether to wake, start or tell somebody; or, for a worker
//! that goes to sleep, by `rest`, which makes the same decision first:
//!
//! 1. `ask` := closed, broken, or (nobody searches, active < max, and somebody rests or a thread could be started).
//!    If that differs from what is stored, store it in the inbox, under the inbox's lock.
//! 2. If `ask`, or if nobody is active and no thread can be had: count what is queued, *after* the store. If more is
//!    queued than workers are on their way, add one: call the last to rest, else start a thread, else (nobody active) tell
//!    blocked waiters to look whether they can help themselves.
//! 3. Unlock.
//!
//! # Why no wake-up is lost
//!
//! Call the pool *owing* when a task is queued, active < max, a worker could be added, and nobody is *coming*
//! (searching, starting or returning: each of these is sure to look under the lock before it sleeps or runs user code).
//!
//! - *Only a push adds work outside `state`.* It writes the entry and reads `ask` in one inbox section. True: it takes
//!   `state` and leaves. False: the last store of `ask` came before the push, when somebody searched or nobody could be
//!   added; the section that changes this stores `ask` and *then* counts under the same lock, and sees the entry.
//! - *The coming do come.* A searcher clears its flag in the section in which it takes, rests or ends; `starting` falls
//!   at the first look, a refusal, a failed initializer, or while an initializer waits; `returning` at the next look, or
//!   before callbacks run. All are sections.
//! - *A call is a flag, not a notification*: a worker leaves `resting` and is called in one section. It answers, even if its
//!   time was up or it was only about to sleep, and nobody else does.
//! - *The count is never too low for long*: `dead` counts an entry only after its task stopped being queued, and the
//!   thread that removes an entry subtracts exactly that. If it is too high for a moment, one worker looks for nothing.
//! - *A hand hides nothing.* What lies in it is counted as queued, and whoever finds nothing else takes of it. It is filled
//!   in a section, which then counts what is left for others. A worker that takes the next of its own hand does so in no
//!   section, and needs none: queued tasks only become fewer by it, nobody counted it as coming, and it stays active. It
//!   subtracts a dead entry before its hand's length falls, so that a count meanwhile is too high, never too low. Whoever
//!   stops being active (waits, rests, ends) has given its hand back in the same section.
//! - *More workers may come at any time.* `max` is a number of the state: it changes in a section, which then decides by the rule
//!   with the new one. Where it rises, the section stores `ask` and counts, as any that makes room; where it falls, nobody is owed
//!   anything more.
//! - *A refusal ends.* While the system's refusal of a thread is remembered ([`threads::Refused`]), a push asks all the
//!   same, each section looks whether the time is up, and a waiter that was told to help and could not looks again at
//!   that time.
//!
//! The rules were checked together in an explicit-state model of 38 scenarios (2.8 million states), in which each rule,
//! taken away, breaks something; `tests/loom` explores the same situations in this code, and `tests/model` has the waits
//! that nest, and the hands, in a model of their own (`nested`).
//!
//! # In which order tasks begin
//!
//! As they came, on a pool of one worker: its hand is older than `ready`, `ready` older than the inbox, and a hand that is
//! given back goes to the front. Of several workers one may begin a task while older ones lie in another's hand: for some
//! tens of microseconds, since an old hand goes back to the front at the next look. A worker whose own hand turns out long
//! runs up to eight tasks of it before it looks. What is needed urgently comes before all.

mod addressed;
mod awaits;
mod bell;
mod blocked;
mod bounded;
mod dead;
mod hand;
mod inbox;
mod len_mutex;
mod look;
mod observed;
mod resize;
mod section;
mod shutdown;
mod state;
mod submit;
mod threads;
mod warm_up;

pub(super) use awaits::{Await, Token};
pub(super) use bell::Bell;
pub(super) use hand::Hand;
pub(super) use look::{CountedAs, NextStep};

use super::builder::Config;
use super::stats::{Counters, ThreadPoolStats};
use crate::contain::{Panic, drop_contained};
use crate::executor::RunningTask;
use crate::future::cell::AnyCell;
use crate::future::current::StopFlag;
use crate::future::home::{Home, HomeId};
use crate::future::state::Snapshot;
use crate::logging;
use crate::since::Beginnings;
use crate::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use crate::sync::{CachePadded, Condvar, Mutex, OnceLock, plain};
use addressed::AddressedHome;
use inbox::Inbox;
use len_mutex::LenMutex;
use section::StateLock;
use std::sync::{Arc, Weak};
use threads::Handles;

/// A pool's shared half: the queue, its workers, its rules.
pub(super) struct Queue {
    pub(super) id: HomeId,
    pub(super) config: Config,
    pub(super) counters: Counters,
    pub(super) beginnings: Beginnings,
    /// What runs is to stop.
    pub(super) stop: StopFlag,
    /// All that a push touches.
    inbox: LenMutex<Inbox>,
    /// Everything else.
    state: StateLock,
    /// How many tasks run at once at most. It changes in a section of the state only, so in a section it stands still; elsewhere
    /// it is a hint.
    max_workers: plain::AtomicUsize,
    /// How often the inbox was taken over; changes under its lock. A hint to others.
    emptied: CachePadded<plain::AtomicUsize>,
    /// Workers between the end of user code and their next look; raised outside the lock, lowered under it.
    returning: CachePadded<AtomicUsize>,
    /// Dead entries that were counted; lags behind the truth, so it may be negative for a moment.
    dead: CachePadded<AtomicIsize>,
    /// Queued tasks that have a second entry, on the urgent stack. As `dead`: counted after the fact.
    doubled: CachePadded<AtomicIsize>,
    /// Workers with a hand look at the state before they go on with it. A hint: a worker that misses it has begun its next task
    /// a moment earlier.
    attention: CachePadded<plain::AtomicBool>,
    /// Notified for threads that join.
    ended: Condvar,
    handles: Mutex<Handles>,
    /// Notified when one that took handles has joined them.
    joined: Condvar,
    /// That of tasks for one worker each, once there were any.
    addressed_home: OnceLock<Arc<AddressedHome>>,
    /// For the threads it starts.
    me: Weak<Queue>,
}

impl Queue {
    pub(super) fn new(config: Config) -> Arc<Self> {
        let is_observed = config.observed.is_set();
        let max_workers = plain::AtomicUsize::new(config.max_workers);
        let queue = Arc::new_cyclic(|me| Queue {
            id: HomeId::new(),
            config,
            counters: Counters::default(),
            beginnings: Beginnings::new(),
            stop: StopFlag::default(),
            inbox: LenMutex::new(Inbox::new()),
            state: StateLock::new(is_observed),
            max_workers,
            emptied: CachePadded::default(),
            returning: CachePadded::default(),
            dead: CachePadded::default(),
            doubled: CachePadded::default(),
            attention: CachePadded::default(),
            ended: Condvar::new(),
            handles: Mutex::default(),
            joined: Condvar::new(),
            addressed_home: OnceLock::new(),
            me: me.clone(),
        });
        let home: Weak<dyn Home> = queue.me.clone();
        queue.id.register(home);
        if queue.observed().is_set() {
            queue.beginnings.watch();
        }
        queue
    }

    pub(super) fn running(&self) -> Vec<RunningTask> {
        self.counters.running(&self.slots(), &self.beginnings)
    }

    pub(super) fn stats(&self) -> ThreadPoolStats {
        let state = self.peek();
        let entries =
            state.urgent.len() + state.ready.len() + state.in_hands() + self.inbox.lock().queue.len();
        // Tasks are counted, not entries: an urgent one has two.
        let doubled = self.doubled.load(Ordering::Relaxed).max(0) as usize;
        let dead = self.dead.load(Ordering::Relaxed).max(0) as usize;
        let addressed = Self::addressed_and_queued(&state);
        let queued = entries.saturating_sub(doubled + dead) + addressed;
        self.counters.stats(queued, state.threads, state.slots.values())
    }
}

impl Home for Queue {
    fn cancelled(&self, task: &dyn AnyCell, before: Snapshot) {
        self.counters.add_cancelled(1);
        self.observed().cancelled(task);
        self.forget(before);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.id.unregister();
        // On the thread that drops the last pointer: the owner's, which may be unwinding, or a worker's.
        let hooks = (self.config.initializer.take(), self.config.on_exit.take());
        for dropped in [drop_contained(hooks.0), drop_contained(hooks.1)] {
            log_panic_in_drop("a hook", dropped);
        }
        let closed = self.inbox.lock().closed.take();
        log_panic_in_drop("the failure", drop_contained(closed));
        self.config.observed.drop_contained();
    }
}

fn log_panic_in_drop(what: &str, dropped: Result<(), Panic>) {
    if let Err(panic) = dropped {
        logging::error(format_args!("the drop of {what} of a pool panicked: {}", panic.message()));
    }
}
