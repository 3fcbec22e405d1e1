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
//! Words: *active* = threads - blocked - sleeping. A thread *holds* one more of these while it is in one more wait, however
//! they nest, and counts as blocked, once, while it holds any ([`State::hold`]). An *entry* is one pointer to a task in one of the three lists; a
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
//!   at the first look, a refusal, a failed initializer, or while an initializer waits; `returning` at the next look, or
//!   before callbacks run. All are sections.
//! - *A wake-up is a number*: `sleeping` falls and `wakes` rises in one section; exactly one worker takes it, even one
//!   whose time was up or that was only about to sleep.
//! - *The count is never too low for long*: `dead` counts an entry only after its task stopped being queued, and whoever
//!   removes an entry subtracts exactly that. If it is too high for a moment, one worker looks for nothing.
//! - *A refusal ends.* While the system's refusal of a thread is remembered ([`Refused`]), a push asks all the same, each
//!   section looks whether the time is up, and a waiter that was told to help and could not looks again at that time.
//!
//! The rules were checked together in an explicit-state model of 38 scenarios (2.8 million states), in which each rule,
//! taken away, breaks something; `tests/loom` explores the same situations in this code, and `tests/model` has the waits
//! that nest in a model of their own (`nested`).

use super::builder::Config;
use super::stats::{Counters, Slot, ThreadPoolStats};
use super::worker::{self, Worker};
use crate::clock;
use crate::contain::{Panic, contain, drop_contained};
use crate::error::{Broken, Rejected, TaskError};
use crate::executor::{Shutdown, WhenFull};
use crate::future::cell::{AnyCell, Entry, execute_here, fail_claimed, publish_here};
use crate::future::home::{Home, HomeId};
use crate::future::hub::Hub;
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting::{self, Host};
use crate::logging;
use crate::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use crate::sync::{Condvar, HAS_CLOCK, Mutex, MutexGuard, plain, spin_for, spin_until, thread};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Threads beyond `max_workers`, at most: workers that replace those blocked in waits. Java's ForkJoinPool has this
/// figure.
const SPARES: usize = 256;

/// How long a spare stays when there is nothing to do. Not at once: timed waits in a loop would start a thread each.
const SPARE_REST: Duration = Duration::from_millis(500);

/// After the system has refused a thread none is tried for so long; twice as long after each further refusal, up to 64
/// times.
const REFUSED_FOR: Duration = Duration::from_millis(10);

/// The smallest stack that a thread is started with, where less is asked for: the worker itself needs some.
const LEAST_STACK: usize = 64 << 10;

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
    /// Queued tasks that have a second entry, on the urgent stack. As `dead`: counted after the fact.
    doubled: Apart<AtomicIsize>,
    /// Resting workers.
    wake: Condvar,
    /// Whoever joins.
    ended: Condvar,
    handles: Mutex<Handles>,
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
    /// The system refused the only thread there would be: as broken until then.
    Refused(Broken, Option<Instant>),
}

impl Closed {
    fn error(&self) -> TaskError {
        match self {
            Closed::ShutDown => TaskError::Rejected(Rejected::ShutDown),
            Closed::Broken(broken) | Closed::Refused(broken, _) => TaskError::Broken(broken.clone()),
        }
    }
}

