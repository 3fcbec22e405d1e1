//! The queue and its sleep protocol: who takes which task, who sleeps, who is woken, who is started.
//!
//! Everything a worker, a submitter, a canceller or a waiter does to the pool is a *section* of one of two mutexes.
//!
//! ```text
//! submitter -> inbox { queue, ask, closed }        all that a push touches: in a busy pool one short lock
//!                 | swapped whole when ready runs dry
//!                 v
//! worker    -> state { ready, urgent, threads, blocked, sleeping, starting, wakes, searching, .. }
//! ```
//!
//! Words: *active* = threads - blocked - sleeping. An *entry* is one pointer to a task in one of the three lists; a
//! *dead entry* is one whose task is no longer queued (cancelled, or run in place by a waiter). Lock order: state, then
//! inbox.
//!
//! # The one rule
//!
//! [`Queue::leave`] is the only way to let go of `state`, and it alone decides whether to wake, start or tell somebody:
//!
//! 1. `ask` := closed, broken, or (nobody searches, active < max, and somebody sleeps or a thread could be started).
//!    If that differs from what is stored, store it in the inbox, under the inbox's lock.
//! 2. If `ask`, or if nobody is active and no thread can be had: count what is queued, *after* the store. If more is
//!    queued than workers are on their way, add one: wake a sleeper, else start a thread, else (nobody active) tell
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
//!   at the first look, a refusal or a failed initializer; `returning` at the next look, or before callbacks run. All
//!   are sections.
//! - *A wake-up is a number*: `sleeping` falls and `wakes` rises in one section; exactly one worker takes it, even one
//!   whose time was up or that was only about to sleep.
//! - *The count is never too low for long*: `dead` counts an entry only after its task stopped being queued, and whoever
//!   removes an entry subtracts exactly that. If it is too high for a moment, one worker looks for nothing.
//!
//! The rules were checked together in an explicit-state model of 38 scenarios (2.8 million states), in which each rule,
//! taken away, breaks something; `tests/loom` explores the same situations in this code.

use super::builder::Config;
use super::stats::{Counters, Slot, Stats};
use super::worker;
use crate::contain::drop_contained;
use crate::error::{Broken, Rejected, TaskError};
use crate::executor::{Shutdown, WhenFull};
use crate::future::cell::{Entry, execute_here, fail_claimed, publish_here};
use crate::future::home::{Home, HomeId};
use crate::future::hub::Hub;
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting;
use crate::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, plain, spin_for, spin_until, thread};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Threads beyond `max_workers`, at most: workers that replace those blocked in waits. Java's ForkJoinPool has this
/// figure.
const SPARES: usize = 256;

/// How long a spare stays when there is nothing to do. Not at once: timed waits in a loop would start a thread each.
const SPARE_REST: Duration = Duration::from_millis(500);

/// Dead entries that are not worth a sweep.
const SWEEP_AT_LEAST: usize = 64;

/// A pool's shared half: the queue, its workers, its rules.
pub(super) struct Queue {
    pub(super) id: HomeId,
    pub(super) config: Config,
    pub(super) counters: Counters,
    /// All that a push touches.
    inbox: Part<Inbox>,
    /// Everything else.
    state: Part<State>,
    /// How often the inbox was taken over; changes under its lock. A hint to others.
    emptied: Apart<plain::AtomicUsize>,
    /// Workers between the end of user code and their next look; raised outside the lock, lowered under it.
    returning: Apart<AtomicUsize>,
    /// Dead entries that were counted; lags behind the truth, so it may be negative for a moment.
    dead: Apart<AtomicIsize>,
    /// Resting workers.
    wake: Condvar,
    /// Whoever joins.
    ended: Condvar,
    handles: Mutex<Vec<thread::JoinHandle<()>>>,
    /// For the threads it starts.
    me: Weak<Queue>,
}

/// Keeps what one kind of thread writes off the cache lines (they are fetched in pairs) that others write.
#[repr(align(128))]
struct Apart<T>(T);

/// A mutex, and the length of the list in it as a hint for those who don't hold it. Nothing rests on the hint.
struct Part<T>(Apart<(Mutex<T>, AtomicUsize)>);

