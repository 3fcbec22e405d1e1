//! The end of a pool of threads from every place, in every state; and destructors of the user's that panic.
//!
//! A place is where something is dropped that then ends the pool; a state is what the pool is at meanwhile. Every pair
//! is played with every way to end a pool. What holds in all of them: the call comes back (on a worker of the pool, or in
//! the last moments of its thread, without waiting for anything), every future is done, and nothing is left.

use crate::support::{
    Bomb, Gate, LIMIT, Live, SOON, eventually, hold, keep_log, limit, sleeps, this_thread, times_logged,
    was_logged,
};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Failed, Future, InlineExecutor, MapOptions, Promise, Rejected, Shutdown, TaskError, WhenFull, promise,
};
use std::cell::RefCell;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

// ---- ways to end a pool ----------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Drain,
    Cancel,
    Join,
    JoinTimeout,
    /// Of the last handle.
    Drop,
}

const ENDS: [End; 5] = [End::Drain, End::Cancel, End::Join, End::JoinTimeout, End::Drop];

impl End {
    fn befall(self, pool: Arc<ThreadPoolExecutor>) {
        match self {
            End::Drain => pool.shutdown(Shutdown::Drain),
            End::Cancel => pool.shutdown(Shutdown::CancelQueued),
            End::Join => pool.join(),
            End::JoinTimeout => drop(pool.join_timeout(Duration::from_millis(1))),
            End::Drop => drop(Arc::into_inner(pool).expect("the last handle")),
        }
    }

    /// Whether it waits for the workers, where it can.
    fn waits(self) -> bool {
        matches!(self, End::Join | End::Drop)
    }
}

/// Ends a pool when it is dropped: says that it is there, and then waits for the word to go on.
struct Ender {
    there: Gate,
    go: Gate,
    done: Gate,
    end: End,
    pool: Option<Arc<ThreadPoolExecutor>>,
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
    OwnTask,
    OtherTask,
    Callback,
    /// The destructor of what a task captured.
    Captured,
    /// The destructor of a result that nobody wants.
    Result,
    Unwinding,
    UnwindingTask,
    /// A thread-local's destructor, of a thread of the program's.
    #[cfg_attr(windows, expect(dead_code, reason = "no thread ends meanwhile there"))]
    ThreadsLocal,
    /// A thread-local's destructor, of a worker that has ended.
    WorkersLocal,
}

thread_local! {
    static LOCAL: RefCell<Option<Ender>> = const { RefCell::new(None) };
}

impl Place {
    /// Whether a worker is occupied there.
    fn occupies_a_worker(self) -> bool {
        use Place::{Callback, Captured, OwnTask, Result, UnwindingTask};
        matches!(self, OwnTask | Callback | Captured | Result | UnwindingTask)
    }

    /// Whether it is on a worker's thread, which can't wait for its own end.
    fn is_on_a_worker(self) -> bool {
        self.occupies_a_worker() || self == Place::WorkersLocal
    }

    fn unwinds(self) -> bool {
        matches!(self, Place::Unwinding | Place::UnwindingTask)
    }

    /// Puts it there; returns when it is about to act.
    fn take(self, pool: &ThreadPoolExecutor, other: &ThreadPoolExecutor, ender: Ender) {
        let (there, ready) = (ender.there.clone(), Gate::new());
        match self {
            Place::Thread => drop(thread::spawn(move || drop(ender))),
            Place::OwnTask => pool.spawn(move || drop(ender)).detach(),
            Place::OtherTask => other.spawn(move || drop(ender)).detach(),
            Place::Callback => {
                let added = ready.clone();
                let future = pool.spawn(move || added.wait());
                future.add_done_callback(move |_| drop(ender));
            }
            Place::Captured => pool.spawn(move || _ = &ender).detach(),
            Place::Result => {
                let unwanted = ready.clone();
                pool.spawn(move || {
                    unwanted.wait();
                    ender
                })
                .detach();
            }
            Place::Unwinding => drop(thread::spawn(move || {
                let _ender = ender;
                panic!("on purpose, with a pool in its hands");
            })),
            Place::UnwindingTask => pool
                .spawn(move || {
                    let _ender = ender;
                    panic!("on purpose, with its own pool in its hands");
                })
                .detach(),
            Place::ThreadsLocal => drop(thread::spawn(move || LOCAL.set(Some(ender)))),
            Place::WorkersLocal => pool.spawn(move || LOCAL.set(Some(ender))).detach(),
        }
        ready.open();
        there.wait();
    }
}

