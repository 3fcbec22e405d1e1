//! [`Pool`]: what the executor, its drivers and its tasks share. Tasks come in here, drivers are started, and the end is
//! awaited. How futures are resolved is in `resolve.rs`.

use super::arena::Arena;
use super::dispatch::{Dispatcher, PAUSES, Wake};
use super::driver;
use super::launch::{LaunchConfig, LaunchError};
use super::notes::Records;
use super::observed::Ran;
use super::resolve::Resolved;
use super::shared_clock::SharedClock;
use super::task::EncodedTask;
use crate::clock::{deadline_after, is_over};
use crate::contain::contain;
use crate::error::{Broken, Rejected, TaskError, WorkerDied};
use crate::executor::{Elsewhere, WarmUp, WhenFull};
use crate::future::Future;
use crate::future::cell::Entry;
use crate::future::current::StopFlag;
use crate::future::home::{Home, HomeId};
use crate::future::publish::run_here;
use crate::future::waiting::{self, Ending, Host, Wait, set_host};
use crate::logging;
use crate::observe::Observed;
use crate::process_pool::sys::{self, Child, Event, ForkDetector, Signal};
use crate::process_pool::wire::buffer::PooledBuffer;
use crate::remote::codec::Plane;
use crate::since::Beginnings;
use crate::sync::plain::{AtomicU64, AtomicUsize};
use crate::sync::{Condvar, Mutex, MutexGuard, channel, thread};
use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub(crate) struct Pool {
    /// For calls that come by a task's note of its home.
    me: Weak<Pool>,
    pub(crate) dispatcher: Mutex<Dispatcher>,
    /// Waited at by submitters for room in the queue.
    room: Condvar,
    /// Waited at for the end of the drivers.
    drivers_gone: Condvar,
    /// The dispatcher's, for whom it has no time. It changes under the dispatcher's lock.
    pub(super) max_workers: AtomicUsize,
    pub(crate) config: Config,
    pub(crate) id: HomeId,
    /// Of the process that built it: a fork of it has no drivers.
    fork_detector: ForkDetector,
    pub(crate) beginnings: Beginnings,
    pub(crate) clock: SharedClock,
    /// Tasks that a submitter runs (`CallerRuns`).
    pub(crate) elsewhere: Elsewhere,
    /// Those are to stop.
    stop: StopFlag,
    pub(crate) finished: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(super) threads: Mutex<Vec<thread::JoinHandle<()>>>,
    pub(super) callbacks: Mutex<Option<channel::Sender<Resolved>>>,
    /// The same for what tasks report, and the ends of such tasks. Locked before `callbacks`.
    pub(super) reports: Mutex<Option<channel::Sender<Resolved>>>,
    pub(super) records: Records,
    /// Workers that could not be ended, to be reaped when they have.
    pub(crate) unreaped: Mutex<Vec<Child>>,
}

/// What a pool was built with, beside what dispatch must know.
pub(crate) struct Config {
    pub(crate) capacity: Option<(usize, WhenFull)>,
    pub(crate) start_timeout: Duration,
    /// Bytes that a worker's memory may grow by before it is replaced.
    pub(crate) memory_growth: Option<u64>,
    pub(crate) launch: LaunchConfig,
    /// Where large arguments lie on their way, if the system has such memory.
    pub(crate) arena: Option<Arc<Arena>>,
    pub(crate) observed: Observed,
}

crate::sync::thread_local! {
    /// The pool that this thread belongs to, as a driver or as the thread that calls its callbacks.
    pub(super) static SERVES: Cell<Option<HomeId>> = const { Cell::new(None) };
    /// The pool in whose queue this thread has a place reserved, while it encodes the task for it.
    static HOLDS_PLACE: Cell<Option<HomeId>> = const { Cell::new(None) };
}

