//! [`Pool`]: what the executor, its drivers and its tasks share. Tasks come in here and are resolved here.

use super::buffer::PooledBuffer;
use super::dispatch::{Dispatcher, PAUSES, PoolState, Wake};
use super::driver;
use super::lane::{Status, TaskKill};
use super::launch::LaunchConfig;
use super::listener::Listener;
use super::sys::{self, Birthmark, Child, Signal};
use super::task::EncodedTask;
use crate::contain::{contain, drop_contained};
use crate::error::{Broken, Rejected, TaskError, WorkerDied};
use crate::executor::WhenFull;
use crate::future::cell::Entry;
use crate::future::home::{Home, HomeId, Listen};
use crate::future::publish::{Aftermath, publish, refuse, run_here};
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting::{self, Ending, Host, Wait, set_host};
use crate::id::FutureId;
use crate::remote::codec::Arrived;
use crate::remote::{outcome, parcel};
use crate::sync::plain::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, channel, one_processor, thread};
use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub(super) struct Pool {
    /// For those who come by a task's note of its home.
    me: Weak<Pool>,
    pub(super) dispatcher: Mutex<Dispatcher>,
    /// Waited at by submitters for room in the queue.
    room: Condvar,
    /// Waited at for the end of the drivers.
    drivers_gone: Condvar,
    pub(super) config: Config,
    pub(super) id: HomeId,
    /// Of the process that built it: a fork of it has no drivers.
    birthmark: Birthmark,
    pub(super) finished: AtomicU64,
    pub(super) failed: AtomicU64,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    callbacks: Mutex<Option<channel::Sender<Callbacks>>>,
    /// Workers that could not be ended, to be taken note of when they have ended.
    pub(super) strays: Mutex<Vec<Child>>,
}

/// What a pool was built with, beside what dispatch must know.
pub(super) struct Config {
    pub(super) max_workers: usize,
    pub(super) capacity: Option<(usize, WhenFull)>,
    pub(super) start_timeout: Duration,
    /// Bytes that a worker's memory may grow by before it is replaced.
    pub(super) memory_growth: Option<u64>,
    pub(super) launch: LaunchConfig,
}

/// A resolved task whose callbacks are still to be called, or whose result is to be dropped.
type Callbacks = (Entry, Aftermath);

crate::sync::thread_local! {
    /// The pool that this thread belongs to, as a driver or as its caller of callbacks.
    static SERVES: Cell<Option<HomeId>> = const { Cell::new(None) };
    /// The pool in whose queue this thread holds a place, while it encodes what is to go there.
    static HOLDS_PLACE: Cell<Option<HomeId>> = const { Cell::new(None) };
}

