//! The end of a pool of processes from every place, in every state: as `it::ends` has it for threads. And destructors
//! that panic, on either side.

use crate::house::{self, NAME, children};
use crate::support::{Gate, SOON, eventually, sleeps, this_thread};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Future, Portable, ProcessPoolBuilder, Rejected, Shutdown, Stage, TaskError, WhenFull, WorkerDeath,
    WorkerOutput,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// Panics of this process that a test wants, and that nobody needs to read.
const WANTED: [&str; 2] = ["on purpose, with a pool in its hands", BOMB];
const BOMB: &str = "a bomb was dropped";

/// As [`house::alone`], without a word on panics that are wanted: with `RUST_BACKTRACE` set, each would leave behind what
/// std keeps of the debug info, megabytes that would be taken for a leak.
fn alone(limit: Duration, body: impl FnOnce() + Send + 'static) {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let all = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>().is_none_or(|text| !WANTED.contains(text)) {
                all(panic);
            }
        }));
    });
    house::alone(limit, body);
}

// ---- ways to end a pool ----------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Drain,
    Cancel,
    Join,
    JoinTimeout,
    Terminate,
    Kill,
    /// Of the last handle.
    Drop,
}

const ENDS: [End; 7] =
    [End::Drain, End::Cancel, End::Join, End::JoinTimeout, End::Terminate, End::Kill, End::Drop];

impl End {
    fn befall(self, pool: Arc<ProcessPoolExecutor>) {
        match self {
            End::Drain => pool.shutdown(Shutdown::Drain),
            End::Cancel => pool.shutdown(Shutdown::CancelQueued),
            End::Join => pool.join(),
            End::JoinTimeout => drop(pool.join_timeout(Duration::from_millis(1))),
            End::Terminate => pool.terminate_workers(),
            End::Kill => pool.kill_workers(),
            End::Drop => drop(Arc::into_inner(pool).expect("the last handle")),
        }
    }

    /// Whether it waits for the workers, where it can.
    fn waits(self) -> bool {
        matches!(self, End::Join | End::Drop)
    }

    fn ends_workers(self) -> bool {
        matches!(self, End::Terminate | End::Kill)
    }
}

/// Ends a pool when it is dropped: says that it is there, and then waits for the word to go on.
struct Ender {
    there: Gate,
    go: Gate,
    done: Gate,
    end: End,
    pool: Option<Arc<ProcessPoolExecutor>>,
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.there.open();
        self.go.wait();
        self.pool.take().into_iter().for_each(|pool| self.end.befall(pool));
        self.done.open();
    }
}

// ---- places ----------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Thread,
    TaskOfThreads,
    Callback,
    /// The destructor of an argument, in the submit that has just written it down.
    Argument,
    /// The destructor of a result that nobody wants.
    Result,
    Unwinding,
    /// A thread-local's destructor, of a thread of the program's.
    ThreadsLocal,
    /// A thread-local's destructor, of the thread that drove a worker which has left.
    DriversLocal,
}

thread_local! {
    static LOCAL: RefCell<Option<Ender>> = const { RefCell::new(None) };
}

/// What the next result is made of that arrives. There is none in a worker.
static ARRIVES: Mutex<Option<Ender>> = Mutex::new(None);

/// Travels as nothing; what drops it ends a pool.
struct Carried {
    _ender: Option<Ender>,
}

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        Ok(Carried { _ender: ARRIVES.lock().unwrap().take() })
    }
}

/// The same, left behind on the thread that decodes it.
struct LeftBehind;

impl Serialize for LeftBehind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ().serialize(to)
    }
}

impl<'de> Deserialize<'de> for LeftBehind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        LOCAL.set(ARRIVES.lock().unwrap().take());
        Ok(LeftBehind)
    }
}

impl Place {
    /// Whether a worker has to come up for it.
    fn needs_a_worker(self) -> bool {
        matches!(self, Place::Callback | Place::Result | Place::DriversLocal)
    }

    /// Whether it is on a thread of the pool's, which can't wait for its own end.
    fn is_on_the_pools_thread(self) -> bool {
        self.needs_a_worker()
    }