impl Inbox {
    /// Why nothing is taken. A refusal ends when its time is over: then the next submit tries again.
    fn closed(&mut self) -> Option<&Closed> {
        if let Some(Closed::Refused(_, until)) = self.closed
            && HAS_CLOCK
            && clock::is_over(until)
        {
            self.closed = None;
        }
        self.closed.as_ref()
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
    /// It was closed by a shutdown that cancels.
    cancelling: bool,
    broken: bool,
    /// The system refused a thread, and none was had since.
    refused: Option<Refused>,
    /// Queued tasks, of a bounded pool.
    live: usize,
    /// By their tickets, which rise: first come, first served.
    place_waiters: BTreeMap<u64, PlaceWaiter>,
    tickets: u64,
    /// Blocked waiters that could run one of their own tasks.
    /// By the number of their worker, and the hub's address, which is its own while it is in here.
    helpers: BTreeMap<(usize, usize), Arc<Hub>>,
    /// What own workers have polled, dead ones included.
    awaiting: Vec<Weak<Await>>,
    /// A counter was to fall below zero: a mistake of ours, told once.
    miscount: Miscount,
    /// By their numbers.
    slots: BTreeMap<usize, Arc<Slot>>,
    free_numbers: BTreeSet<usize>,
    numbers: usize,
}

/// Threads that were started and not joined.
#[derive(Default)]
struct Handles {
    all: Vec<thread::JoinHandle<()>>,
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

struct PlaceWaiter {
    hub: Arc<Hub>,
    /// A worker of this pool: told to look when nobody is active.
    own: bool,
}

struct Refused {
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

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Miscount {
    #[default]
    None,
    Seen,
    Told,
}

impl State {
    fn active(&self) -> usize {
        // What would be negative is a mistake in these counters, seen by `check`; a wrapped number would stop the pool.
        self.threads.saturating_sub(self.blocked).saturating_sub(self.sleeping)
    }

    /// The thread behind `slot` is in one more wait: with the first it counts as blocked. A thread that is still starting
    /// is not coming meanwhile.
    fn hold(&mut self, slot: &Slot, waits: usize) {
        let before = slot.holds();
        slot.set_holds(before + waits);
        if before == 0 && waits > 0 {
            self.blocked += 1;
            if slot.is_starting() {
                self.lower(|state| &mut state.starting, 1);
            }
        }
    }

    /// It is in one wait less: with the last it is active again.
    fn unhold(&mut self, slot: &Slot, waits: usize) {
        let Some(left) = slot.holds().checked_sub(waits) else { return self.note_miscount() };
        slot.set_holds(left);
        if left == 0 && waits > 0 {
            self.lower(|state| &mut state.blocked, 1);
            if slot.is_starting() {
                self.starting += 1;
            }
        }
    }

    /// Every counter falls here, and none below zero.
    fn lower(&mut self, counter: impl FnOnce(&mut State) -> &mut usize, by: usize) {
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
    fn note_miscount(&mut self) {
        debug_assert!(false, "a counter of a pool would have fallen below zero");
        if self.miscount == Miscount::None {
            self.miscount = Miscount::Seen;
        }
    }

    fn check(&mut self) {
        if self.blocked + self.sleeping > self.threads {
            self.note_miscount();
        }
    }
}

/// A poll of one of the pool's own tasks by one of its own workers, as the worker sees it. It is one more wait of that
/// thread, until it is over.
pub(super) struct Token {
    slot: Arc<Slot>,
    /// One of the constants below; changes under the pool's lock.
    stage: plain::AtomicU32,
}

/// The worker counts as blocked for it.
const HELD: u32 = 0;
/// The worker runs another task in place, above the one that polled.
const PAUSED: u32 = 1;
const OVER: u32 = 2;

impl Token {
    fn stage(&self) -> u32 {
        self.stage.load(Ordering::Relaxed)
    }

    fn set_stage(&self, stage: u32) {
        self.stage.store(stage, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage() == OVER
    }
}

/// The waker that such a poll leaves behind in the task: the wait is over when the task is done, or when this is dropped.
pub(super) struct Await {
    token: Arc<Token>,
    queue: Weak<Queue>,
    /// The user's.
    waker: Waker,
    task: Weak<dyn AnyCell>,
}

impl Await {
    pub(super) fn new(queue: &Queue, slot: &Arc<Slot>, task: &Entry, waker: Waker) -> Arc<Self> {
        let token = Arc::new(Token { slot: slot.clone(), stage: plain::AtomicU32::new(OVER) });
        Arc::new(Await { token, queue: queue.me.clone(), waker, task: Arc::downgrade(task) })
    }

    pub(super) fn token(&self) -> &Arc<Token> {
        &self.token
    }