impl<T> Part<T> {
    fn new(value: T) -> Self {
        Part(Apart((Mutex::new(value), AtomicUsize::new(0))))
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.0.0.lock()
    }

    fn len_hint(&self) -> usize {
        self.0.0.1.load(Ordering::Relaxed)
    }

    fn set_len_hint(&self, len: usize) {
        self.0.0.1.store(len, Ordering::Relaxed);
    }
}

struct Inbox {
    queue: VecDeque<Entry>,
    /// A push shall take `state` and leave.
    ask: bool,
    /// Hint: some worker is active, and may be back in a moment.
    busy: bool,
    closed: Option<Closed>,
}

#[derive(Clone)]
enum Closed {
    ShutDown,
    Broken(Broken),
}

impl Closed {
    fn error(&self) -> TaskError {
        match self {
            Closed::ShutDown => TaskError::Rejected(Rejected::ShutDown),
            Closed::Broken(broken) => TaskError::Broken(broken.clone()),
        }
    }
}

#[derive(Default)]
struct State {
    /// Older than anything in the inbox.
    ready: VecDeque<Entry>,
    /// Second entries of tasks that a blocked waiter needs; the newest is last and served first.
    urgent: Vec<Entry>,
    threads: usize,
    blocked: usize,
    sleeping: usize,
    starting: usize,
    wakes: usize,
    searching: bool,
    /// What was last stored in the inbox.
    ask: bool,
    closed: bool,
    broken: bool,
    /// The system refused a thread.
    refused: bool,
    /// Queued tasks, of a bounded pool.
    live: usize,
    place_waiters: VecDeque<PlaceWaiter>,
    /// Blocked waiters that could run one of their own tasks.
    helpers: Vec<Arc<Hub>>,
    slots: Vec<Arc<Slot>>,
    free_numbers: BTreeSet<usize>,
    numbers: usize,
}

struct PlaceWaiter {
    hub: Arc<Hub>,
    /// A worker of this pool: told to look when nobody is active.
    own: bool,
}

impl State {
    fn active(&self) -> usize {
        self.threads - self.blocked - self.sleeping
    }
}

/// What a worker was before it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Was {
    First,
    Back,
    Searcher,
    Plain,
}

/// What it shall do next.
pub(super) enum Next {
    Run(Entry),
    Search,
    End,
}