    /// Puts it there; returns when it is about to act.
    fn take(self, pool: &Arc<ProcessPoolExecutor>, other: &ThreadPoolExecutor, ender: Ender) {
        let there = ender.there.clone();
        match self {
            Place::Thread => drop(thread::spawn(move || drop(ender))),
            Place::TaskOfThreads => other.spawn(move || drop(ender)).detach(),
            // Called after the task is done it would run here.
            Place::Callback => {
                let folder = tempfile::tempdir().unwrap();
                let future = pool.submit(wait_for, folder.path().join("added"));
                future.add_done_callback(move |_| drop(ender));
                leave(folder.path().join("added"));
                future.wait();
            }
            Place::Argument => {
                let pool = pool.clone();
                thread::spawn(move || {
                    let future = pool.submit(|_: Carried| (), Carried { _ender: Some(ender) });
                    drop(pool);
                    let outcome = future.result();
                    assert!(
                        is_shut_down(&outcome) || matches!(outcome, Err(TaskError::Broken(_))),
                        "{outcome:?}"
                    );
                });
            }
            Place::Result => {
                *ARRIVES.lock().unwrap() = Some(ender);
                unwanted(pool, |gate: PathBuf| {
                    wait_for(gate);
                    Carried { _ender: None }
                });
            }
            Place::Unwinding => drop(thread::spawn(move || {
                let _ender = ender;
                std::panic::panic_any(WANTED[0]);
            })),
            Place::ThreadsLocal => drop(thread::spawn(move || LOCAL.set(Some(ender)))),
            Place::DriversLocal => {
                *ARRIVES.lock().unwrap() = Some(ender);
                pool.submit(|()| LeftBehind, ()).detach();
            }
        }
        there.wait();
    }
}

// ---- states ----------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was submitted but what the place needs.
    Fresh,
    Idle,
    /// The workers have a task, and tasks are queued.
    Busy,
    /// The same with a full queue, and a submitter that is blocked at it.
    Full,
    /// The same with threads that wait for the queued tasks, in all ways.
    Awaited,
    /// A worker is in its initializer, and tasks are queued.
    Starting,
    /// A worker has died, and the pool was built to break then.
    Broken,
}

const STATES: [State; 7] =
    [State::Fresh, State::Idle, State::Busy, State::Full, State::Awaited, State::Starting, State::Broken];

const WORKERS: usize = 2;
const QUEUED: usize = 6;

fn builder(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME).stderr(WorkerOutput::Null)
}

fn nothing((): ()) {}

fn abort((): ()) {
    std::process::abort()
}

/// Leaves a file behind that says it was here.
fn leave(file: PathBuf) {
    drop(File::create(file).unwrap());
}