// ---- states ----------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was submitted but what the place needs.
    Fresh,
    Idle,
    /// Every worker has a task, and tasks are queued.
    Busy,
    /// The same with a full queue, and a submitter that is blocked at it.
    Full,
    /// The same with threads that wait for the queued tasks, in all ways.
    Awaited,
    /// The workers are in their initializers, and tasks are queued.
    Starting,
    /// An initializer has failed.
    Broken,
}

const STATES: [State; 7] =
    [State::Fresh, State::Idle, State::Busy, State::Full, State::Awaited, State::Starting, State::Broken];

const WORKERS: usize = 3;
const QUEUED: usize = 6;

type Outcome = Result<(), TaskError>;

/// A pool that is brought into a state.
struct Site {
    pool: Arc<ThreadPoolExecutor>,
    /// Opens what holds the workers, in tasks and in initializers.
    gate: Gate,
    live: Live,
    initializers: Arc<AtomicUsize>,
    breaks: Arc<AtomicBool>,
    held: Vec<Future<()>>,
    queued: Vec<Future<()>>,
    waiters: Vec<thread::JoinHandle<Vec<Outcome>>>,
    blocked: Option<thread::JoinHandle<Outcome>>,
}

impl Site {
    fn new(place: Place, state: State) -> Self {
        let (gate, live) = (Gate::new(), Live::new());
        let (initializers, breaks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut builder = ThreadPoolExecutor::builder().max_workers(WORKERS);
        if state == State::Full {
            builder = builder.queue_capacity(QUEUED, WhenFull::Block);
        }
        if place == Place::WorkersLocal {
            builder = builder.keep_alive(Duration::from_millis(1));
        }
        if matches!(state, State::Starting | State::Broken) {
            let (token, opened) = (live.token(), gate.clone());
            let (count, breaks) = (initializers.clone(), breaks.clone());
            // The worker that the place needs comes up.
            let first = usize::from(place.is_on_a_worker());
            builder = builder.try_initializer(move || {
                let _token = &token;
                if count.fetch_add(1, Ordering::SeqCst) >= first {
                    if breaks.load(Ordering::SeqCst) {
                        return Err("refused".into());
                    }
                    opened.wait();
                }
                Ok(())
            });
        } else {
            let token = live.token();
            builder = builder.initializer(move || _ = &token);
        }
        let pool = Arc::new(builder.build().unwrap());
        let (held, queued, waiters) = (Vec::new(), Vec::new(), Vec::new());
        Site { pool, gate, live, initializers, breaks, held, queued, waiters, blocked: None }
    }

    fn submit(&mut self, count: usize) {
        for _ in 0..count {
            let token = self.live.token();
            self.queued.push(self.pool.spawn(move || drop(token)));
        }
    }

    fn hold_all(&mut self, place: Place) {
        for _ in 0..WORKERS - usize::from(place.occupies_a_worker()) {
            let (begun, gate, token) = (Gate::new(), self.gate.clone(), self.live.token());
            let begins = begun.clone();
            self.held.push(self.pool.spawn(move || {
                let _token = token;
                begins.open();
                gate.wait();
            }));
            begun.wait();
        }
    }

    fn bring_into(&mut self, state: State, place: Place) {
        match state {
            State::Fresh => {}
            State::Idle => self.pool.spawn(|| ()).result().unwrap(),
            State::Busy => {
                self.hold_all(place);
                self.submit(QUEUED);
            }
            State::Full => {
                self.hold_all(place);
                self.submit(QUEUED);
                let (pool, (sender, submitter)) = (self.pool.clone(), mpsc::channel());
                self.blocked = Some(thread::spawn(move || {
                    sender.send(this_thread()).unwrap();
                    let future = pool.spawn(|| ());
                    drop(pool);
                    future.result()
                }));
                let submitter = submitter.recv().unwrap();
                eventually(|| sleeps(&submitter));
            }
            State::Awaited => {
                self.hold_all(place);
                self.submit(QUEUED);
                let one: Vec<_> = self.queued.drain(..2).collect();
                let all: Vec<_> = self.queued.drain(..2).collect();
                let any: Vec<_> = self.queued.drain(..2).collect();
                let waiters: [Box<dyn FnOnce() -> Vec<Outcome> + Send>; 3] = [
                    Box::new(|| one.into_iter().map(Future::result).collect()),
                    Box::new(|| {
                        wait(all, ReturnWhen::AllCompleted).done.into_iter().map(Future::result).collect()
                    }),
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
            State::Starting => {
                self.submit(QUEUED);
                eventually(|| self.initializers.load(Ordering::SeqCst) >= WORKERS);
            }
            State::Broken => {
                self.breaks.store(true, Ordering::SeqCst);
                self.submit(QUEUED);
                self.queued.iter().for_each(Future::wait);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Done,
    Cancelled,
    /// Done, or cancelled before.
    Either,
    Broken,
}

impl Expect {
    #[track_caller]
    fn is(self, outcome: &Outcome, cell: &str) {
        let fits = match outcome {
            Ok(()) => matches!(self, Expect::Done | Expect::Either),
            Err(TaskError::Cancelled) => matches!(self, Expect::Cancelled | Expect::Either),
            Err(TaskError::Broken(_)) => self == Expect::Broken,
            Err(_) => false,
        };
        assert!(fits, "{cell}: {outcome:?} in place of {self:?}");
    }
}

fn play(place: Place, state: State, end: End) {
    let cell = format!("{end:?} from {place:?}, {state:?}");
    let other = ThreadPoolExecutor::new(1);
    let mut site = Site::new(place, state);
    let live = site.live.clone();
    let (there, go, done) = (Gate::new(), Gate::new(), Gate::new());
    let pool = Some(site.pool.clone());
    place.take(&site.pool, &other, Ender { there, go: go.clone(), done: done.clone(), end, pool });
    site.bring_into(state, place);
    let Site { pool, gate, held, queued, waiters, blocked, .. } = site;
    let kept = (end != End::Drop).then_some(pool);

    go.open();
    if !end.waits() || place.is_on_a_worker() {
        // While the workers are held: it waits for none of them.
        done.wait();
    }
    gate.open();
    done.wait();

    let expect = match (state, end) {
        (State::Broken, _) => Expect::Broken,
        (_, End::Cancel) => Expect::Cancelled,
        // It waits for what runs, so that could end before the rest was cancelled.
        (_, End::Drop) if place == Place::Unwinding => Expect::Either,
        (_, End::Drop) if place.unwinds() => Expect::Cancelled,
        _ => Expect::Done,
    };
    let outcome = |future: Future<()>| match future.result_timeout(SOON) {
        Ok(outcome) => outcome,
        Err(_) => panic!("{cell}: a future was lost"),
    };
    held.into_iter().for_each(|future| Expect::Done.is(&outcome(future), &cell));
    queued.into_iter().for_each(|future| expect.is(&outcome(future), &cell));
    for waiter in waiters {
        let outcomes = waiter.join().unwrap();
        assert_eq!(outcomes.len(), 2, "{cell}");
        outcomes.iter().for_each(|outcome| expect.is(outcome, &cell));
    }
    if let Some(blocked) = blocked {
        // Where the workers were let go on as the door was closed, it may have slipped in.
        let outcome = blocked.join().unwrap();
        let is_told = matches!(outcome, Err(TaskError::Rejected(Rejected::ShutDown)));
        assert!(is_told || (end.waits() && outcome.is_ok()), "{cell}: {outcome:?}");
    }
    if let Some(pool) = kept {
        let late = pool.spawn(|| ()).result();
        let fits = match late {
            Err(TaskError::Rejected(Rejected::ShutDown)) => state != State::Broken,
            Err(TaskError::Broken(_)) => state == State::Broken,
            _ => false,
        };
        assert!(fits, "{cell}: {late:?}");
        pool.join();
        assert_eq!(pool.stats().workers, 0, "{cell}");
    }
    // The threads are gone, and with them the queue and the initializer.
    eventually(|| live.count() == 0);
}

/// A test for each place, which plays all states and all ends.
macro_rules! from {
    ($($(#[$attribute:meta])* $name:ident: $place:ident)*) => {
        mod from {
            use super::{ENDS, End, LIMIT, Place, STATES, State, limit, play};

            $(
                $(#[$attribute])*
                #[test]
                fn $name() {
                    limit(LIMIT, || {
                        for state in STATES {
                            for end in ENDS {
                                // Whoever is blocked at the door has a handle: the last one goes later.
                                if (state, end) != (State::Full, End::Drop) {
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
    a_thread: Thread
    its_own_task: OwnTask
    a_task_of_another_pool: OtherTask
    a_callback: Callback
    the_destructor_of_a_tasks_captures: Captured
    the_destructor_of_an_unwanted_result: Result
    an_unwinding_thread: Unwinding
    an_unwinding_task_of_its_own: UnwindingTask
    // On Windows these run while the system lets no thread start or end: whoever waits for one there waits for ever.
    #[cfg(not(windows))]
    a_thread_locals_destructor: ThreadsLocal
    #[cfg(not(windows))]
    a_workers_thread_locals_destructor: WorkersLocal
}

/// On the thread that cancels, by `cancel` or by a shutdown, in whose middle the pool then ends once more.
#[test]
fn from_the_destructor_of_a_cancelled_task() {
    limit(LIMIT, || {
        for (end, by_shutdown) in ENDS.into_iter().flat_map(|end| [(end, false), (end, true)]) {
            // Who shuts down has a handle: the last one goes later.
            if by_shutdown && end == End::Drop {
                continue;
            }
            let pool = Arc::new(ThreadPoolExecutor::new(1));
            let held = hold(&pool);
            let (there, go, done) = (Gate::new(), Gate::new(), Gate::new());
            let (is_there, may_go, is_done) = (there.clone(), go.clone(), done.clone());
            let ender = Ender { there, go, done, end, pool: Some(pool.clone()) };
            let first = pool.spawn(move || drop(ender));
            let second = pool.spawn(|| 2);
            let canceller = thread::spawn(move || {
                // But for the last handle this one outlives the destructor.
                let pool = (end != End::Drop).then_some(pool);
                match &pool {
                    Some(pool) if by_shutdown => pool.shutdown(Shutdown::CancelQueued),
                    _ => assert!(first.cancel()),
                }
                first.result()
            });
            is_there.wait();
            may_go.open();
            if !end.waits() {
                is_done.wait();
            }
            held.release();
            assert!(matches!(canceller.join().unwrap(), Err(TaskError::Cancelled)));
            match second.result() {
                Ok(2) => assert!(!by_shutdown && end != End::Cancel),
                outcome => assert!(matches!(outcome, Err(TaskError::Cancelled)), "{outcome:?}"),
            }
        }
    });
}

#[test]
fn an_inline_executor_by_its_own_task() {
    limit(LIMIT, || {
        let inline = Arc::new(InlineExecutor::new());
        let inner = inline.clone();
        let task = inline.spawn(move || {
            Executor::shutdown(&*inner, Shutdown::CancelQueued);
            inner.spawn(|| 1).result()
        });
        let shut = |outcome| matches!(outcome, Err(TaskError::Rejected(Rejected::ShutDown)));
        assert!(shut(task.result().unwrap()), "what runs goes on, what comes is refused");
        assert!(shut(inline.spawn(|| 1).result()));
        // The last handle, in a task of its own.
        let inline = Arc::new(InlineExecutor::new());
        let (inner, (sender, receiver)) = (inline.clone(), mpsc::channel());
        thread::spawn(move || {
            let same = inline.clone();
            let task = same.spawn(move || drop(inline));
            drop(same);
            sender.send(task.result()).unwrap();
        });
        drop(inner);
        receiver.recv().unwrap().unwrap();
    });
}

// ---- a pool that is used where things end ----------------------------------------------------------

/// Does something with a pool when it is dropped, and then says that it came through.
struct Uses(Arc<ThreadPoolExecutor>, mpsc::Sender<()>);

impl Drop for Uses {
    fn drop(&mut self) {
        let Uses(pool, sender) = self;
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
        assert_eq!(pool.map(|n: u32| n, 0..10).map(Result::unwrap).sum::<u32>(), 45);
        assert_eq!(as_completed((0..10).map(|n| pool.spawn(move || n))).count(), 10);
        assert!(
            pool.spawn(|| panic!("on purpose, in a destructor")).result().is_err() || thread::panicking()
        );
        assert_eq!(pool.scope(|s| s.spawn(|| 2).result().unwrap()), 2);
        let told = Gate::new();
        let tells = told.clone();
        let future = pool.spawn(|| ());
        future.add_done_callback(move |_| tells.open());
        assert!(future.result_timeout(SOON).is_ok());
        told.wait();
        sender.send(()).unwrap();
    }
}

thread_local! {
    static USES: RefCell<Option<Uses>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_locals_destructor_may_use_a_pool() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (sender, receiver) = mpsc::channel();
        let uses = Uses(pool.clone(), sender);
        let thread = thread::spawn(move || {
            // First, so that it is destroyed last: after what the library keeps for this thread.
            let (other, (sender, _receiver)) = (uses.0.clone(), mpsc::channel());
            USES.set(Some(uses));
            drop(Uses(other, sender.clone()));
        });
        receiver.recv_timeout(SOON).unwrap();
        thread.join().unwrap();
    });
}

// On Windows no thread can start then.
#[cfg(not(windows))]
#[test]
fn a_workers_thread_locals_destructor_may_use_its_pool() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(1).keep_alive(Duration::from_millis(1));
        let pool = Arc::new(pool.build().unwrap());
        let (sender, receiver) = mpsc::channel();
        let uses = Uses(pool.clone(), sender);
        pool.spawn(move || USES.set(Some(uses))).result().unwrap();
        // Its worker leaves, and another one takes what it submits then.
        receiver.recv_timeout(SOON).unwrap();
    });
}

#[test]
fn an_unwinding_task_may_use_its_pool() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (sender, receiver) = mpsc::channel();
        let uses = Uses(pool.clone(), sender);
        let task = pool.spawn(move || {
            let _uses = uses;
            panic!("on purpose, with more to do");
        });
        assert!(matches!(task.result(), Err::<(), _>(TaskError::Panicked(_))));
        receiver.recv_timeout(SOON).unwrap();
    });
}

/// Else it would see `thread::panicking`, and a pool that it drops would cancel its tasks.
#[test]
fn an_unwinding_waiter_runs_no_other_task_on_its_stack() {
    limit(LIMIT, || {
        struct Asks(Arc<ThreadPoolExecutor>, mpsc::Sender<bool>);
        impl Drop for Asks {
            fn drop(&mut self) {
                self.1.send(self.0.spawn(thread::panicking).result().unwrap()).unwrap();
            }
        }
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (sender, receiver) = mpsc::channel();
        let asks = Asks(pool.clone(), sender);
        let task = pool.spawn(move || {
            let _asks = asks;
            panic!("on purpose, and somebody asks");
        });
        task.wait();
        assert_eq!(receiver.recv_timeout(SOON), Ok(false));
    });
}

// ---- destructors that panic: those of drops.rs are not here -----------------------------------------

/// A pool whose only worker is the same before and after.
fn survives(harm: impl FnOnce(&ThreadPoolExecutor)) {
    let pool = ThreadPoolExecutor::new(1);
    let worker = pool.spawn(|| thread::current().id()).result().unwrap();
    harm(&pool);
    assert_eq!(pool.spawn(|| thread::current().id()).result().unwrap(), worker, "the worker died");
}

#[test]
fn a_wakers_destructor_that_panics() {
    limit(LIMIT, || {
        struct Wakes(Gate, Bomb);
        impl Wake for Wakes {
            fn wake(self: Arc<Self>) {
                self.0.open();
            }
        }
        keep_log();
        survives(|pool| {
            let (held, woken) = (hold(pool), Gate::new());
            let mut future = pool.spawn(|| 7);
            let waker = Waker::from(Arc::new(Wakes(woken.clone(), Bomb)));
            assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
            // Its last reference is the pool's.
            drop(waker);
            held.release();
            woken.wait();
            assert_eq!(future.result().unwrap(), 7);
        });
        assert!(was_logged(&["ERROR", "a waker panicked", "a bomb was dropped"]));
    });
}

#[test]
fn an_initializers_and_an_exit_hooks_destructor_that_panic() {
    limit(LIMIT, || {
        keep_log();
        let pool = |start: &Arc<Bomb>, exit: &Arc<Bomb>, live: &Live| {
            let (start, exit, token) = (start.clone(), exit.clone(), live.token());
            let builder =
                ThreadPoolExecutor::builder().max_workers(2).initializer(move || _ = (&start, &token));
            builder.on_exit(move || _ = &exit).build().unwrap()
        };
        for detaches in [false, true] {
            let (start, exit, live) = (Arc::new(Bomb), Arc::new(Bomb), Live::new());
            let pool = pool(&start, &exit, &live);
            drop((start, exit));
            let held = detaches.then(|| hold(&pool));
            let done = pool.spawn(|| 1);
            match held {
                // Dropped by its owner, who hears nothing of it.
                None => drop(pool),
                // Dropped by the last of its threads.
                Some(held) => {
                    pool.detach();
                    held.release();
                }
            }
            assert_eq!(done.result().unwrap(), 1);
            eventually(|| live.count() == 0);
        }
        eventually(|| times_logged(&["ERROR", "hook of a pool panicked", "a bomb was dropped"]) >= 4);
    });
}

#[test]
fn the_error_of_a_late_callback_whose_destructor_panics() {
    limit(LIMIT, || {
        #[derive(Debug, thiserror::Error)]
        #[error("a bomb")]
        struct Explosive(Bomb);
        /// Deeper than callbacks nest: the last ones are called by the first one's thread, when it comes back.
        const DEEP: usize = 100;
        survives(|pool| {
            let (sender, receiver) = mpsc::channel();
            let (mut next, last) = promise::<()>();
            last.add_done_callback(move |done| sender.send(done.error().is_some()).unwrap());
            last.detach();
            for _ in 0..DEEP {
                let (promise, future) = promise::<()>();
                let behind: Promise<()> = std::mem::replace(&mut next, promise);
                future.add_done_callback(move |_| {
                    behind.set_exception(TaskError::Failed(Failed::new(Explosive(Bomb))));
                });
                future.detach();
            }
            pool.spawn(move || next.set_result(())).result().unwrap();
            assert_eq!(receiver.recv_timeout(SOON), Ok(true));
        });
    });
}

#[test]
fn the_destructors_of_a_maps_items_that_panic() {
    limit(LIMIT, || {
        survives(|pool| {
            // As tasks of their own, and some to a task; run, and given up.
            let run: Vec<_> = pool.map(drop::<Bomb>, (0..3).map(|_| Bomb)).collect();
            assert!(run.iter().all(|outcome| matches!(outcome, Err(TaskError::Panicked(_)))));
            let options = MapOptions::new().chunksize(2).buffersize(4);
            let run: Vec<_> = pool.map_with(options, drop::<Bomb>, (0..6).map(|_| Bomb)).collect();
            assert!(run.iter().all(|outcome| matches!(outcome, Err(TaskError::Panicked(_)))));
            let held = hold(pool);
            drop(pool.map(drop::<Bomb>, (0..3).map(|_| Bomb)));
            drop(pool.map_with(MapOptions::new().chunksize(2), drop::<Bomb>, (0..6).map(|_| Bomb)));
            held.release();
        });
    });
}

#[test]
fn an_inline_executor_and_destructors_that_panic() {
    limit(LIMIT, || {
        let inline = InlineExecutor::new();
        let told = |outcome| matches!(outcome, Err::<(), _>(TaskError::Panicked(panic)) if panic.message() == "a bomb was dropped");
        assert!(told(inline.submit(drop::<Bomb>, Bomb).result()));
        let bomb = Bomb;
        assert!(told(inline.spawn(move || _ = &bomb).result()));
        drop(inline.spawn(|| std::panic::panic_any(Bomb)).result());
        Executor::shutdown(&inline, Shutdown::Drain);
        // A refused task's argument.
        let refused = inline.submit(drop::<Bomb>, Bomb).result();
        assert!(matches!(refused, Err(TaskError::Rejected(Rejected::ShutDown))), "{refused:?}");
    });
}