/// On a driver's thread some of the user's code runs that can't be handed on: a waker, the logger. If it waits there for a
/// task of the pool it may hold up the very thread that is to resolve it, so the wait ends at once, with an error. A wait
/// with a limit ends by itself.
struct DriverHost(HomeId);

impl Host for DriverHost {
    fn home(&self) -> HomeId {
        self.0
    }

    fn wait(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> Ending {
        if deadline.is_none() && what.concerns(self.0) {
            Ending::Never
        } else {
            waiting::sleep(what, deadline)
        }
    }

    fn why_never(&self) -> &'static str {
        "a waker or a logger waited for a task of the pool of processes on whose own thread it was called, which is the \
         thread that resolves the task; wait elsewhere, or with a time limit"
    }

    fn begin_blocking(&self) {}

    fn end_blocking(&self) {}
}

impl Pool {
    pub(crate) fn new(mut dispatcher: Dispatcher, config: Config) -> Arc<Self> {
        let id = HomeId::new();
        let is_observed = config.observed.is_set();
        if is_observed {
            dispatcher.note_beginnings();
        }
        let max_workers = AtomicUsize::new(dispatcher.max_workers());
        let pool = Arc::new_cyclic(|me| Pool {
            me: me.clone(),
            dispatcher: Mutex::new(dispatcher),
            room: Condvar::new(),
            drivers_gone: Condvar::new(),
            max_workers,
            config,
            id,
            fork_detector: ForkDetector::new(),
            beginnings: Beginnings::new(),
            clock: SharedClock::new(),
            elsewhere: Elsewhere::default(),
            stop: StopFlag::default(),
            finished: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            threads: Mutex::new(Vec::new()),
            callbacks: Mutex::new(None),
            reports: Mutex::new(None),
            records: Records::default(),
            unreaped: Mutex::new(Vec::new()),
        });
        let home: Arc<dyn Home> = pool.clone();
        id.register(Arc::downgrade(&home));
        if is_observed {
            pool.beginnings.watch();
        }
        pool
    }

    /// Itself, unless it is being dropped.
    pub(super) fn me(&self) -> Option<Arc<Pool>> {
        self.me.upgrade()
    }

    // ---- tasks in -----------------------------------------------------------------------------------

    /// Takes a task, or gives its future the reason why not.
    pub(crate) fn accept(self: &Arc<Self>, entry: Entry) {
        self.observed().queued(&*entry);
        if !entry.is_portable() {
            return self.observed().refuse(&*entry, TaskError::Rejected(Rejected::NotPortable));
        }
        match self.admit() {
            Admission::Granted => {}
            Admission::Refused(error) => return self.observed().refuse(&*entry, error),
            Admission::RunHere => {
                if entry.header().word.claim().is_some() {
                    let began = self.beginnings.moment(self.beginnings.note());
                    self.elsewhere.begin(&*entry, began);
                    self.tell_started_here(&*entry, began);
                    run_here(&entry, Some(&self.stop), |phase| {
                        self.elsewhere.end(&*entry);
                        self.count(phase);
                        self.tell_ended_here(&*entry, began, phase);
                    });
                }
                return;
            }
        }
        entry.header().home.set(self.id);
        // `Serialize` is the user's, and may submit to this pool. A place is reserved meanwhile: with one place, or as many
        // such threads as places, waiting for another would be waiting for themselves.
        let outer = HOLDS_PLACE.replace(Some(self.id));
        let plane = self.config.arena.clone().map(|arena| arena as Arc<dyn Plane>);
        let encoded = EncodedTask::new(entry, plane);
        HOLDS_PLACE.set(outer);
        let mut dispatcher = self.dispatcher.lock();
        let entered = match encoded {
            Ok(task) => dispatcher.enter(task).map_err(|(task, why)| (task.into_unresolved().release(), why)),
            Err((entry, error)) => {
                dispatcher.release();
                Err((entry, Some(error)))
            }
        };
        drop(dispatcher);
        let refused = match entered {
            Ok(wake) => return self.wake(wake),
            Err(refused) => refused,
        };
        self.room.notify_one();
        match refused {
            (entry, Some(error)) => self.observed().refuse(&*entry, error),
            (entry, None) => self.observed().cancelled(&*entry),
        }
    }