fn wait_for(file: PathBuf) {
    let deadline = Instant::now() + 2 * SOON;
    while !file.exists() && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Has a task run that waits for a file, whose future is gone when it ends.
fn unwanted<R: Portable>(pool: &ProcessPoolExecutor, task: fn(PathBuf) -> R) {
    let folder = tempfile::tempdir().unwrap();
    let (gate, before) = (folder.path().join("unwanted"), pool.stats().finished);
    pool.submit(task, gate.clone()).detach();
    leave(gate);
    eventually(|| pool.stats().finished > before);
}

/// Says that it has begun, and goes on when the gate is there.
fn stay((begun, gate): (PathBuf, PathBuf)) {
    leave(begun);
    wait_for(gate);
}

/// The first of a folder comes up, if that is let through; the others wait at the gate.
fn come_up((folder, lets_one): (PathBuf, bool)) {
    if !lets_one || File::create_new(folder.join("first")).is_err() {
        stay((folder.join("starting"), folder.join("gate")));
    }
}

type Outcome = Result<(), TaskError>;

fn is_shut_down<T>(outcome: &Result<T, TaskError>) -> bool {
    matches!(outcome, Err(TaskError::Rejected(Rejected::ShutDown)))
}

/// A pool that is brought into a state.
struct Site {
    pool: Arc<ProcessPoolExecutor>,
    folder: tempfile::TempDir,
    held: Vec<Future<()>>,
    queued: Vec<Future<()>>,
    waiters: Vec<thread::JoinHandle<Vec<Outcome>>>,
    blocked: Option<thread::JoinHandle<Vec<Outcome>>>,
}

impl Site {
    fn new(place: Place, state: State) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = builder(WORKERS);
        match state {
            State::Full => builder = builder.queue_capacity(QUEUED + 1, WhenFull::Block),
            State::Starting => {
                builder = builder.initializer(come_up, (folder.path().into(), place.needs_a_worker()));
            }
            State::Broken => builder = builder.on_worker_death(WorkerDeath::BreakPool),
            _ => {}
        }
        if place == Place::DriversLocal {
            builder = builder.keep_alive(Duration::from_millis(1));
        }
        let pool = Arc::new(builder.build().unwrap());
        let (held, queued, waiters) = (Vec::new(), Vec::new(), Vec::new());
        Site { pool, folder, held, queued, waiters, blocked: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn submit(&mut self, count: usize) {
        self.queued.extend((0..count).map(|_| self.pool.submit(nothing, ())));
    }

    fn hold(&mut self, count: usize) {
        for n in 0..count {
            let begun = self.path(&n.to_string());
            self.held.push(self.pool.submit(stay, (begun.clone(), self.path("gate"))));
            eventually(|| begun.exists());
        }
    }

    fn bring_into(&mut self, state: State, place: Place) {
        match state {
            State::Fresh => {}
            State::Idle => self.pool.submit(nothing, ()).result().unwrap(),
            State::Busy => {
                self.hold(WORKERS);
                self.submit(QUEUED);
            }
            State::Full => {
                self.hold(WORKERS);
                let (pool, (sender, submitter)) = (self.pool.clone(), mpsc::channel());
                self.blocked = Some(thread::spawn(move || {
                    sender.send(this_thread()).unwrap();
                    let mut futures = Vec::new();
                    // More than there is room for, at the workers' doors and in the queue.
                    while futures.len() < 10_000 && !futures.last().is_some_and(Future::is_done) {
                        futures.push(pool.submit(nothing, ()));
                    }
                    drop(pool);
                    futures.into_iter().map(Future::result).collect()
                }));
                let submitter = submitter.recv().unwrap();
                eventually(|| self.pool.stats().queued >= QUEUED && sleeps(&submitter));
            }
            State::Awaited => {
                self.hold(WORKERS);
                self.submit(QUEUED);
                self.wait_in_all_ways();
            }
            State::Starting => {
                self.hold(usize::from(place.needs_a_worker()));
                self.submit(QUEUED);
                eventually(|| self.path("starting").exists());
            }
            State::Broken => {
                let died = self.pool.submit(abort, ()).result();
                assert!(matches!(died, Err(TaskError::WorkerDied(_))), "{died:?}");
                eventually(|| matches!(self.pool.submit(nothing, ()).result(), Err(TaskError::Broken(_))));
            }
        }
    }

    fn wait_in_all_ways(&mut self) {
        let mut two = || self.queued.drain(..2).collect::<Vec<_>>();
        let (one, all, any) = (two(), two(), two());
        let waiters: [Box<dyn FnOnce() -> Vec<Outcome> + Send>; 3] = [
            Box::new(|| one.into_iter().map(Future::result).collect()),
            Box::new(|| wait(all, ReturnWhen::AllCompleted).done.into_iter().map(Future::result).collect()),
            Box::new(|| as_completed(any).map(Future::result).collect()),
        ];
        let (sender, threads) = mpsc::channel();
        for waiter in waiters {
            let sender = sender.clone();
            self.waiters.push(thread::spawn(move || {
                sender.send(this_thread()).unwrap();
                waiter()
            }));
        }
        threads.iter().take(3).for_each(|waiter| eventually(|| sleeps(&waiter)));
    }
}

fn play(place: Place, state: State, end: End) {
    let cell = format!("{end:?} from {place:?}, {state:?}");
    let other = ThreadPoolExecutor::builder().max_workers(1).name_prefix(NAME).build().unwrap();
    let mut site = Site::new(place, state);
    let (there, go, done) = (Gate::new(), Gate::new(), Gate::new());
    let pool = Some(site.pool.clone());
    place.take(&site.pool, &other, Ender { there, go: go.clone(), done: done.clone(), end, pool });
    site.bring_into(state, place);
    let Site { pool, folder, held, queued, waiters, blocked } = site;
    let kept = (end != End::Drop).then_some(pool);

    go.open();
    if !end.waits() || place.is_on_the_pools_thread() {
        // While the workers are held: it waits for none of them.
        done.wait();
    }
    if end.ends_workers() {
        held.iter().for_each(|future| eventually(|| future.is_done()));
    }
    leave(folder.path().join("gate"));
    done.wait();

    let cancels = end == End::Cancel || end.ends_workers();
    // It waits for what runs, so that could end before the rest was cancelled.
    let may_cancel = cancels || (end == End::Drop && place == Place::Unwinding);
    let check = |outcome: &Outcome| {
        let fits = match outcome {
            Ok(()) => !cancels,
            Err(TaskError::Cancelled) => may_cancel,
            _ => false,
        };
        assert!(fits, "{cell}: {outcome:?}");
    };
    let outcome = |future: Future<()>| match future.result_timeout(SOON) {
        Ok(outcome) => outcome,
        Err(_) => panic!("{cell}: a future was lost"),
    };
    for future in held {
        let outcome = outcome(future);
        let died = matches!(outcome, Err(TaskError::WorkerDied(_)));
        assert!(if end.ends_workers() { died } else { outcome.is_ok() }, "{cell}: {outcome:?}");
    }
    queued.into_iter().for_each(|future| check(&outcome(future)));
    for waiter in waiters {
        let outcomes = waiter.join().unwrap();
        assert_eq!(outcomes.len(), 2, "{cell}");
        outcomes.iter().for_each(check);
    }
    if let Some(blocked) = blocked {
        let mut outcomes = blocked.join().unwrap();
        let last = outcomes.pop();
        assert!(last.as_ref().is_some_and(is_shut_down), "{cell}: {last:?}");
        outcomes.iter().for_each(check);
    }
    if let Some(pool) = kept {
        let late = pool.submit(nothing, ()).result();
        let broken = matches!(late, Err(TaskError::Broken(_)));
        assert!(if state == State::Broken { broken } else { is_shut_down(&late) }, "{cell}: {late:?}");
        pool.join();
        assert!(pool.stats().workers.iter().all(|worker| worker.pid.is_none()), "{cell}");
    }
    // A drop on one of the pool's own threads waited for nobody.
    let deadline = Instant::now() + SOON;
    while !children().is_empty() && Instant::now() < deadline {
        thread::park_timeout(Duration::from_micros(200));
    }
    let left = children();
    assert!(left.is_empty(), "{cell}: workers were left behind: {left:?}");
}

/// A test for each place, which plays these states with these ends. Between them every pair that could differ: each
/// state and each end from a thread and from the pool's own, the rest where the place is what matters.
macro_rules! from {
    ($($name:ident: $place:ident $states:expr, $ends:expr;)*) => {
        mod from {
            use super::{ENDS, End, LIMIT, Place, STATES, State, alone, play};

            $(
                #[test]
                fn $name() {
                    alone(LIMIT, || {
                        for state in $states {
                            for end in $ends {
                                // Who is blocked at the door, or in a submit, has a handle: the last one goes later.
                                let has_handle = state == State::Full || Place::$place == Place::Argument;
                                if !(has_handle && end == End::Drop) {
                                    play(Place::$place, state, end);
                                }
                            }
                        }
                    });
                }
            )*
        }
    };
}

from! {
    a_thread: Thread STATES, ENDS;
    a_callback: Callback STATES, ENDS;
    a_task_of_threads: TaskOfThreads [State::Busy], [End::Join, End::Kill, End::Drop];
    the_destructor_of_an_argument: Argument [State::Fresh, State::Busy, State::Full, State::Broken], [End::Cancel, End::Join, End::Kill];
    the_destructor_of_an_unwanted_result: Result [State::Fresh, State::Busy, State::Full, State::Broken], [End::Cancel, End::Join, End::Kill, End::Drop];
    an_unwinding_thread: Unwinding [State::Fresh, State::Busy, State::Starting], [End::Join, End::Kill, End::Drop];
    a_thread_locals_destructor: ThreadsLocal [State::Fresh, State::Busy, State::Broken], [End::Join, End::Kill, End::Drop];
    a_drivers_thread_locals_destructor: DriversLocal [State::Fresh, State::Busy], [End::Cancel, End::Join, End::Kill, End::Drop];
}

#[test]
fn two_joins_at_once() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let (pool, begun, gate) =
            (builder(2).build().unwrap(), folder.path().join("begun"), folder.path().join("gate"));
        let held = pool.submit(stay, (begun.clone(), gate.clone()));
        eventually(|| begun.exists());
        thread::scope(|s| {
            let joiners = [s.spawn(|| pool.join()), s.spawn(|| pool.join())];
            leave(gate);
            joiners.into_iter().for_each(|joiner| joiner.join().unwrap());
        });
        assert!(held.is_done() && pool.stats().workers.iter().all(|worker| worker.pid.is_none()));
    });
}