    /// Has the worker poll again, if it could run the task then.
    fn help(self: Arc<Self>) {
        let is_queued = self.task.upgrade().is_some_and(|task| is_queued(&task));
        // The user's waker may also be dropped here, by the last pointer to it.
        let told = contain(move || {
            if is_queued {
                self.waker.wake_by_ref();
            }
        });
        if let Err(panic) = told {
            logging::error(format_args!("a waker panicked: {}", panic.message()));
        }
    }

    fn end(&self) {
        if !self.token.is_over()
            && let Some(queue) = self.queue.upgrade()
        {
            queue.end_awaits(std::slice::from_ref(&self.token));
        }
    }
}

impl Wake for Await {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.end();
        self.waker.wake_by_ref();
    }
}

impl Drop for Await {
    fn drop(&mut self) {
        self.end();
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
    /// The thread's number, and whether the system refused one before.
    Start(usize, bool),
    Help(Vec<Arc<Hub>>, Vec<Arc<Await>>),
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
            doubled: Apart(AtomicIsize::new(0)),
            wake: Condvar::new(),
            ended: Condvar::new(),
            handles: Mutex::default(),
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
        if let Some(closed) = inbox.closed() {
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
        let slot = self.own_slot();
        let own = slot.is_some();
        let mut told = false;
        let mut state = self.state.lock();
        loop {
            let closed = self.inbox.lock().closed().cloned();
            // A worker that waits for its own pool's queue while nobody is left to empty it is let in over capacity.
            let stuck = told && own && state.active() == 0 && state.sleeping == 0 && !self.can_start(&state);
            if closed.is_some() || state.live < capacity || stuck {
                if let (Some(slot), true) = (&slot, told) {
                    state.unhold(slot, 1);
                }
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
                    let ticket = state.tickets;
                    state.tickets += 1;
                    state.place_waiters.insert(ticket, PlaceWaiter { hub: hub.clone(), own });
                    if let (Some(slot), false) = (&slot, told) {
                        state.hold(slot, 1);
                    }
                    self.leave(state);
                    // Rung, or told to help: either way it looks again.
                    let _ = hub.sleep(None);
                    told = true;
                    state = self.state.lock();
                    state.place_waiters.remove(&ticket);
                }
            }
        }
    }

    /// Takes what is left of a task that the pool took before, as the tasks that `take` gives. They were accepted with
    /// it: no closed door and no full queue refuses them. What ends the queued ends them too: they are cancelled by a
    /// shutdown that cancels and fail with a broken pool, also if that came first.
    ///
    /// `take` is called with the state's lock held, so the pool can't end meanwhile: the task that they come from is
    /// queued, or runs on a worker, and no worker ends before its next look, which finds them. If that task is gone
    /// already, nothing is left of it. Nothing of the user's may run or be dropped in `take`, and what it locks nobody
    /// holds who waits for the state.
    pub(super) fn push_parts(&self, take: &mut dyn FnMut() -> Vec<Entry>) {
        let mut state = self.state.lock();
        let mut entries = take();
        let error = {
            let mut inbox = self.inbox.lock();
            let error = match inbox.closed() {
                Some(Closed::Broken(broken) | Closed::Refused(broken, _)) => {
                    Some(TaskError::Broken(broken.clone()))
                }
                _ if state.cancelling => Some(TaskError::Cancelled),
                _ => None,
            };
            if error.is_none() {
                // Nobody else has seen them yet, so none is cancelled at this moment.
                entries.retain(|entry| {
                    entry.header().home.set(self.id);
                    entry.header().word.mark_entered()
                });
                state.live += if self.config.capacity.is_some() { entries.len() } else { 0 };
                inbox.queue.extend(entries.drain(..));
                self.inbox.set_len_hint(inbox.queue.len());
            }
            error
        };
        self.leave(state);
        if let Some(error) = error {
            entries.iter().for_each(|entry| refuse(entry, error.clone()));
        }
    }

    fn run_on_caller(&self, entry: &Entry) {
        if entry.header().word.claim().is_some() {
            let run = || {
                self.counters.begin_elsewhere();
                let phase = execute_here(&**entry);
                self.counters.end_elsewhere(phase);
                publish_here(&**entry, Phase::Running, phase);
            };
            match self.own_worker() {
                Some(host) => Worker::of(&*host).map_or((), |worker| worker.run_above(run)),
                None => run(),
            }
        }
    }