/// On a driver's thread code of the user's runs that is not to be handed on: a waker, the logger. If it waits there for a
/// task of the pool it may hold up the very thread that is to resolve it, so the wait ends at once, with an error. One
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
    pub(super) fn new(dispatcher: Dispatcher, config: Config) -> Arc<Self> {
        let id = HomeId::new();
        let pool = Arc::new_cyclic(|me| Pool {
            me: me.clone(),
            dispatcher: Mutex::new(dispatcher),
            room: Condvar::new(),
            drivers_gone: Condvar::new(),
            config,
            id,
            birthmark: Birthmark::new(),
            finished: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            threads: Mutex::new(Vec::new()),
            callbacks: Mutex::new(None),
            strays: Mutex::new(Vec::new()),
        });
        let home: Arc<dyn Home> = pool.clone();
        id.register(Arc::downgrade(&home));
        pool
    }

    // ---- tasks in -----------------------------------------------------------------------------------

    /// Takes a task, or gives its future the reason why not.
    pub(super) fn accept(self: &Arc<Self>, entry: Entry) {
        if !entry.is_portable() {
            return refuse(&*entry, TaskError::Rejected(Rejected::NotPortable));
        }
        match self.admit() {
            Admission::Granted => {}
            Admission::Refused(error) => return refuse(&*entry, error),
            Admission::RunHere => {
                if entry.header().word.claim().is_some() {
                    run_here(&*entry, |phase| self.count(phase));
                }
                return;
            }
        }
        entry.header().home.set(self.id);
        // `Serialize` is the user's, and may submit to this pool. A place is held meanwhile: with one place, or as many
        // such threads as places, waiting for another would be waiting for themselves.
        let outer = HOLDS_PLACE.replace(Some(self.id));
        let encoded = EncodedTask::new(entry);
        HOLDS_PLACE.set(outer);
        let mut dispatcher = self.dispatcher.lock();
        dispatcher.reserved -= 1;
        let refused = match encoded {
            Ok(task) => match closed(&dispatcher.state) {
                None if task.entry.header().word.mark_entered() => {
                    let wake = dispatcher.submit(task);
                    drop(dispatcher);
                    return self.wake(wake);
                }
                // Cancelled before it got here.
                None => None,
                Some(error) => Some((task.into_unresolved().release(), error)),
            },
            Err(refused) => Some(refused),
        };
        drop(dispatcher);
        self.room.notify_one();
        if let Some((entry, error)) = refused {
            refuse(&*entry, error);
        }
    }

    /// Asks for a place in the queue; blocks if it was bounded to block.
    fn admit(&self) -> Admission {
        if self.is_fork() {
            return Admission::Refused(TaskError::Broken(Broken::new(
                "this process is a fork of the one that built the pool, and has none of its threads; \
                 build a pool of its own here",
            )));
        }
        let mut dispatcher = self.dispatcher.lock();
        loop {
            if let Some(error) = closed(&dispatcher.state) {
                return Admission::Refused(error);
            }
            let Some((capacity, when_full)) = self.config.capacity else { break };
            if dispatcher.queued() + dispatcher.reserved < capacity {
                break;
            }
            match when_full {
                // Whoever makes room never waits for it.
                WhenFull::Block if self.is_served_by_this_thread() => break,
                WhenFull::Block if HOLDS_PLACE.get() == Some(self.id) => break,
                WhenFull::Block => self.room.wait(&mut dispatcher),
                WhenFull::Reject => return Admission::Refused(TaskError::Rejected(Rejected::Full)),
                WhenFull::CallerRuns => return Admission::RunHere,
            }
        }
        dispatcher.reserved += 1;
        Admission::Granted
    }

    /// Places in the queue have come free.
    pub(super) fn note_room(&self) {
        if self.config.capacity.is_some() {
            self.room.notify_all();
        }
    }

    // ---- tasks out ----------------------------------------------------------------------------------

    /// Resolves a task with the reply that came for it: on the driver's thread, or on one that waits for the task.
    pub(super) fn complete<'a>(self: &Arc<Self>, task: EncodedTask, reply: impl Into<Arrived<'a>>) {
        let entry = task.into_unresolved();
        let phase = match outcome::open(reply, parcel::nonce(), entry.header().id.get()) {
            Ok(outcome) => entry.complete(outcome),
            Err(error) => {
                entry.fill(error);
                Phase::Failed
            }
        };
        self.count(phase);
        let after = publish(&**entry, Phase::Dispatched, phase);
        self.follow_up_elsewhere(entry.release(), after);
    }

    /// Resolves a task with an error.
    pub(super) fn fail(self: &Arc<Self>, task: EncodedTask, error: TaskError) {
        let entry = task.into_unresolved();
        entry.fill(error);
        self.count(Phase::Failed);
        let after = publish(&**entry, Phase::Dispatched, Phase::Failed);
        self.follow_up(entry.release(), after);
    }

    /// Resolves tasks that were taken back for good.
    pub(super) fn finish_cancelled(self: &Arc<Self>, tasks: Vec<EncodedTask>) {
        for task in tasks {
            let entry = task.into_unresolved();
            entry.fill(TaskError::Cancelled);
            let after = publish(&**entry, Phase::Cancelling, Phase::Cancelled);
            self.follow_up(entry.release(), after);
        }
    }

    fn follow_up(self: &Arc<Self>, entry: Entry, after: Aftermath) {
        if self.is_served_by_this_thread() {
            self.follow_up_elsewhere(entry, after);
        } else {
            finish((entry, after));
        }
    }

    /// Callbacks go to a thread of their own, and so do destructors of results that nobody wants: one that waits for
    /// another task of this pool would hold up the very driver that is to resolve it, or the thread that it is to hear
    /// from.
    fn follow_up_elsewhere(self: &Arc<Self>, entry: Entry, after: Aftermath) {
        if !after.may_take_long(&*entry) {
            return finish((entry, after));
        }
        let mut callbacks = self.callbacks.lock();
        if callbacks.is_none() {
            *callbacks = self.start_callback_thread();
        }
        let left = match &*callbacks {
            Some(sender) => sender.send((entry, after)).map_err(channel::SendError::into_inner).err(),
            None => Some((entry, after)),
        };
        drop(callbacks);
        // No thread could be had.
        if let Some(left) = left {
            finish(left);
        }
    }

    fn start_callback_thread(&self) -> Option<channel::Sender<Callbacks>> {
        let (sender, receiver) = channel::unbounded::<Callbacks>();
        let id = self.id;
        let call = move || {
            SERVES.set(Some(id));
            // What is the user's in there is contained by itself; should anything else panic, the next ones are called.
            receiver.into_iter().for_each(|left| drop(contain(|| finish(left))));
        };
        let name = format!("{}_callbacks", self.config.launch.name_prefix);
        let handle = thread::Builder::new().name(name).spawn(call).ok()?;
        self.threads.lock().push(handle);
        Some(sender)
    }

    fn count(&self, phase: Phase) {
        let counter = if phase == Phase::Finished { &self.finished } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    // ---- drivers ------------------------------------------------------------------------------------

    pub(super) fn wake(self: &Arc<Self>, wake: Wake) {
        match wake {
            Wake::Nobody => {}
            Wake::Ring(event) => event.ring(),
            Wake::Flush(outbound, event) => {
                if !outbound.flush() {
                    event.ring();
                }
            }
            Wake::Start(lane) => self.start_driver(lane),
        }
    }

    pub(super) fn wake_all(self: &Arc<Self>, wake: impl IntoIterator<Item = Wake>) {
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
                    pool.settle(lane, &panic.message());
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
                dispatcher.set_status(lane, Status::Vacant);
                let alone = dispatcher.has_no_drivers();
                drop(dispatcher);
                if alone {
                    let why = format!("no thread could be had to drive a worker{}", sys::advice(&error));
                    self.break_down(Broken::with_source(why, error));
                }
                self.drivers_gone.notify_all();
            }
        }
    }

    /// A driver has panicked, which is a defect and must not cost more than what it had in hand: that is resolved by its
    /// drop, and the worker's process was ended by its own. What its lane had is settled as after a death, and the lane is
    /// free again. The driver may have been on its way to start or to ring others: that is made up for.
    fn settle(self: &Arc<Self>, lane: usize, panic: &str) {
        let cause = format!("the thread that served it panicked, which is a defect of the pool: {panic}");
        let mut dispatcher = self.dispatcher.lock();
        let died = WorkerDied::new(dispatcher.lanes[lane].pid.unwrap_or(0)).with_cause(cause);
        let name = self.config.launch.worker_name(lane);
        let reaped = dispatcher.reap(lane, false);
        let too_many_failed_starts = dispatcher.note_failed_start(lane);
        dispatcher.vacate(lane);
        let starts =
            (0..dispatcher.lanes.len()).filter(|at| dispatcher.lanes[*at].awaits_driver).map(Wake::Start);
        let mut wake: Vec<Wake> = starts.collect();
        wake.extend(dispatcher.all_drivers());
        wake.push(dispatcher.pass_on());
        drop(dispatcher);
        self.wake_all(reaped.wake);
        self.wake_all(wake);
        self.finish_cancelled(reaped.cancelled);
        for (task, _) in reaped.lost {
            let (id, label) = (task.id(), task.entry.label());
            self.fail(task, TaskError::WorkerDied(died.clone().with_task(id, label, name.clone())));
        }
        if too_many_failed_starts {
            self.break_down(Broken::with_source("the pool's own threads panic", died));
        }
    }

    /// A driver's last act.
    fn leave(&self) {
        let _dispatcher = self.dispatcher.lock();
        self.drivers_gone.notify_all();
    }

    /// Nothing can run any more.
    pub(super) fn break_down(self: &Arc<Self>, why: Broken) {
        let error = TaskError::Broken(why.clone());
        let (lost, wake) = self.dispatcher.lock().break_down(why);
        self.note_room();
        self.wake_all(wake);
        for task in lost {
            self.fail(task, error.clone());
        }
    }

    // ---- the end ------------------------------------------------------------------------------------

    pub(super) fn drain(self: &Arc<Self>) {
        if self.is_fork() {
            return;
        }
        let wake = self.dispatcher.lock().drain();
        self.note_room();
        self.wake_all(wake);
    }

    pub(super) fn cancel_all(self: &Arc<Self>) {
        if self.is_fork() {
            return;
        }
        let mut cancelled = Vec::new();
        let wake = self.dispatcher.lock().cancel_all(&mut cancelled);
        self.note_room();
        self.wake_all(wake);
        self.finish_cancelled(cancelled);
    }

    pub(super) fn order(self: &Arc<Self>, signal: Signal) {
        if self.is_fork() {
            return;
        }
        let wake = self.dispatcher.lock().order(signal);
        self.wake_all(wake);
    }

    /// Waits until the drivers have ended; false if the deadline came first.
    pub(super) fn join(&self, deadline: Option<Instant>) -> bool {
        if self.is_fork() {
            return true;
        }
        let mut dispatcher = self.dispatcher.lock();
        while !dispatcher.has_no_drivers() {
            match deadline {
                None => self.drivers_gone.wait(&mut dispatcher),
                Some(deadline) => {
                    if self.drivers_gone.wait_until(&mut dispatcher, deadline).timed_out()
                        && !dispatcher.has_no_drivers()
                    {
                        return false;
                    }
                }
            }
        }
        drop(dispatcher);
        // No driver is left that would send another one.
        self.callbacks.lock().take();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A driver contains what is the user's; its own panic would be a defect, which the thread has reported.
            let _ = thread.join();
        }
        true
    }

    /// Whether this process is a fork of the one that built the pool. The drivers and workers are the other's: nobody
    /// here would ever wake a waiter, what is written to the pages would rob the other of its tasks, and whoever held the
    /// dispatcher's lock at the fork never gives it back.
    pub(super) fn is_fork(&self) -> bool {
        self.birthmark.is_fork()
    }

    /// Whether this thread drives one of the pool's workers, or calls its callbacks.
    pub(super) fn is_served_by_this_thread(&self) -> bool {
        SERVES.get() == Some(self.id)
    }
}