// ---- the user's code on the pool's threads ---------------------------------------------------------

/// A result whose destructor waits for another task of its pool.
struct Waits(Option<(Arc<ProcessPoolExecutor>, mpsc::Sender<u32>)>);

static WAITS: Mutex<Option<(Arc<ProcessPoolExecutor>, mpsc::Sender<u32>)>> = Mutex::new(None);

impl Serialize for Waits {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Waits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        Ok(Waits(WAITS.lock().unwrap().take()))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some((pool, sender)) = self.0.take() {
            sender.send(pool.submit(|n: u32| n + 1, 1).result().unwrap()).unwrap();
        }
    }
}

#[test]
fn the_destructor_of_an_unwanted_result_may_wait_for_the_only_worker() {
    alone(LIMIT, || {
        let pool = Arc::new(builder(1).build().unwrap());
        let (sender, receiver) = mpsc::channel();
        *WAITS.lock().unwrap() = Some((pool.clone(), sender));
        unwanted(&pool, |gate: PathBuf| {
            wait_for(gate);
            Waits(None)
        });
        assert_eq!(receiver.recv_timeout(SOON), Ok(2));
    });
}

/// Submits when it is dropped, with the end of its thread.
struct Late(Arc<ProcessPoolExecutor>, mpsc::Sender<usize>);