    /// The worker of this pool that this thread is, if it is one.
    fn own_worker(&self) -> Option<Rc<dyn Host>> {
        waiting::host().filter(|host| host.home() == self.id)
    }

    fn own_slot(&self) -> Option<Arc<Slot>> {
        self.own_worker().and_then(|host| Worker::of(&*host).map(|worker| worker.slot.clone()))
    }

    // ---- workers -------------------------------------------------------------------------------------

    /// One look at the queue: take a task, or search, or rest, or end.
    pub(super) fn look(&self, was: Was, slot: &Arc<Slot>) -> Next {
        let mut state = self.state.lock();
        match was {
            Was::First => {
                state.lower(|state| &mut state.starting, 1);
                slot.set_started();
                if slot.is_retry {
                    state.refused = None;
                }
            }
            Was::Back => self.lower_returning(&mut state),
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
            action @ (Action::Nothing | Action::Wake) => self.perform(action),
            action => {
                drop(state);
                self.perform(action);
                state = self.state.lock();
            }
        }
        loop {
            if state.wakes > 0 {
                state.lower(|state| &mut state.wakes, 1);
                return Rested::Woken(state);
            }
            if state.closed || state.broken {
                state.lower(|state| &mut state.sleeping, 1);
                return Rested::Closed(state);
            }
            let limit = if state.threads > self.config.max_workers {
                Some(SPARE_REST)
            } else {
                self.config.keep_alive
            };
            match limit.and_then(|limit| clock::after(since, limit)) {
                None => self.wake.wait(&mut state),
                Some(at) => {
                    let timed_out = self.wake.wait_until(&mut state, at).timed_out();
                    if timed_out && state.wakes == 0 && !state.closed && !state.broken {
                        state.lower(|state| &mut state.sleeping, 1);
                        return Rested::LongEnough(state);
                    }
                }
            }
        }
    }

    /// The worker leaves for good.
    fn end(&self, mut state: MutexGuard<'_, State>, searcher: bool, slot: &Arc<Slot>) -> Next {
        state.lower(|state| &mut state.threads, 1);
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
        state.slots.remove(&slot.number);
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
                        self.doubled.0.fetch_sub(1, Ordering::Relaxed);
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
        let mut state = self.state.lock();
        self.lower_returning(&mut state);
        self.leave(state);
    }

    fn lower_returning(&self, state: &mut State) {
        if self.returning.0.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.returning.0.fetch_add(1, Ordering::Relaxed);
            state.note_miscount();
        }
    }

    // ---- waiters -------------------------------------------------------------------------------------

    /// A worker is about to wait. Those of `needed` that are queued go on the urgent stack, the last on top; `helper` is
    /// told when nobody is left to run them.
    pub(super) fn begin_blocked(&self, slot: &Slot, needed: Vec<Entry>, helper: Option<&Arc<Hub>>) {
        let mut state = self.state.lock();
        for entry in needed {
            if entry.header().word.mark_urgent() {
                self.doubled.0.fetch_add(1, Ordering::Relaxed);
                state.urgent.push(entry);
            }
        }
        state.hold(slot, 1);
        state.helpers.extend(helper.map(|hub| (helper_key(slot, hub), hub.clone())));
        self.leave(state);
    }

    /// Whether another worker could be had at once: one is idle, or fewer than `max_workers` were started. True or
    /// false, it may be otherwise in the next moment, so only a preference may rest on it.
    pub(super) fn has_another(&self) -> bool {
        let state = self.state.lock();
        state.sleeping > 0 || (state.threads < self.config.max_workers && self.can_start(&state))
    }

    /// It goes on.
    pub(super) fn end_blocked(&self, slot: &Slot, helper: Option<&Arc<Hub>>) {
        let mut state = self.state.lock();
        state.unhold(slot, 1);
        if let Some(helper) = helper {
            state.helpers.remove(&helper_key(slot, helper));
        }
        self.leave(state);
    }