    /// Reserves a place in the queue; blocks for it if the pool was built to.
    fn admit(&self) -> Admission {
        if self.is_fork() {
            return Admission::Refused(TaskError::Broken(Broken::new(FORKED)));
        }
        let mut dispatcher = self.dispatcher.lock();
        loop {
            if let Some(error) = dispatcher.refusal() {
                return Admission::Refused(error);
            }
            let Some((capacity, when_full)) = self.config.capacity else { break };
            if dispatcher.reserve(Some(capacity)) {
                return Admission::Granted;
            }
            match when_full {
                // A thread that makes room never waits for it.
                WhenFull::Block if self.is_served_by_this_thread() => break,
                WhenFull::Block if HOLDS_PLACE.get() == Some(self.id) => break,
                WhenFull::Block => self.room.wait(&mut dispatcher),
                WhenFull::Reject => return Admission::Refused(TaskError::Rejected(Rejected::Full)),
                WhenFull::CallerRuns => return Admission::RunHere,
            }
        }
        dispatcher.reserve(None);
        Admission::Granted
    }

    /// Places in the queue have come free.
    pub(crate) fn note_room(&self) {
        if self.config.capacity.is_some() {
            self.room.notify_all();
        }
    }

    // ---- drivers ------------------------------------------------------------------------------------

    pub(crate) fn wake(self: &Arc<Self>, wake: Wake) {
        match wake {
            Wake::None => {}
            Wake::Driver(event) => event.set(),
            Wake::Flush(outbound, event) => {
                if !outbound.flush() {
                    event.set();
                }
            }
            Wake::Start(lane) => self.start_driver(lane),
        }
    }

    pub(crate) fn wake_all(self: &Arc<Self>, wake: impl IntoIterator<Item = Wake>) {
        wake.into_iter().for_each(|wake| self.wake(wake));
    }

    fn start_driver(self: &Arc<Self>, lane: usize) {
        if !self.dispatcher.lock().claim_start(lane) {
            return;
        }
        let start = || {
            let pool = self.clone();
            let run = move || {
                SERVES.set(Some(pool.id));
                set_host(Some(Rc::new(DriverHost(pool.id))));
                if let Err(panic) = contain(|| driver::run(&pool, lane)) {
                    pool.settle_panic(lane, &panic.message());
                }
                pool.leave();
            };
            let name = format!("{}_driver_{lane}", self.config.launch.name_prefix);
            thread::Builder::new().name(name).spawn(run)
        };
        let mut started = start();
        for pause in PAUSES {
            // Threads are short now and may not be for long. Where another worker is there, it goes on with that.
            let is_short = started.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            if !is_short || !self.dispatcher.lock().is_alone(lane) {
                break;
            }
            sys::pause(pause);
            started = start();
        }
        match started {
            Ok(handle) => {
                let mut threads = self.threads.lock();
                threads.retain(|thread| !thread::is_finished(thread));
                threads.push(handle);
            }
            Err(error) => {
                let mut dispatcher = self.dispatcher.lock();
                dispatcher.vacate(lane);
                let alone = dispatcher.has_no_drivers();
                self.tell_warm(dispatcher);
                self.fail_orphans();
                if alone {
                    let why = format!(
                        "the thread that drives a worker could not be started{}",
                        sys::advice(&error)
                    );
                    self.break_down(Broken::with_source(why, error));
                }
                self.drivers_gone.notify_all();
            }
        }
    }