impl Drop for Late {
    fn drop(&mut self) {
        for bytes in [10, 1_000_000] {
            let len = self.0.submit(|text: String| text.len(), "x".repeat(bytes));
            let len: usize = len.result().unwrap();
            self.1.send(len).unwrap();
        }
    }
}

#[test]
fn a_thread_locals_destructor_may_submit_and_wait() {
    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    alone(LIMIT, || {
        let pool = Arc::new(builder(1).build().unwrap());
        let (sender, receiver) = mpsc::channel();
        let late = Late(pool.clone(), sender);
        let thread = thread::spawn(move || {
            let pool = late.0.clone();
            // First, so that it is destroyed last: after what the library keeps for its submits.
            LATE.set(Some(late));
            pool.submit(nothing, ()).result().unwrap();
        });
        assert_eq!([(); 2].map(|()| receiver.recv_timeout(SOON).unwrap()), [10, 1_000_000]);
        thread.join().unwrap();
    });
}

/// It goes by `_exit`: what belongs to the parent's copy of a thread-local or to its exit handlers is not run once more.
#[test]
fn a_worker_leaves_without_destructors() {
    struct Leaves(PathBuf);
    impl Drop for Leaves {
        fn drop(&mut self) {
            leave(self.0.clone());
        }
    }
    thread_local! {
        static LEAVES: RefCell<Option<Leaves>> = const { RefCell::new(None) };
    }
    extern "C" fn handler() {
        let handled = HANDLED.lock().unwrap().take();
        if let Some(file) = handled {
            leave(file);
        }
    }
    static HANDLED: Mutex<Option<PathBuf>> = Mutex::new(None);
    fn prepare(folder: PathBuf) {
        LEAVES.set(Some(Leaves(folder.join("thread-local"))));
        *HANDLED.lock().unwrap() = Some(folder.join("handler"));
        // SAFETY: a function that takes nothing and returns nothing.
        unsafe { libc::atexit(handler) };
    }
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let pool = builder(1).build().unwrap();
        pool.submit(prepare, folder.path().to_owned()).result().unwrap();
        drop(pool);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        // An exit that a task asks for is a real one.
        let pool = builder(1).build().unwrap();
        let exits = |folder: PathBuf| -> () {
            prepare(folder);
            std::process::exit(3)
        };
        let outcome = pool.submit(exits, folder.path().to_owned()).result();
        assert!(
            matches!(&outcome, Err(TaskError::WorkerDied(died)) if died.exit_code() == Some(3)),
            "{outcome:?}"
        );
        assert!(folder.path().join("handler").exists());
    });
}