    /// A worker has polled `task`, which is not done, and may be about to sleep in whatever polls. As `begin_blocked`; says
    /// whether nobody is left to run it.
    pub(super) fn begin_await(&self, wait: &Arc<Await>, task: Entry) -> bool {
        let mut state = self.state.lock();
        if task.header().word.mark_urgent() {
            self.doubled.0.fetch_add(1, Ordering::Relaxed);
            state.urgent.push(task);
        }
        wait.token.set_stage(HELD);
        state.hold(&wait.token.slot, 1);
        let stuck = self.is_stuck(&state);
        // Swept when they have doubled, at the latest.
        if state.awaiting.len() == state.awaiting.capacity() {
            state.awaiting.retain(|wait| wait.strong_count() > 0);
        }
        state.awaiting.push(Arc::downgrade(wait));
        self.leave(state);
        stuck
    }

    /// What was polled is done, or nobody awaits it any more.
    pub(super) fn end_awaits(&self, tokens: &[Arc<Token>]) {
        let mut state = self.state.lock();
        for token in tokens {
            if token.stage() == HELD {
                state.unhold(&token.slot, 1);
            }
            token.set_stage(OVER);
        }
        self.leave(state);
    }

    /// A worker that counts as blocked is about to run a task in place, above all that it waits for: it is active
    /// meanwhile. Says in how many waits it is, those for what it polled (`tokens`) left out: they may end meanwhile.
    pub(super) fn pause(&self, slot: &Slot, tokens: &[Arc<Token>]) -> usize {
        let mut state = self.state.lock();
        let mut waits = slot.holds();
        state.unhold(slot, waits);
        for token in tokens.iter().filter(|token| token.stage() == HELD) {
            token.set_stage(PAUSED);
            waits = waits.saturating_sub(1);
        }
        self.leave(state);
        waits
    }

    /// It waits again.
    pub(super) fn resume(&self, slot: &Slot, waits: usize, tokens: &[Arc<Token>]) {
        let mut state = self.state.lock();
        let mut waits = waits;
        for token in tokens.iter().filter(|token| token.stage() == PAUSED) {
            token.set_stage(HELD);
            waits += 1;
        }
        state.hold(slot, waits);
        self.leave(state);
    }

    /// When a thread is tried again, if the system refused one.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let state = self.state.lock();
        let refused = state.refused.as_ref().filter(|refused| HAS_CLOCK && !refused.is_over());
        refused.and_then(|refused| refused.until)
    }

    /// It is time to try.
    pub(super) fn try_again(&self) {
        self.leave(self.state.lock());
    }

    /// A task was claimed or cancelled without taking its entry out: the entry is dead. `before` is its word as it was.
    pub(super) fn forget(&self, before: Snapshot) {
        let entries = 1 + isize::from(before.is_urgent());
        if before.is_urgent() {
            self.doubled.0.fetch_sub(1, Ordering::Relaxed);
        }
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
            state.lower(|state| &mut state.live, 1);
            Self::tell_place(state);
        }
    }

    fn tell_place(state: &mut State) {
        if let Some((_, waiter)) = state.place_waiters.pop_first() {
            waiter.hub.ring();
        }
    }

    // ---- the end of a section ------------------------------------------------------------------------

    fn can_start(&self, state: &State) -> bool {
        self.has_room(state) && (state.refused.as_ref().is_none_or(Refused::is_over) || state.threads == 0)
    }

    fn has_room(&self, state: &State) -> bool {
        state.threads < self.config.max_workers.saturating_add(SPARES) && !state.broken
    }

    /// A thread was refused, and may be had when somebody looks again.
    fn may_start_later(&self, state: &State) -> bool {
        HAS_CLOCK && state.refused.is_some() && self.has_room(state)
    }

    /// Whether a push should come and leave.
    fn wants_asking(&self, state: &State) -> bool {
        state.closed
            || state.broken
            || (!state.searching
                && state.active() < self.config.max_workers
                && (state.sleeping > 0 || self.can_start(state) || self.may_start_later(state)))
    }