    /// A driver has panicked, which is a defect and must not cost more than what it had in hand: that is resolved by its
    /// drop, and the worker's process was ended by its own.
    fn settle_panic(self: &Arc<Self>, lane: usize, panic: &str) {
        let cause = format!("the thread that served it panicked, which is a defect of the pool: {panic}");
        let (pid, reaped) = self.dispatcher.lock().abandon(lane);
        let died = WorkerDied::new(pid.unwrap_or(0)).with_cause(cause);
        let name = self.config.launch.worker_name(lane);
        self.wake_all(reaped.wake);
        self.finish_cancelled(reaped.cancelled);
        for (task, _) in reaped.lost {
            let (id, label) = (task.id(), task.entry.label());
            let ran = Some(Ran { lane, pid, times: None, attempt: 1 });
            self.fail(task, TaskError::WorkerDied(died.clone().with_task(id, label, name.clone())), ran);
        }
        if reaped.too_many_failed_starts {
            self.break_down(Broken::with_source("the pool's own threads panic", died));
        }
    }

    /// Has all workers up that there may be.
    pub(crate) fn warm_up(self: &Arc<Self>) -> Future<()> {
        let (warm_up, future) = WarmUp::new();
        if self.is_fork() {
            warm_up.fail(TaskError::Broken(Broken::new(FORKED)));
            return future;
        }
        let mut dispatcher = self.dispatcher.lock();
        match dispatcher.refusal() {
            Some(error) => warm_up.fail(error),
            None => dispatcher.await_starts(&warm_up),
        }
        drop(dispatcher);
        self.start_up_to(usize::MAX, |dispatcher| dispatcher.warm_up_one(&warm_up));
        future
    }

    /// Starts workers by `start`, one after the other, until there are as many as there may be, or so many were started.
    pub(super) fn start_up_to(self: &Arc<Self>, most: usize, mut start: impl FnMut(&mut Dispatcher) -> Wake) {
        for _ in 0..most.min(self.max_workers()) {
            let mut dispatcher = self.dispatcher.lock();
            let is_open = dispatcher.refusal().is_none();
            let wake = if is_open { start(&mut dispatcher) } else { Wake::None };
            drop(dispatcher);
            let Wake::Start(_) = wake else { break };
            self.wake(wake);
        }
    }

    /// Leaves the dispatcher, and tells those who await workers that are up now. What hangs on that is user code, which may take any time: it doesn't run
    /// on a driver's thread.
    pub(crate) fn tell_warm(&self, mut dispatcher: MutexGuard<'_, Dispatcher>) {
        let warmed = dispatcher.take_warmed();
        drop(dispatcher);
        if !warmed.is_empty() {
            // Without a thread to be had it runs here.
            let _ = thread::Builder::new().spawn(move || drop(warmed));
        }
    }

    /// A worker did not start.
    pub(super) fn note_failure(self: &Arc<Self>, lane: usize, error: LaunchError) {
        let broken = match error {
            LaunchError::NotWanted => return,
            LaunchError::Initializer(error) => {
                Some(Broken::with_source("the initializer failed in a worker", error))
            }
            LaunchError::Start(why) => {
                logging::warn(format_args!("{why}"));
                let broken = Broken::new(format!("no worker can be started: {why}"));
                self.dispatcher.lock().note_failed_start(lane).then_some(broken)
            }
        };
        if let Some(why) = broken {
            self.break_down(why);
        }
    }

    /// Lets time pass after a start that failed, unless no worker is wanted any more: what was short may be there again.
    pub(super) fn rest(&self, event: Option<&Event>, pause: Duration) {
        let until = deadline_after(pause);
        while !is_over(until) && self.dispatcher.lock().wants_worker() {
            match event {
                Some(event) => {
                    if sys::sleep(None, false, None, None, event, until).event_set {
                        event.clear();
                    }
                }
                None => sys::pause(pause),
            }
        }
    }

    /// A driver's last act.
    fn leave(self: &Arc<Self>) {
        self.tell_warm(self.dispatcher.lock());
        self.fail_orphans();
        let dispatcher = self.dispatcher.lock();
        self.close_if_over(&dispatcher);
        self.drivers_gone.notify_all();
    }