// ---- destructors that panic ------------------------------------------------------------------------

/// Its drop panics, in the process whose number it has or, with none, in all but one that unwinds.
#[derive(Serialize, Deserialize, Debug)]
struct Bomb(Option<u32>);

impl Bomb {
    fn here() -> Self {
        Bomb(Some(std::process::id()))
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0.is_none_or(|pid| pid == std::process::id()) && !thread::panicking() {
            std::panic::panic_any(BOMB);
        }
    }
}

fn next(n: u32) -> u32 {
    n + 1
}

/// After any of it the pool and its only worker are as before.
fn survives(harm: impl Fn(&ProcessPoolExecutor)) {
    let pool = builder(1).build().unwrap();
    let worker = pool.submit(|()| std::process::id(), ()).result().unwrap();
    for _ in 0..3 {
        harm(&pool);
        assert_eq!(pool.submit(next, 1).result().unwrap(), 2);
    }
    assert_eq!(pool.submit(|()| std::process::id(), ()).result().unwrap(), worker, "the worker died");
}

#[test]
fn an_arguments_destructor_that_panics() {
    alone(LIMIT, || {
        // Here, once it is written down.
        survives(|pool| pool.submit(|_: Bomb| (), Bomb::here()).result().unwrap());
        // There, when the task drops it: the task has panicked.
        survives(|pool| {
            let argument = Bomb(Some(pool.stats().workers[0].pid.unwrap()));
            let outcome = pool.submit(|_: Bomb| (), argument).result();
            let told = matches!(&outcome, Err(TaskError::Panicked(panic)) if panic.message() == BOMB);
            assert!(told, "{outcome:?}");
        });
        // In a submit that is refused.
        survives(|_| {
            let pool = builder(1).build().unwrap();
            pool.join();
            assert!(is_shut_down(&pool.submit(|_: Bomb| (), Bomb::here()).result()));
        });
    });
}

#[test]
fn a_results_destructor_that_panics() {
    alone(LIMIT, || {
        // There, once it is written down: it can't be told from one that can't be written.
        survives(|pool| {
            let outcome = pool.submit(|()| Bomb::here(), ()).result();
            let Err(TaskError::Codec(error)) = &outcome else { panic!("{outcome:?}") };
            assert_eq!(error.stage(), Stage::EncodeResult);
            assert!(error.to_string().contains(BOMB), "{error}");
        });
        // Here, where nobody wants it.
        survives(|pool| {
            unwanted(pool, |gate: PathBuf| {
                wait_for(gate);
                Bomb(Some(std::os::unix::process::parent_id()))
            });
        });
        // Here, where its owner drops it: it is the owner's to see.
        survives(|pool| {
            let future = pool.submit(Bomb, Some(std::process::id()));
            future.wait();
            let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(future)));
            assert!(dropped.is_err());
        });
    });
}

#[test]
fn a_payloads_destructor_that_panics() {
    alone(LIMIT, || {
        survives(|pool| {
            let outcome = pool.submit(|()| std::panic::panic_any(Bomb::here()), ()).result();
            assert!(matches!(outcome, Err::<(), _>(TaskError::Panicked(_))), "{outcome:?}");
        });
    });
}

