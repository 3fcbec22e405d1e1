//! Random programs over a pool, against a model that is little more than counting.
//!
//! A program is what one or two threads outside do with the pool; a task's body is a program again. What the model says
//! of each, however it is scheduled: every future resolves; a task that was cancelled never ran, any other that was
//! taken ran exactly once, and gave its own value or its own panic; callbacks ran exactly once; closures, arguments and
//! results are dropped when all is over; the pool's statistics add up to the tasks it took; and no more than
//! `max_workers` tasks run at once, not counting those that wait.

use concurrent_futures::{
    CancelHandle, Future, Rejected, ReturnWhen, SharedFuture, Shutdown, TaskError, ThreadPoolExecutor,
    WhenFull, as_completed, blocking, wait,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// One program takes some milliseconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Everything in one pool.
#[derive(Clone, Debug)]
struct Program {
    max_workers: usize,
    queue: Option<(usize, WhenFull)>,
    threads: Vec<Vec<Op>>,
    end: End,
    /// The end doesn't wait for the threads.
    early: bool,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Drain,
    CancelQueued,
    DrainThenCancel,
    /// A task closes its own pool.
    ByTask,
}

#[derive(Clone, Debug)]
struct Body {
    ops: Vec<Op>,
    panics: bool,
}

/// `u8` picks one of the futures that this thread or task holds, or, for `CancelAny`, of all there ever were.
#[derive(Clone, Debug)]
enum Op {
    Submit(Body),
    Result(u8),
    ResultTimeout(u8, u16),
    Wait(u8),
    WaitFor(ReturnWhen),
    AsCompleted,
    Cancel(u8),
    CancelAny(u8),
    Drop(u8),
    Detach(u8),
    Callback(u8),
    Share(u8),
    Blocking,
    Stats,
}

fn op() -> impl Strategy<Value = Op> {
    let leaf = prop_oneof![
        3 => any::<u8>().prop_map(Op::Result),
        2 => (any::<u8>(), prop_oneof![Just(0), 0..500u16]).prop_map(|(at, micros)| Op::ResultTimeout(at, micros)),
        1 => any::<u8>().prop_map(Op::Wait),
        3 => prop_oneof![
            Just(ReturnWhen::FirstCompleted),
            Just(ReturnWhen::AllCompleted),
            Just(ReturnWhen::FirstException)
        ].prop_map(Op::WaitFor),
        1 => Just(Op::AsCompleted),
        2 => any::<u8>().prop_map(Op::Cancel),
        2 => any::<u8>().prop_map(Op::CancelAny),
        1 => any::<u8>().prop_map(Op::Drop),
        1 => any::<u8>().prop_map(Op::Detach),
        2 => any::<u8>().prop_map(Op::Callback),
        1 => any::<u8>().prop_map(Op::Share),
        1 => Just(Op::Blocking),
        1 => Just(Op::Stats),
        4 => Just(Op::Submit(Body { ops: Vec::new(), panics: false })),
    ];
    leaf.prop_recursive(3, 48, 6, |inner| {
        (prop::collection::vec(inner, 0..6), prop::bool::weighted(0.15))
            .prop_map(|(ops, panics)| Op::Submit(Body { ops, panics }))
    })
}

fn program() -> impl Strategy<Value = Program> {
    let when_full = prop_oneof![Just(WhenFull::Block), Just(WhenFull::Reject), Just(WhenFull::CallerRuns)];
    let queue = prop::option::of((1..4usize, when_full));
    let threads = prop::collection::vec(prop::collection::vec(op(), 1..10), 1..3);
    let end =
        prop_oneof![Just(End::Drain), Just(End::CancelQueued), Just(End::DrainThenCancel), Just(End::ByTask)];
    (1..5usize, queue, threads, end, prop::bool::weighted(0.3)).prop_map(
        |(max_workers, queue, threads, end, early)| Program { max_workers, queue, threads, end, early },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_program_does_what_the_model_says(program in program()) {
        let shown = format!("{program:?}");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(run(program)));
        match receiver.recv_timeout(TIME_LIMIT) {
            Ok(wrong) => assert!(wrong.is_empty(), "{wrong:#?}"),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("not through in time: {shown}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it panicked: {shown}"),
        }
    }
}

/// What is known of one task.
#[derive(Default)]
struct Record {
    panics: bool,
    ran: AtomicUsize,
    /// The pool said no.
    rejected: AtomicBool,
    /// Somebody's `cancel` said yes.
    cancelled: AtomicBool,
    callbacks: AtomicUsize,
    called: AtomicUsize,
}

/// What all threads and tasks of one program share.
struct World {
    pool: ThreadPoolExecutor,
    records: Mutex<Vec<Arc<Record>>>,
    handles: Mutex<Vec<(CancelHandle, Arc<Record>)>>,
    wrong: Mutex<Vec<String>>,
    tokens: Arc<AtomicIsize>,
    /// Tasks at work that have never waited, and weren't run in place by one that has.
    fresh: AtomicUsize,
    counts_running: bool,
}

/// Something of the user's that has to be dropped.
struct Token(Arc<AtomicIsize>);

impl Token {
    fn new(count: &Arc<AtomicIsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Token(count.clone())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

struct Value {
    number: usize,
    _token: Token,
}

enum Handle {
    Own(Future<Value>),
    Shared(SharedFuture<Value>),
}

struct Held {
    handle: Handle,
    number: usize,
    record: Arc<Record>,
}

impl concurrent_futures::Waitable for Held {
    fn watch(&self) -> concurrent_futures::Watch<'_> {
        match &self.handle {
            Handle::Own(future) => future.watch(),
            Handle::Shared(future) => future.watch(),
        }
    }
}

thread_local! {
    /// Whether a task runs on this thread, and how it is counted.
    static TASK: Cell<Option<Counted>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, PartialEq)]
enum Counted {
    Fresh,
    /// It has waited: it may come back while others are at work.
    Returned,
}

fn run(program: Program) -> Vec<String> {
    let mut builder = ThreadPoolExecutor::builder().max_workers(program.max_workers);
    if let Some((capacity, when_full)) = program.queue {
        builder = builder.queue_capacity(capacity, when_full);
    }
    let tokens = Arc::new(AtomicIsize::new(0));
    let world = Arc::new(World {
        pool: builder.build().expect("the numbers are good"),
        records: Mutex::default(),
        handles: Mutex::default(),
        wrong: Mutex::default(),
        tokens: tokens.clone(),
        fresh: AtomicUsize::new(0),
        counts_running: !matches!(program.queue, Some((_, WhenFull::CallerRuns))),
    });
    let threads: Vec<_> = program
        .threads
        .into_iter()
        .map(|ops| {
            let world = world.clone();
            std::thread::spawn(move || world.perform(ops))
        })
        .collect();
    if program.early {
        world.end(program.end);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic outside tasks"));
    } else {
        threads.into_iter().for_each(|thread| thread.join().expect("no panic outside tasks"));
        world.end(program.end);
    }
    world.pool.join();
    world.check();
    let world = Arc::into_inner(world).expect("whatever ran has dropped its closure");
    let World { pool, handles, wrong, .. } = world;
    drop((pool, handles));
    let mut wrong = wrong.into_inner().expect("not poisoned");
    if tokens.load(SeqCst) != 0 {
        wrong.push(format!("{} values were not dropped", tokens.load(SeqCst)));
    }
    wrong
}

impl World {
    fn end(self: &Arc<Self>, end: End) {
        match end {
            End::Drain => self.pool.shutdown(Shutdown::Drain),
            End::CancelQueued => self.pool.shutdown(Shutdown::CancelQueued),
            End::DrainThenCancel => {
                self.pool.shutdown(Shutdown::Drain);
                self.pool.shutdown(Shutdown::CancelQueued);
            }
            End::ByTask => {
                let world = self.clone();
                // May be rejected by a full queue; `join` closes the door then.
                let future = self.pool.spawn(move || {
                    world.pool.shutdown(Shutdown::Drain);
                    world.pool.join();
                });
                let taken = future.exception().is_none();
                let record = Record {
                    rejected: AtomicBool::new(!taken),
                    ran: AtomicUsize::new(usize::from(taken)),
                    ..Record::default()
                };
                self.records.lock().expect("not poisoned").push(Arc::new(record));
            }
        }
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().expect("not poisoned").push(what);
    }

    fn perform(self: &Arc<Self>, ops: Vec<Op>) {
        let mut held: Vec<Held> = Vec::new();
        for op in ops {
            let pick =
                |at: u8, held: &[Held]| (!held.is_empty()).then(|| usize::from(at) % held.len().max(1));
            match op {
                Op::Submit(body) => held.push(self.submit(body)),
                Op::Result(at) => {
                    if let Some(at) = pick(at, &held) {
                        let one = held.swap_remove(at);
                        self.waiting(|| self.result(one));
                    }
                }
                Op::ResultTimeout(at, micros) => {
                    if let Some(at) = pick(at, &held) {
                        let one = held.swap_remove(at);
                        let limit = Duration::from_micros(micros.into());
                        held.extend(self.waiting(|| self.result_timeout(one, limit)));
                    }
                }
                Op::Wait(at) => {
                    if let Some(at) = pick(at, &held) {
                        self.waiting(|| match &held[at].handle {
                            Handle::Own(future) => future.wait(),
                            Handle::Shared(future) => future.wait(),
                        });
                    }
                }
                Op::WaitFor(until) => {
                    let waited = self.waiting(|| wait(&held, until));
                    let enough = match until {
                        ReturnWhen::AllCompleted => waited.not_done.is_empty(),
                        ReturnWhen::FirstCompleted => held.is_empty() || !waited.done.is_empty(),
                        _ => {
                            waited.not_done.is_empty()
                                || waited
                                    .done
                                    .iter()
                                    .any(|one| one.record.panics || one.record.rejected.load(SeqCst))
                        }
                    };
                    if !enough {
                        self.wrong(format!("{until:?} returned too early"));
                    }
                }
                Op::AsCompleted => {
                    let mut futures = as_completed(std::mem::take(&mut held));
                    while let Some(one) = self.waiting(|| futures.next()) {
                        self.waiting(|| self.result(one));
                    }
                }
                Op::Cancel(at) => {
                    if let Some(at) = pick(at, &held) {
                        let one = &held[at];
                        let cancelled = match &one.handle {
                            Handle::Own(future) => future.cancel(),
                            Handle::Shared(future) => future.cancel(),
                        };
                        if cancelled {
                            one.record.cancelled.store(true, SeqCst);
                        }
                    }
                }
                Op::CancelAny(at) => {
                    let handles = self.handles.lock().expect("not poisoned");
                    let chosen =
                        (!handles.is_empty()).then(|| handles[usize::from(at) % handles.len()].clone());
                    drop(handles);
                    if let Some((handle, record)) = chosen
                        && handle.cancel()
                    {
                        record.cancelled.store(true, SeqCst);
                    }
                }
                Op::Drop(at) => {
                    if let Some(at) = pick(at, &held) {
                        drop(held.swap_remove(at));
                    }
                }
                Op::Detach(at) => {
                    if let Some(at) = pick(at, &held)
                        && let Handle::Own(future) = held.swap_remove(at).handle
                    {
                        future.detach();
                    }
                }
                Op::Callback(at) => {
                    if let Some(at) = pick(at, &held) {
                        let record = held[at].record.clone();
                        record.callbacks.fetch_add(1, SeqCst);
                        let token = Token::new(&self.tokens);
                        let called = move || {
                            record.called.fetch_add(1, SeqCst);
                            drop(token);
                        };
                        match &held[at].handle {
                            Handle::Own(future) => future.add_done_callback(move |_| called()),
                            Handle::Shared(future) => future.add_done_callback(move |_| called()),
                        }
                    }
                }
                Op::Share(at) => {
                    if let Some(at) = pick(at, &held) {
                        let Held { handle, number, record } = held.swap_remove(at);
                        let handle = match handle {
                            Handle::Own(future) => Handle::Shared(future.shared()),
                            Handle::Shared(future) => Handle::Shared(future.clone()),
                        };
                        held.push(Held { handle, number, record });
                    }
                }
                Op::Blocking => self.waiting(|| blocking(std::thread::yield_now)),
                Op::Stats => {
                    let stats = self.pool.stats();
                    if stats.idle > stats.workers {
                        self.wrong(format!("{stats:?}"));
                    }
                }
            }
        }
        // Every other one is waited for, the rest go as they are.
        for (n, one) in held.into_iter().enumerate() {
            if n % 2 == 0 {
                self.waiting(|| self.result(one));
            }
        }
    }

    fn submit(self: &Arc<Self>, body: Body) -> Held {
        let record = Arc::new(Record { panics: body.panics, ..Record::default() });
        let number = {
            let mut records = self.records.lock().expect("not poisoned");
            records.push(record.clone());
            records.len() - 1
        };
        let (world, ran) = (self.clone(), record.clone());
        let (in_closure, argument) = (Token::new(&self.tokens), Token::new(&self.tokens));
        let task = move |argument: Token| {
            let _in_closure = in_closure;
            ran.ran.fetch_add(1, SeqCst);
            world.at_work(|| world.perform(body.ops));
            drop(argument);
            if body.panics {
                // Without the hook's message.
                std::panic::resume_unwind(Box::new("as the program says"));
            }
            Value { number, _token: Token::new(&world.tokens) }
        };
        // On a queue that blocks, this may be a wait.
        let future = self.waiting(|| self.pool.submit(task, argument));
        if future.is_done()
            && let Ok(Some(TaskError::Rejected(_))) = future.exception_timeout(Duration::ZERO)
        {
            record.rejected.store(true, SeqCst);
        }
        let mut handles = self.handles.lock().expect("not poisoned");
        handles.push((future.cancel_handle(), record.clone()));
        Held { handle: Handle::Own(future), number, record }
    }

    /// Runs a task's body, counted as running.
    fn at_work(&self, f: impl FnOnce()) {
        let outer = TASK.get();
        // Run in place, it goes on in the place of the one that waits for it.
        let counted = outer.unwrap_or(Counted::Fresh);
        TASK.set(Some(counted));
        if counted == Counted::Fresh && self.counts_running {
            let fresh = self.fresh.fetch_add(1, SeqCst) + 1;
            if fresh > self.pool.max_workers() {
                self.wrong(format!("{fresh} tasks at work"));
            }
        }
        f();
        if TASK.get() == Some(Counted::Fresh) && self.counts_running {
            self.fresh.fetch_sub(1, SeqCst);
        }
        TASK.set(outer);
    }

    /// Does what may wait; in a task, not counted as running, and never again as one that has not waited.
    fn waiting<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = TASK.get();
        if before == Some(Counted::Fresh) {
            // Tasks that run in place inside of `f` count in the place of this one.
            if self.counts_running {
                self.fresh.fetch_sub(1, SeqCst);
            }
        }
        let result = f();
        if before.is_some() {
            TASK.set(Some(Counted::Returned));
        }
        result
    }

    fn result(&self, one: Held) {
        let Held { handle, number, record } = one;
        match handle {
            Handle::Own(future) => self.judge(future.result().map(|value| value.number), number, &record),
            Handle::Shared(future) => self.judge(future.result().map(|value| value.number), number, &record),
        }
    }

    fn result_timeout(&self, one: Held, limit: Duration) -> Option<Held> {
        let Held { handle, number, record } = one;
        match handle {
            Handle::Own(future) => match future.result_timeout(limit) {
                Ok(outcome) => self.judge(outcome.map(|value| value.number), number, &record),
                Err(late) => return Some(Held { handle: Handle::Own(late.future), number, record }),
            },
            Handle::Shared(future) => match future.result_timeout(limit) {
                Ok(outcome) => self.judge(outcome.map(|value| value.number), number, &record),
                Err(_) => return Some(Held { handle: Handle::Shared(future), number, record }),
            },
        }
        None
    }

    /// Holds one outcome against what the model says.
    fn judge(&self, outcome: Result<usize, TaskError>, number: usize, record: &Record) {
        let ran = record.ran.load(SeqCst);
        let right = match &outcome {
            Ok(value) => *value == number && ran == 1 && !record.panics && !record.cancelled.load(SeqCst),
            Err(TaskError::Cancelled) => ran == 0,
            Err(TaskError::Panicked(_)) => ran == 1 && record.panics && !record.cancelled.load(SeqCst),
            Err(TaskError::Rejected(Rejected::Full | Rejected::ShutDown)) => {
                ran == 0 && record.rejected.load(SeqCst)
            }
            Err(_) => false,
        };
        if !right {
            self.wrong(format!("task {number} gave {outcome:?} after {ran} runs"));
        }
    }

    /// When all is over.
    fn check(&self) {
        let records = self.records.lock().expect("not poisoned");
        let (mut finished, mut failed, mut cancelled) = (0, 0, 0);
        for (number, record) in records.iter().enumerate() {
            let ran = record.ran.load(SeqCst);
            if record.rejected.load(SeqCst) {
                if ran > 0 {
                    self.wrong(format!("task {number} was rejected and ran"));
                }
            } else if ran == 0 {
                cancelled += 1;
            } else if record.panics {
                failed += 1;
            } else {
                finished += 1;
            }
            if ran > 1 || (ran == 1 && record.cancelled.load(SeqCst)) {
                self.wrong(format!("task {number} ran {ran} times, cancelled: {:?}", record.cancelled));
            }
            if record.callbacks.load(SeqCst) != record.called.load(SeqCst) {
                self.wrong(format!("task {number}: {:?} of {:?} callbacks", record.called, record.callbacks));
            }
        }
        let stats = self.pool.stats();
        let seen = (stats.finished, stats.failed, stats.cancelled);
        let moving = stats.queued + stats.running + stats.blocked + stats.workers;
        if seen != (finished, failed, cancelled) || moving != 0 {
            self.wrong(format!("{stats:?}, but {finished} finished, {failed} failed, {cancelled} cancelled"));
        }
        let fresh = self.fresh.load(SeqCst);
        if fresh != 0 && self.counts_running {
            self.wrong(format!("the test itself counts badly: {fresh} left"));
        }
    }
}