    /// Closes what only workers need, once there will be no more of them.
    fn close_if_over(&self, dispatcher: &Dispatcher) {
        if dispatcher.refusal().is_some() && dispatcher.has_no_drivers() && dispatcher.queued() == 0 {
            self.config.arena.iter().for_each(|arena| arena.close());
        }
    }

    /// Nothing can run any more.
    pub(crate) fn break_down(self: &Arc<Self>, why: Broken) {
        let error = TaskError::Broken(why.clone());
        let mut dispatcher = self.dispatcher.lock();
        let (lost, wake) = dispatcher.break_down(why);
        self.close_if_over(&dispatcher);
        drop(dispatcher);
        self.note_room();
        self.wake_all(wake);
        for task in lost {
            self.fail(task, error.clone(), None);
        }
    }

    // ---- the end ------------------------------------------------------------------------------------

    pub(crate) fn drain(self: &Arc<Self>) {
        if self.is_fork() {
            return;
        }
        let mut dispatcher = self.dispatcher.lock();
        let wake = dispatcher.drain();
        self.close_if_over(&dispatcher);
        drop(dispatcher);
        self.note_room();
        self.wake_all(wake);
    }

    pub(crate) fn cancel_all(self: &Arc<Self>, asks: AsksRunning) {
        if self.is_fork() {
            return;
        }
        let mut cancelled = Vec::new();
        let mut dispatcher = self.dispatcher.lock();
        let wake = dispatcher.cancel_all(&mut cancelled);
        if asks == AsksRunning::Yes {
            dispatcher.ask_all_to_stop();
            self.stop.raise();
        }
        self.close_if_over(&dispatcher);
        drop(dispatcher);
        self.note_room();
        self.wake_all(wake);
        self.finish_cancelled(cancelled);
    }

    pub(crate) fn signal_all(self: &Arc<Self>, signal: Signal) {
        if self.is_fork() {
            return;
        }
        let wake = self.dispatcher.lock().signal_all(signal);
        self.wake_all(wake);
    }

    /// Waits until the drivers have ended; false if the deadline came first.
    pub(crate) fn join(&self, deadline: Option<Instant>) -> bool {
        if self.is_fork() {
            return true;
        }
        let mut dispatcher = self.dispatcher.lock();
        while !dispatcher.is_over() {
            match deadline {
                None => self.drivers_gone.wait(&mut dispatcher),
                Some(deadline) => {
                    if self.drivers_gone.wait_until(&mut dispatcher, deadline).timed_out()
                        && !dispatcher.is_over()
                    {
                        return false;
                    }
                }
            }
        }
        drop(dispatcher);
        // No driver is left that would send another one.
        self.reports.lock().take();
        self.callbacks.lock().take();
        self.records.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A driver contains the user's code; a panic of its own is a defect, which has been settled.
            let _ = thread.join();
        }
        true
    }

    /// Whether this process is a fork of the one that built the pool. The drivers and workers are the other's: no thread
    /// here would ever wake a waiter, what is written to the segments would take tasks from the other, and a thread that
    /// held the dispatcher's lock at the fork never releases it here.
    pub(crate) fn is_fork(&self) -> bool {
        self.fork_detector.is_fork()
    }

    /// Whether this thread drives one of the pool's workers, or calls its callbacks.
    pub(crate) fn is_served_by_this_thread(&self) -> bool {
        SERVES.get() == Some(self.id)
    }
}

/// Why a fork's copy of a pool runs nothing.
pub(super) const FORKED: &str = "this process is a fork of the one that built the pool, and has none of its threads; build a pool of its \
    own here";

/// Whether what runs is asked to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsksRunning {
    Yes,
    No,
}

enum Admission {
    Granted,
    Refused(TaskError),
    RunHere,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.id.unregister();
        // Another pool's next large argument will make room anew.
        PooledBuffer::release();
        self.config.observed.drop_contained();
    }
}