    /// Whether every thread there is waits, and no other can be had: only the waiters can help themselves. A push from
    /// elsewhere brings nothing that they could run, so it need not ask.
    fn is_stuck(&self, state: &State) -> bool {
        state.active() == 0 && state.sleeping == 0 && !self.can_start(state)
    }

    /// Lets go of `state`. See the module's "one rule".
    fn leave(&self, mut state: MutexGuard<'_, State>) {
        let action = self.settle(&mut state);
        let miscounted = state.miscount == Miscount::Seen;
        if miscounted {
            state.miscount = Miscount::Told;
        }
        drop(state);
        self.perform(action);
        if miscounted {
            logging::error(format_args!(
                "a pool of threads has miscounted its workers and goes on; please report this"
            ));
        }
    }

    fn settle(&self, state: &mut State) -> Action {
        state.check();
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
        let coming = state.starting.saturating_add(self.returning.0.load(Ordering::Relaxed));
        if state.searching || state.active() >= self.config.max_workers || queued <= coming {
            return Action::Nothing;
        }
        let action = if state.sleeping > 0 {
            state.lower(|state| &mut state.sleeping, 1);
            state.wakes += 1;
            state.searching = true;
            Action::Wake
        } else if self.can_start(state) {
            state.threads += 1;
            state.starting += 1;
            let is_retry = state.refused.is_some();
            state.refused.iter_mut().for_each(Refused::trying);
            Action::Start(Self::new_number(state), is_retry)
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
            Action::Start(number, is_retry) => self.start(number, is_retry),
            Action::Help(hubs, awaits) => {
                hubs.iter().for_each(|hub| hub.help());
                awaits.into_iter().for_each(Await::help);
            }
        }
    }

    // ---- threads -------------------------------------------------------------------------------------

    /// Starts a thread that is counted already. Whatever fails in it, also by a panic, gives back what was counted.
    fn start(&self, number: usize, is_retry: bool) {
        let name = format!("{}_{number}", self.config.name_prefix);
        let slot = Slot::new(number, name.into(), is_retry);
        let started = contain(|| self.spawn(&slot));
        if let Err(error) = started.unwrap_or_else(|panic| Err(std::io::Error::other(panic.message()))) {
            self.refused(&slot, error);
        }
    }

    fn spawn(&self, slot: &Arc<Slot>) -> std::io::Result<()> {
        let stack_size = self.config.stack_size.max(LEAST_STACK);
        let builder = thread::Builder::new().name(slot.name.to_string()).stack_size(stack_size);
        let queue = self.me.upgrade().expect("whoever starts a thread holds the pool");
        self.state.lock().slots.insert(slot.number, slot.clone());
        // Held while the thread starts: who joins can't miss the handle of a thread that has ended already.
        let mut handles = self.handles.lock();
        handles.sweep();
        let worker_slot = slot.clone();
        handles.all.push(builder.spawn(move || worker::main(queue, worker_slot))?);
        Ok(())
    }

    fn refused(&self, slot: &Arc<Slot>, error: std::io::Error) {
        let mut state = self.state.lock();
        state.lower(|state| &mut state.threads, 1);
        state.lower(|state| &mut state.starting, 1);
        self.remove_slot(&mut state, slot);
        let is_first = state.refused.is_none();
        state.refused = Some(Refused::again(state.refused.as_ref()));
        let until = state.refused.as_ref().and_then(|refused| refused.until);
        let left = state.threads;
        let what = format!(
            "the system refused a worker thread; the pool goes on with {left} and tries again: {error}"
        );
        if left == 0 {
            let broken = Broken::with_source("no worker thread could be started", error);
            self.break_pool(state, Closed::Refused(broken, until));
        } else {
            // Whoever joins tries again in time.
            self.ended.notify_all();
            self.leave(state);
        }
        // The logger is the user's: told once the lock is let go of.
        if is_first {
            logging::warn(format_args!("{what}"));
        }
    }