/// Why a rest ended.
enum Rested<'a> {
    /// It was woken to search.
    Woken(MutexGuard<'a, State>),
    Closed(MutexGuard<'a, State>),
    LongEnough(MutexGuard<'a, State>),
}

/// What is left to do once `state` is let go of.
#[must_use]
enum Action {
    Nothing,
    Wake,
    Start(usize),
    Help(Vec<Arc<Hub>>),
}

impl Queue {
    pub(super) fn new(config: Config) -> Arc<Self> {
        let queue = Arc::new_cyclic(|me| Queue {
            id: HomeId::new(),
            config,
            counters: Counters::default(),
            inbox: Part::new(Inbox { queue: VecDeque::new(), ask: true, busy: false, closed: None }),
            state: Part::new(State { ask: true, ..State::default() }),
            emptied: Apart(plain::AtomicUsize::new(0)),
            returning: Apart(AtomicUsize::new(0)),
            dead: Apart(AtomicIsize::new(0)),
            wake: Condvar::new(),
            ended: Condvar::new(),
            handles: Mutex::new(Vec::new()),
            me: me.clone(),
        });
        let home: Weak<dyn Home> = queue.me.clone();
        queue.id.register(home);
        queue
    }

    // ---- submitters ----------------------------------------------------------------------------------

    /// Takes a task, or ends it with the reason why not.
    pub(super) fn push(&self, entry: Entry) {
        entry.header().home.set(self.id);
        match self.config.capacity {
            None => self.push_unbounded(entry),
            Some((capacity, when_full)) => self.push_bounded(entry, capacity, when_full),
        }
    }

    fn push_unbounded(&self, entry: Entry) {
        let mut inbox = self.inbox.lock();
        if let Some(closed) = &inbox.closed {
            let error = closed.error();
            drop(inbox);
            return refuse(&entry, error);
        }
        if !entry.header().word.mark_entered() {
            return;
        }
        inbox.queue.push_back(entry);
        self.inbox.set_len_hint(inbox.queue.len());
        let (ask, busy) = (inbox.ask, inbox.busy);
        let emptied = self.emptied.0.load(Ordering::Relaxed);
        drop(inbox);
        if ask && !(busy && self.is_emptied_since(emptied)) {
            self.leave(self.state.lock());
        }
    }

    /// Whether somebody takes over the inbox within the 2 to 4 us that waking a sleeper would cost. With short tasks a
    /// worker is back by then, and a submit that woke another each time would pay for switches that nobody needs: half
    /// of them are gone with this, and a quarter of the processor time of a million no-op tasks.
    ///
    /// Speed only. Whoever takes the inbox over does it in a section of `state`, after our push, and that section ends
    /// in `leave`: it counts what is left, and wakes whom we would have woken.
    fn is_emptied_since(&self, emptied: usize) -> bool {
        const PATIENCE: u32 = 100;
        spin_for(PATIENCE, || self.emptied.0.load(Ordering::Relaxed) != emptied)
    }

    fn push_bounded(&self, entry: Entry, capacity: usize, when_full: WhenFull) {
        let own = waiting::host().is_some_and(|host| host.home() == self.id);
        let mut counted_blocked = false;
        let mut told = false;
        let mut state = self.state.lock();
        loop {
            let closed = self.inbox.lock().closed.clone();
            // A worker that waits for its own pool's queue while nobody is left to empty it is let in over capacity.
            let stuck = told && own && state.active() == 0 && state.sleeping == 0 && !self.can_start(&state);
            if closed.is_some() || state.live < capacity || stuck {
                state.blocked -= usize::from(counted_blocked);
                if let Some(closed) = closed {
                    self.leave(state);
                    return refuse(&entry, closed.error());
                }
                if entry.header().word.mark_entered() {
                    state.live += 1;
                    let mut inbox = self.inbox.lock();
                    inbox.queue.push_back(entry);
                    self.inbox.set_len_hint(inbox.queue.len());
                } else if told {
                    // Cancelled while it waited: the place goes to the next.
                    Self::tell_place(&mut state);
                }
                return self.leave(state);
            }
            match when_full {
                WhenFull::Reject => {
                    self.leave(state);
                    return refuse(&entry, TaskError::Rejected(Rejected::Full));
                }
                WhenFull::CallerRuns => {
                    self.leave(state);
                    return self.run_on_caller(&entry);
                }
                WhenFull::Block => {
                    let hub = Hub::bell(1, false);
                    state.place_waiters.push_back(PlaceWaiter { hub: hub.clone(), own });
                    if own && !std::mem::replace(&mut counted_blocked, true) {
                        state.blocked += 1;
                    }
                    self.leave(state);
                    // Rung, or told to help: either way it looks again.
                    let _ = hub.sleep(None);
                    told = true;
                    state = self.state.lock();
                    state.place_waiters.retain(|waiter| !Arc::ptr_eq(&waiter.hub, &hub));
                }
            }
        }
    }

    fn run_on_caller(&self, entry: &Entry) {
        if entry.header().word.claim().is_some() {
            self.counters.begin_elsewhere();
            let phase = execute_here(&**entry);
            self.counters.end_elsewhere(phase);
            publish_here(&**entry, Phase::Running, phase);
        }
    }

    // ---- workers -------------------------------------------------------------------------------------

    /// One look at the queue: take a task, or search, or rest, or end.
    pub(super) fn look(&self, was: Was, slot: &Arc<Slot>) -> Next {
        let mut state = self.state.lock();
        match was {
            Was::First => state.starting -= 1,
            Was::Back => {
                self.returning.0.fetch_sub(1, Ordering::Relaxed);
            }
            Was::Searcher | Was::Plain => {}
        }
        let mut searcher = was == Was::Searcher;
        loop {
            let over = state.active() > self.config.max_workers;
            if !state.broken
                && !over
                && let Some(entry) = self.take(&mut state)
            {
                if searcher {
                    state.searching = false;
                }
                self.leave(state);
                return Next::Run(entry);
            }
            // A surplus worker has nothing to stay for once the door is closed: others are active.
            if state.broken || (state.closed && (over || self.is_empty(&state))) {
                return self.end(state, searcher, slot);
            }
            if !over && !state.searching {
                state.searching = true;
                self.leave(state);
                return Next::Search;
            }
            if searcher {
                state.searching = false;
            }
            match self.rest(state) {
                Rested::Woken(back) => (state, searcher) = (back, true),
                Rested::Closed(back) => (state, searcher) = (back, false),
                Rested::LongEnough(back) => return self.end(back, false, slot),
            }
        }
    }

    /// Spins while the inbox is empty; the searcher's short wait before it rests.
    pub(super) fn search(&self) {
        spin_until(|| self.inbox.len_hint() > 0);
    }

    /// Sleeps until there is something to look for, or for long enough. It is no longer counted as sleeping then.
    fn rest<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Rested<'a> {
        state.sleeping += 1;
        let since = Instant::now();
        // The end of this section, as `leave` is of all others; but it goes on to wait under the same lock.
        match self.settle(&mut state) {
            action @ Action::Start(_) => {
                drop(state);
                self.perform(action);
                state = self.state.lock();
            }
            action => self.perform(action),
        }
        loop {
            if state.wakes > 0 {
                state.wakes -= 1;
                return Rested::Woken(state);
            }
            if state.closed || state.broken {
                state.sleeping -= 1;
                return Rested::Closed(state);
            }
            let limit = if state.threads > self.config.max_workers {
                Some(SPARE_REST)
            } else {
                self.config.keep_alive
            };
            match limit.and_then(|limit| since.checked_add(limit)) {
                None => self.wake.wait(&mut state),
                Some(at) => {
                    let timed_out = self.wake.wait_until(&mut state, at).timed_out();
                    if timed_out && state.wakes == 0 && !state.closed && !state.broken {
                        state.sleeping -= 1;
                        return Rested::LongEnough(state);
                    }
                }
            }
        }
    }

    /// The worker leaves for good.
    fn end(&self, mut state: MutexGuard<'_, State>, searcher: bool, slot: &Arc<Slot>) -> Next {
        state.threads -= 1;
        if searcher {
            state.searching = false;
        }
        self.remove_slot(&mut state, slot);
        if state.threads == 0 {
            self.ended.notify_all();
        }
        self.leave(state);
        Next::End
    }

    fn remove_slot(&self, state: &mut State, slot: &Arc<Slot>) {
        state.slots.retain(|s| !Arc::ptr_eq(s, slot));
        state.free_numbers.insert(slot.number);
        self.counters.fold(slot);
    }

    /// Claims the next queued task: urgent first, newest first; then the oldest.
    fn take(&self, state: &mut State) -> Option<Entry> {
        let taken = loop {
            let entry = match state.urgent.pop() {
                Some(entry) => entry,
                None => {
                    if state.ready.is_empty() && self.inbox.len_hint() > 0 {
                        let mut inbox = self.inbox.lock();
                        std::mem::swap(&mut inbox.queue, &mut state.ready);
                        self.note_emptied();
                    }
                    match state.ready.pop_front() {
                        Some(entry) => entry,
                        None => break None,
                    }
                }
            };
            match entry.header().word.claim() {
                Some(before) => {
                    if before.is_urgent() {
                        self.dead.0.fetch_add(1, Ordering::Relaxed);
                    }
                    self.release_place(state);
                    break Some(entry);
                }
                None => {
                    self.dead.0.fetch_sub(1, Ordering::Relaxed);
                }
            }
        };
        self.state.set_len_hint(state.ready.len());
        taken
    }

    /// The inbox was taken over; its lock is held.
    fn note_emptied(&self) {
        self.inbox.set_len_hint(0);
        self.emptied.0.store(self.emptied.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn is_empty(&self, state: &State) -> bool {
        state.ready.is_empty() && state.urgent.is_empty() && self.inbox.lock().queue.is_empty()
    }

    /// A worker has ended its user code and is about to look.
    pub(super) fn returns(&self) {
        self.returning.0.fetch_add(1, Ordering::Relaxed);
    }

    /// It isn't yet: callbacks turned up.
    pub(super) fn returns_later(&self) {
        let state = self.state.lock();
        self.returning.0.fetch_sub(1, Ordering::Relaxed);
        self.leave(state);
    }

    // ---- waiters -------------------------------------------------------------------------------------

    /// A worker is about to wait. Those of `needed` that are queued go on the urgent stack, the last on top; `helper` is
    /// told when nobody is left to run them.
    pub(super) fn begin_blocked(&self, needed: Vec<Entry>, helper: Option<&Arc<Hub>>) {
        let mut state = self.state.lock();
        for entry in needed {
            if entry.header().word.mark_urgent() {
                state.urgent.push(entry);
            }
        }
        state.blocked += 1;
        state.helpers.extend(helper.cloned());
        self.leave(state);
    }

    /// Whether another worker could be had at once: one is idle, or fewer than `max_workers` were started. True or
    /// false, it may be otherwise in the next moment, so only a preference may rest on it.
    pub(super) fn has_another(&self) -> bool {
        let state = self.state.lock();
        state.sleeping > 0 || (state.threads < self.config.max_workers && self.can_start(&state))
    }

    /// It goes on.
    pub(super) fn end_blocked(&self, helper: Option<&Arc<Hub>>) {
        let mut state = self.state.lock();
        state.blocked -= 1;
        if let Some(helper) = helper
            && let Some(at) = state.helpers.iter().position(|hub| Arc::ptr_eq(hub, helper))
        {
            state.helpers.swap_remove(at);
        }
        self.leave(state);
    }

    /// A task was claimed or cancelled without taking its entry out: the entry is dead. `before` is its word as it was.
    pub(super) fn forget(&self, before: Snapshot) {
        let entries = 1 + isize::from(before.is_urgent());
        let dead = self.dead.0.fetch_add(entries, Ordering::Relaxed) + entries;
        let guess = self.inbox.len_hint() + self.state.len_hint();
        let sweep = is_worth_a_sweep(dead, guess);
        if self.config.capacity.is_none() && !sweep {
            return;
        }
        let mut state = self.state.lock();
        self.release_place(&mut state);
        let removed = if sweep { self.sweep(&mut state) } else { Vec::new() };
        self.leave(state);
        // Without the lock: these may be the last pointers.
        drop(removed);
    }

    /// Takes the dead entries out of all lists, if they are most of them.
    fn sweep(&self, state: &mut State) -> Vec<Entry> {
        {
            let mut inbox = self.inbox.lock();
            state.ready.append(&mut inbox.queue);
            self.note_emptied();
        }
        let mut removed = Vec::new();
        if is_worth_a_sweep(self.dead.0.load(Ordering::Relaxed), state.ready.len() + state.urgent.len()) {
            let (live, dead): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut state.ready).into_iter().partition(is_queued);
            state.ready = live;
            removed.extend(dead);
            let (live, dead): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.urgent).into_iter().partition(is_queued);
            state.urgent = live;
            removed.extend(dead);
            // What was removed, never zero: somebody who made one may not have counted it yet.
            self.dead.0.fetch_sub(removed.len() as isize, Ordering::Relaxed);
        }
        self.state.set_len_hint(state.ready.len());
        removed
    }

    fn release_place(&self, state: &mut State) {
        if self.config.capacity.is_some() {
            state.live -= 1;
            Self::tell_place(state);
        }
    }

    fn tell_place(state: &mut State) {
        if let Some(waiter) = state.place_waiters.pop_front() {
            waiter.hub.ring();
        }
    }

    // ---- the end of a section ------------------------------------------------------------------------

    fn can_start(&self, state: &State) -> bool {
        state.threads < self.config.max_workers + SPARES
            && !state.broken
            && (!state.refused || state.threads == 0)
    }

    /// Whether a push should come and leave.
    fn wants_asking(&self, state: &State) -> bool {
        state.closed
            || state.broken
            || (!state.searching
                && state.active() < self.config.max_workers
                && (state.sleeping > 0 || self.can_start(state)))
    }

    /// Whether every thread there is waits, and no other can be had: only the waiters can help themselves. A push from
    /// elsewhere brings nothing that they could run, so it need not ask.
    fn is_stuck(&self, state: &State) -> bool {
        state.active() == 0 && state.sleeping == 0 && !self.can_start(state)
    }

    /// Lets go of `state`. See the module's "one rule".
    fn leave(&self, mut state: MutexGuard<'_, State>) {
        let action = self.settle(&mut state);
        drop(state);
        self.perform(action);
    }

    fn settle(&self, state: &mut State) -> Action {
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
        let entries = state.urgent.len() + state.ready.len() + in_inbox;
        let dead = self.dead.0.load(Ordering::Relaxed).max(0) as usize;
        let queued = entries.saturating_sub(dead);
        let coming = state.starting + self.returning.0.load(Ordering::Relaxed);
        if state.searching || state.active() >= self.config.max_workers || queued <= coming {
            return Action::Nothing;
        }
        let action = if state.sleeping > 0 {
            state.sleeping -= 1;
            state.wakes += 1;
            state.searching = true;
            Action::Wake
        } else if self.can_start(state) {
            state.threads += 1;
            state.starting += 1;
            Action::Start(Self::new_number(state))
        } else if stuck {
            let own_place_waiters =
                state.place_waiters.iter().filter(|waiter| waiter.own).map(|waiter| &waiter.hub);
            Action::Help(state.helpers.iter().chain(own_place_waiters).cloned().collect())
        } else {
            Action::Nothing
        };
        let ask = self.wants_asking(state);
        if ask != state.ask {
            self.store_ask(state, ask);
        }
        action
    }

    /// Stores whether a push shall ask; says how long the inbox is, after the store.
    fn store_ask(&self, state: &mut State, ask: bool) -> usize {
        let mut inbox = self.inbox.lock();
        inbox.ask = ask;
        inbox.busy = state.active() > state.starting;
        state.ask = ask;
        inbox.queue.len()
    }

    fn new_number(state: &mut State) -> usize {
        state.free_numbers.pop_first().unwrap_or_else(|| {
            state.numbers += 1;
            state.numbers - 1
        })
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Wake => {
                self.wake.notify_one();
            }
            Action::Start(number) => self.start(number),
            Action::Help(hubs) => hubs.iter().for_each(|hub| hub.help()),
        }
    }

    // ---- threads -------------------------------------------------------------------------------------

    fn start(&self, number: usize) {
        let name: Arc<str> = format!("{}_{number}", self.config.thread_name_prefix).into();
        let slot = Slot::new(number, name.clone());
        let builder = thread::Builder::new().name(name.to_string()).stack_size(self.config.stack_size);
        let queue = self.me.upgrade().expect("whoever starts a thread holds the pool");
        self.state.lock().slots.push(slot.clone());
        let started = {
            // Held while the thread starts: who joins can't miss the handle of a thread that has ended already.
            let mut handles = self.handles.lock();
            handles.retain(|handle| !thread::is_finished(handle));
            let worker_slot = slot.clone();
            builder.spawn(move || worker::main(queue, worker_slot)).map(|handle| handles.push(handle))
        };
        if let Err(error) = started {
            self.refused(&slot, error);
        }
    }

    fn refused(&self, slot: &Arc<Slot>, error: std::io::Error) {
        let mut state = self.state.lock();
        state.threads -= 1;
        state.starting -= 1;
        self.remove_slot(&mut state, slot);
        if !std::mem::replace(&mut state.refused, true) {
            log::warn!(
                "the system refused a worker thread, the pool goes on with {}: {error}",
                state.threads
            );
        }
        if state.threads == 0 {
            self.break_pool(state, Broken::with_source("no worker thread could be started", error));
        } else {
            self.leave(state);
        }
    }

    /// The initializer failed in a worker that is starting.
    pub(super) fn initializer_failed(&self, slot: &Arc<Slot>, broken: Broken) {
        let mut state = self.state.lock();
        state.threads -= 1;
        state.starting -= 1;
        self.remove_slot(&mut state, slot);
        self.break_pool(state, broken);
    }

    fn break_pool(&self, mut state: MutexGuard<'_, State>, broken: Broken) {
        let taken = {
            let mut inbox = self.inbox.lock();
            inbox.closed = Some(Closed::Broken(broken.clone()));
            state.broken = true;
            Self::take_all(&mut state, &mut inbox)
        };
        self.tell_everybody(state);
        let failed = self.resolve(taken, |entry| {
            let before = entry.header().word.claim();
            before.map(|before| (before, TaskError::Broken(broken.clone())))
        });
        self.counters.add_failed(failed);
    }

    // ---- the end of the pool -------------------------------------------------------------------------

    pub(super) fn shutdown(&self, mode: Shutdown) {
        let mut state = self.state.lock();
        state.closed = true;
        let taken = {
            let mut inbox = self.inbox.lock();
            inbox.closed.get_or_insert(Closed::ShutDown);
            match mode {
                Shutdown::Drain => Vec::new(),
                Shutdown::CancelQueued => Self::take_all(&mut state, &mut inbox),
            }
        };
        self.tell_everybody(state);
        let cancelled = self.resolve(taken, |entry| {
            let before = entry.header().word.begin_cancel();
            before.map(|before| (before, TaskError::Cancelled))
        });
        self.counters.add_cancelled(cancelled);
    }

    fn take_all(state: &mut State, inbox: &mut Inbox) -> Vec<Entry> {
        state.urgent.drain(..).chain(state.ready.drain(..)).chain(inbox.queue.drain(..)).collect()
    }

    fn tell_everybody(&self, mut state: MutexGuard<'_, State>) {
        state.place_waiters.drain(..).for_each(|waiter| waiter.hub.ring());
        if state.threads == 0 {
            self.ended.notify_all();
        }
        self.leave(state);
        self.wake.notify_all();
    }

    /// Ends tasks whose entries were all taken out; says how many there were.
    fn resolve(&self, taken: Vec<Entry>, own: impl Fn(&Entry) -> Option<(Snapshot, TaskError)>) -> usize {
        let mut ended = 0;
        for entry in taken {
            let Some((before, error)) = own(&entry) else {
                self.dead.0.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            // Its second entry was taken out as well, and will be met as a dead one.
            if before.is_urgent() {
                self.dead.0.fetch_add(1, Ordering::Relaxed);
            }
            ended += 1;
            let (from, to) = match error {
                TaskError::Cancelled => (Phase::Cancelling, Phase::Cancelled),
                _ => (Phase::Running, Phase::Failed),
            };
            entry.fill(error);
            publish_here(&*entry, from, to);
        }
        if self.config.capacity.is_some() && ended > 0 {
            let mut state = self.state.lock();
            state.live -= ended;
            self.leave(state);
        }
        ended
    }

    /// Waits until every worker has ended; false if the time is up first.
    pub(super) fn join(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.threads > 0 {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(at) => {
                    if self.ended.wait_until(&mut state, at).timed_out() && state.threads > 0 {
                        return false;
                    }
                }
            }
        }
        drop(state);
        let handles = std::mem::take(&mut *self.handles.lock());
        for handle in handles {
            // A worker contains every panic; what could come here is one in the user's own thread-locals.
            let _ = handle.join();
        }
        true
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.state.lock();
        let entries = state.urgent.len() + state.ready.len() + self.inbox.lock().queue.len();
        // Tasks are counted, not entries: an urgent one has two.
        let doubled = state.urgent.iter().filter(|entry| is_queued(entry)).count();
        let dead = self.dead.0.load(Ordering::Relaxed).max(0) as usize;
        self.counters.stats(entries.saturating_sub(doubled + dead), state.threads, &state.slots)
    }

    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.state.lock().slots.clone()
    }
}

impl Home for Queue {
    fn cancelled(&self, before: Snapshot) {
        self.counters.add_cancelled(1);
        self.forget(before);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.id.unregister();
        // On whatever thread was the last: the owner's, which may be unwinding, or a worker's.
        let hooks = (self.config.initializer.take(), self.config.on_exit.take());
        for dropped in [drop_contained(hooks.0), drop_contained(hooks.1)] {
            if let Err(panic) = dropped {
                log::error!("the drop of a hook of a pool panicked: {}", panic.message());
            }
        }
    }
}

fn is_queued(entry: &Entry) -> bool {
    entry.header().word.load().phase() == Phase::Queued
}

fn is_worth_a_sweep(dead: isize, entries: usize) -> bool {
    usize::try_from(dead).is_ok_and(|dead| dead > SWEEP_AT_LEAST && dead > entries / 2)
}

/// Ends a task that was not taken, unless it was cancelled before.
fn refuse(entry: &Entry, error: TaskError) {
    if entry.header().word.claim().is_some() {
        fail_claimed(&**entry, error);
    }
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