#[test]
fn an_errors_destructor_that_panics() {
    #[derive(Debug, thiserror::Error)]
    #[error("a bomb")]
    struct Explosive(Bomb);
    alone(LIMIT, || {
        survives(|pool| {
            let outcome = pool.try_submit(|()| Err::<(), _>(Explosive(Bomb::here())), ()).result();
            assert!(matches!(outcome, Err(TaskError::Failed(_))), "{outcome:?}");
        });
    });
}

#[test]
fn an_error_whose_text_panics() {
    #[derive(Debug)]
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words for it")
        }
    }
    impl std::error::Error for Unspeakable {}
    alone(LIMIT, || {
        survives(|pool| {
            let outcome = pool.try_submit(|()| Err::<(), _>(Unspeakable), ()).result();
            let told =
                matches!(&outcome, Err(TaskError::Panicked(panic)) if panic.message() == "no words for it");
            assert!(told, "{outcome:?}");
        });
    });
}

/// Part of a result or of an argument is there when the rest proves to be unreadable, and is dropped then.
#[test]
fn the_destructor_of_a_value_read_by_half_that_panics() {
    #[derive(Serialize)]
    struct Half(Bomb, u32);
    impl<'de> Deserialize<'de> for Half {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let (_bomb, _) = <(Bomb, u32)>::deserialize(from)?;
            Err(serde::de::Error::custom("half of it is no good"))
        }
    }
    alone(LIMIT, || {
        survives(|pool| {
            let outcome = pool.submit(|pid: u32| Half(Bomb(Some(pid)), 1), std::process::id()).result();
            assert!(matches!(&outcome, Err(TaskError::Codec(error)) if error.stage() == Stage::DecodeResult));
        });
        survives(|pool| {
            let argument = Half(Bomb(Some(pool.stats().workers[0].pid.unwrap())), 1);
            let outcome = pool.submit(|_: Half| (), argument).result();
            assert!(
                matches!(&outcome, Err(TaskError::Codec(error)) if error.stage() == Stage::DecodeArgument)
            );
        });
    });
}

#[test]
fn a_callbacks_destructor_that_panics() {
    alone(LIMIT, || {
        survives(|pool| {
            let (future, bomb) = (pool.submit(next, 1), Bomb::here());
            future.add_done_callback(move |_| _ = &bomb);
            future.wait();
        });
    });
}

#[test]
fn an_initializers_argument_whose_destructor_panics() {
    alone(LIMIT, || {
        // Here, where the builder writes it down.
        let pool = builder(1).initializer(|_: Bomb| (), Bomb::here()).build().unwrap();
        assert_eq!(pool.submit(next, 1).result().unwrap(), 2);
        // There: the initializer has panicked.
        let pool = builder(1).initializer(|_: Bomb| (), Bomb(None)).build();
        let broken = pool.unwrap().submit(next, 1).result();
        assert!(
            matches!(&broken, Err(TaskError::Broken(why)) if why.to_string().contains("a bomb")),
            "{broken:?}"
        );
    });
}

/// A panic in a destructor that runs because of a panic: Rust aborts there, and it costs that task.
#[test]
fn a_panic_in_a_destructor_of_a_task_that_unwinds() {
    struct Always;
    impl Drop for Always {
        fn drop(&mut self) {
            panic!("the second panic");
        }
    }
    fn twice((): ()) {
        let _always = Always;
        panic!("the first panic");
    }
    alone(LIMIT, || {
        let pool = builder(1).build().unwrap();
        let twice = pool.submit(twice, ());
        let others: Vec<_> = (0..20).map(|n| pool.submit(next, n)).collect();
        let outcome = twice.result();
        assert!(
            matches!(&outcome, Err(TaskError::WorkerDied(died)) if died.signal() == Some(libc::SIGABRT)),
            "{outcome:?}"
        );
        assert!(others.into_iter().zip(1..).all(|(future, n)| future.result().unwrap() == n));
    });
}