    /// The initializer failed in a worker that is starting.
    pub(super) fn initializer_failed(&self, slot: &Arc<Slot>, broken: Broken) {
        let mut state = self.state.lock();
        state.lower(|state| &mut state.threads, 1);
        state.lower(|state| &mut state.starting, 1);
        self.remove_slot(&mut state, slot);
        self.break_pool(state, Closed::Broken(broken));
    }

    /// Closes the door and fails what is queued. A refusal keeps nobody out for good, and opens no door that was shut.
    fn break_pool(&self, mut state: MutexGuard<'_, State>, why: Closed) {
        let error = why.error();
        let (taken, before) = {
            let mut inbox = self.inbox.lock();
            state.broken |= matches!(why, Closed::Broken(_));
            let before = if state.broken || !state.closed { inbox.closed.replace(why) } else { Some(why) };
            (Self::take_all(&mut state, &mut inbox), before)
        };
        self.tell_everybody(state);
        // What it was broken of before holds an error of the user's.
        log_panic_in_drop("an earlier failure", drop_contained(before));
        let failed = self.resolve(taken, |entry| {
            let before = entry.header().word.claim();
            before.map(|before| (before, error.clone()))
        });
        self.counters.add_failed(failed);
    }

    // ---- the end of the pool -------------------------------------------------------------------------

    pub(super) fn shutdown(&self, mode: Shutdown) {
        let mut state = self.state.lock();
        state.closed = true;
        state.cancelling |= mode == Shutdown::CancelQueued;
        let taken = {
            let mut inbox = self.inbox.lock();
            if !matches!(inbox.closed, Some(Closed::Broken(_))) {
                inbox.closed = Some(Closed::ShutDown);
            }
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
        std::mem::take(&mut state.place_waiters).into_values().for_each(|waiter| waiter.hub.ring());
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
                self.doubled.0.fetch_sub(1, Ordering::Relaxed);
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
            state.lower(|state| &mut state.live, ended);
            self.leave(state);
        }
        ended
    }

    /// Waits until every worker has ended; false if the time is up first.
    pub(super) fn join(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.threads > 0 {
            // All workers may wait for what is queued, and none of them has a clock: this thread has.
            let retry = state.refused.as_ref().filter(|refused| HAS_CLOCK && !refused.is_over());
            let retry = retry.and_then(|refused| refused.until);
            match deadline.into_iter().chain(retry).min() {
                None => self.ended.wait(&mut state),
                Some(at) => {
                    if self.ended.wait_until(&mut state, at).timed_out() && state.threads > 0 {
                        if clock::is_over(deadline) {
                            return false;
                        }
                        self.leave(state);
                        state = self.state.lock();
                    }
                }
            }
        }
        drop(state);
        let handles = std::mem::take(&mut *self.handles.lock());
        for handle in handles.all {
            // A worker contains every panic; what could come here is one in the user's own thread-locals.
            let _ = handle.join();
        }
        true
    }

    pub(super) fn stats(&self) -> ThreadPoolStats {
        let state = self.state.lock();
        let entries = state.urgent.len() + state.ready.len() + self.inbox.lock().queue.len();
        // Tasks are counted, not entries: an urgent one has two.
        let doubled = self.doubled.0.load(Ordering::Relaxed).max(0) as usize;
        let dead = self.dead.0.load(Ordering::Relaxed).max(0) as usize;
        self.counters.stats(entries.saturating_sub(doubled + dead), state.threads, state.slots.values())
    }

    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.state.lock().slots.values().cloned().collect()
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
            log_panic_in_drop("a hook", dropped);
        }
        let closed = self.inbox.lock().closed.take();
        log_panic_in_drop("the failure", drop_contained(closed));
    }
}

fn log_panic_in_drop(what: &str, dropped: Result<(), Panic>) {
    if let Err(panic) = dropped {
        logging::error(format_args!("the drop of {what} of a pool panicked: {}", panic.message()));
    }
}

fn helper_key(slot: &Slot, hub: &Arc<Hub>) -> (usize, usize) {
    (slot.number, Arc::as_ptr(hub).addr())
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