enum Admission {
    Granted,
    Refused(TaskError),
    RunHere,
}

fn closed(state: &PoolState) -> Option<TaskError> {
    match state {
        PoolState::Open => None,
        PoolState::Draining | PoolState::Cancelling => Some(TaskError::Rejected(Rejected::ShutDown)),
        PoolState::Broken(why) => Some(TaskError::Broken(why.clone())),
    }
}

fn finish((entry, after): Callbacks) {
    after.run(&*entry);
    entry.extra().settled();
}

impl Home for Pool {
    fn cancelled(&self, _: Snapshot) {
        if self.is_fork() {
            return;
        }
        let dead = self.dispatcher.lock().note_cancelled();
        self.note_room();
        let _ = drop_contained(dead);
    }

    fn take_back(&self, id: FutureId) -> bool {
        if self.is_fork() {
            return false;
        }
        let (task, wake) = self.dispatcher.lock().take_back(id);
        if let Some(pool) = self.me.upgrade() {
            pool.wake_all(wake);
        }
        // The one who cancels makes it known.
        task.map(|task| task.into_unresolved().release()).is_some()
    }

    fn has_begun(&self, id: FutureId) -> bool {
        !self.is_fork() && self.dispatcher.lock().has_begun(id)
    }

    fn listen(&self, id: FutureId) -> Option<Box<dyn Listen>> {
        // A worker whose memory is watched is looked at by its driver between tasks.
        if self.is_fork() || self.config.memory_growth.is_some() || one_processor() {
            return None;
        }
        let listener = Listener::new(&self.me.upgrade()?, id)?;
        Some(Box::new(listener))
    }

    fn kill(&self, id: FutureId) -> bool {
        if self.is_fork() {
            return false;
        }
        let wake = self.dispatcher.lock().kill(id, TaskKill::Requested);
        if let Some(Wake::Ring(event)) = &wake {
            event.ring();
        }
        wake.is_some()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.id.unregister();
        // Another pool's next large argument will make room anew.
        PooledBuffer::release();
    }
}
