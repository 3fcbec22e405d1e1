//! The user's code that is called from inside: loggers, hooks, wakers, callbacks, formatting, iterators, drops.
//!
//! Each instance is one such place. In it every [`What`] is tried, one pool each: afterwards as many tasks run at once as
//! the pool has workers, and its drop returns. What ends the process where panics abort comes last.

use crate::Instance;
use crate::support::{Gate, soon};
use concurrent_futures::{
    Executor, ExecutorExt as _, Future, InlineExecutor, Observer, PoolEvent, PoolEventKind,
    ProcessPoolExecutor, ReturnWhen, Shutdown, TaskError, ThreadPoolExecutor, Waitable, Watch, WhenFull,
    as_completed, blocking, set_unobserved_hook, wait,
};
use serde::{Deserialize, Serialize};
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// `calm` is one in which nothing panics.
macro_rules! instances {
    ($($name:ident $($calm:ident)? => $reports:expr;)*) => { &[$(instances!(@ $name $($calm)? => $reports)),*] };
    (@ $name:ident calm => $reports:expr) => { Instance::new(stringify!($name), $reports, $name) };
    (@ $name:ident => $reports:expr) => { Instance::new(stringify!($name), $reports, $name).panics_here() };
}

pub(crate) const INSTANCES: &[Instance] = instances! {
    the_logger_told_of_an_unseen_failure => &["cakephp/cakephp#19588", "scylladb/seastar#980"];
    the_logger_told_of_a_panic_in_a_callback => &[];
    the_logger_told_of_a_refused_thread => &["rayon-rs/rayon#288"];
    the_logger_told_of_a_panic_in_the_exit_hook => &[];
    the_logger_told_of_an_unseen_failure_elsewhere => &[];
    the_logger_told_of_a_worker_that_does_not_start => &[];
    the_logger_told_of_what_a_worker_logs => &["joblib/joblib#1017"];
    a_logger_that_takes_nothing_while_workers_log_without_end calm => &[];
    a_logger_whose_reader_has_gone => &["rust-lang/rust#119980", "sharkdp/fd#24"];
    a_logger_that_logs_by_what_fails calm => &["cakephp/cakephp#19588", "getsentry/sentry-unreal#1255"];
    the_hook_for_unseen_failures => &[];
    the_initializer => &[];
    the_exit_hook => &[];
    an_observer => &[];
    an_observer_of_processes => &[];
    the_panic_hook => &["pantsbuild/pants#20384"];
    a_done_callback => &[];
    a_done_callback_of_a_process_s_task => &[];
    a_waker_is_woken => &["nginx/ngx-rust#294", "apache/asyncband#125"];
    a_waker_is_woken_by_a_driver => &["nginx/ngx-rust#294"];
    a_waker_is_dropped => &[];
    the_text_of_an_error => &["hermit-os/kernel#1502", "estk/log4rs#443"];
    a_closure_is_dropped => &[];
    a_cancelled_closure_is_dropped => &[];
    an_unwanted_result_is_dropped => &["tokio-rs/tokio#4430"];
    what_a_panic_carries_is_dropped => &[];
    the_error_of_a_broken_pool_is_dropped => &["tokio-rs/tokio#2082"];
    a_thread_local_is_dropped calm => &[];
    an_argument_is_written_down => &["python/cpython#74734"];
    an_argument_is_written_down_for_the_only_place => &[];
    a_result_is_read => &["python/cpython#79492"];
    the_input_of_a_map calm => &[];
    the_input_of_as_completed => &[];
    an_executor_of_somebody_else => &[];
    what_can_be_waited_for => &[];
    an_item_that_panics_is_not_waited_for => &[];
};

/// What the user's code does where it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// Submits a task to the same pool, and goes on.
    Submit,
    /// Asks the pool for its numbers.
    Stats,
    /// Submits a task to the same pool and waits for its result.
    Wait,
    /// Blocks until another thread has seen that tasks still run.
    Block,
    /// The last: where panics abort it ends the process.
    Panic,
}

const ALL: &[What] = &[What::Submit, What::Stats, What::Wait, What::Block, What::Panic];

/// Where blocking holds up one worker of a pool of processes, or waiting is answered by an error: see the table in
/// ARCHITECTURE.md.
const ON_A_DRIVER: &[What] = &[What::Submit, What::Stats, What::Wait, What::Panic];

enum Pool {
    Threads(ThreadPoolExecutor),
    Processes(ProcessPoolExecutor),
}

const WORKERS: usize = 2;

fn seven(_: u32) -> u32 {
    7
}

fn is_seven(result: &Result<u32, TaskError>) -> bool {
    matches!(result, Ok(7))
}

/// Returns once all `n` of them are there: each is a file in `dir`.
fn meet((dir, me, n): (String, usize, usize)) -> bool {
    std::fs::write(format!("{dir}/{me}"), "").expect("a file");
    soon(|| std::fs::read_dir(&dir).expect("a directory").count() == n)
}

impl Pool {
    fn seven(&self) -> Future<u32> {
        match self {
            Pool::Threads(pool) => pool.submit(seven, 0),
            Pool::Processes(pool) => pool.submit(seven, 0),
        }
    }

    fn ask(&self) {
        match self {
            Pool::Threads(pool) => drop(pool.stats()),
            Pool::Processes(pool) => drop(pool.stats()),
        }
    }

    fn threads(&self) -> &ThreadPoolExecutor {
        let Pool::Threads(pool) = self else { panic!("not of threads") };
        pool
    }

    fn processes(&self) -> &ProcessPoolExecutor {
        let Pool::Processes(pool) = self else { panic!("not of processes") };
        pool
    }

    /// As many tasks run at once as there are workers.
    fn is_whole(&self) {
        match self {
            Pool::Threads(pool) => {
                let all = Arc::new(Barrier::new(WORKERS));
                let met: Vec<_> = (0..WORKERS)
                    .map(|_| {
                        let all = all.clone();
                        pool.spawn(move || {
                            all.wait();
                        })
                    })
                    .collect();
                met.into_iter().for_each(|one| one.result().expect("they meet"));
            }
            Pool::Processes(pool) => {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                let next = NEXT.fetch_add(1, Ordering::Relaxed);
                let dir = std::env::temp_dir().join(format!("outside-b-{}-{next}", std::process::id()));
                std::fs::create_dir(&dir).expect("a directory");
                let name = dir.to_str().expect("text").to_owned();
                let met: Vec<_> =
                    (0..WORKERS).map(|me| pool.submit(meet, (name.clone(), me, WORKERS))).collect();
                met.into_iter().for_each(|one| assert!(one.result().expect("it runs")));
                std::fs::remove_dir_all(&dir).expect("it is there");
            }
        }
    }
}

fn threads(_: &Act) -> Pool {
    Pool::Threads(ThreadPoolExecutor::new(WORKERS))
}

fn processes(_: &Act) -> Pool {
    Pool::Processes(ProcessPoolExecutor::builder().max_workers(WORKERS).build().expect("a pool"))
}

/// Does something, the first time that it is called.
#[derive(Clone)]
struct Act(Arc<Inner>);

struct Inner {
    what: What,
    pool: OnceLock<Weak<Pool>>,
    begun: AtomicBool,
    entered: Gate,
    left: Gate,
    gate: Gate,
    /// A wait is answered by an error where it could never end.
    may_refuse: bool,
}

impl Act {
    fn run(&self) {
        let Inner { what, entered, left, gate, .. } = &*self.0;
        if self.0.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        entered.open();
        let pool = self.0.pool.get().and_then(Weak::upgrade);
        let pool = || pool.as_deref().expect("the pool is there");
        match what {
            What::Panic => panic!("an act of the user's"),
            What::Submit => pool().seven().detach(),
            What::Stats => pool().ask(),
            What::Wait => match pool().seven().result() {
                Ok(seven) => assert_eq!(seven, 7),
                Err(TaskError::Broken(_) | TaskError::Rejected(_)) if self.0.may_refuse => {}
                Err(error) => {
                    eprintln!("the wait failed: {error}");
                    std::process::exit(3);
                }
            },
            What::Block => gate.wait(),
        }
        left.open();
    }
}

/// Does it when it is dropped.
struct OnDrop(Act);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.run();
    }
}

fn act(what: What, may_refuse: bool) -> Act {
    Act(Arc::new(Inner {
        what,
        pool: OnceLock::new(),
        begun: AtomicBool::new(false),
        entered: Gate::new(),
        left: Gate::new(),
        gate: Gate::new(),
        may_refuse,
    }))
}

/// Tries everything; `provoke` has the act called.
fn try_all(acts: &[What], make: impl Fn(&Act) -> Pool, provoke: impl Fn(&Arc<Pool>, &Act)) {
    try_each(acts, false, make, provoke, |pool| pool.is_whole());
}

fn try_each(
    acts: &[What],
    may_refuse: bool,
    make: impl Fn(&Act) -> Pool,
    provoke: impl Fn(&Arc<Pool>, &Act),
    afterwards: impl Fn(&Pool),
) {
    for &what in acts {
        eprintln!("{what:?}");
        let act = act(what, may_refuse);
        let pool = Arc::new(make(&act));
        act.0.pool.set(Arc::downgrade(&pool)).expect("set once");
        let helper = (what == What::Block).then(|| {
            let (act, pool) = (act.clone(), pool.clone());
            std::thread::spawn(move || {
                act.0.entered.wait();
                let seven = pool.seven().result();
                act.0.gate.open();
                assert!(is_seven(&seven), "{seven:?}");
            })
        });
        provoke(&pool, &act);
        assert!(soon(|| act.0.entered.is_open()), "{what:?}: it was not called");
        if let Some(helper) = helper {
            helper.join().expect("tasks ran meanwhile");
        }
        assert!(what == What::Panic || soon(|| act.0.left.is_open()), "{what:?}: it never came back");
        afterwards(&pool);
        drop(pool);
    }
}

// ---- loggers ---------------------------------------------------------------------------------------

/// What the logger does at each message.
static LOGGER: Mutex<Option<Arc<Does>>> = Mutex::new(None);

type Does = dyn Fn(&log::Record<'_>) + Send + Sync;

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let does = LOGGER.lock().unwrap().clone();
        if let Some(does) = does {
            does(record);
        }
    }

    fn flush(&self) {}
}

fn set_logger(does: impl Fn(&log::Record<'_>) + Send + Sync + 'static) {
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Trace);
    let old = LOGGER.lock().unwrap().replace(Arc::new(does));
    drop(old);
}

fn log_by(act: &Act) {
    let act = act.clone();
    set_logger(move |record| {
        let _ = record.args().to_string();
        act.run();
    });
}

fn the_logger_told_of_an_unseen_failure() {
    try_all(ALL, threads, |pool, act| {
        log_by(act);
        pool.threads().try_spawn(|| Err::<(), _>("nobody asks")).detach();
    });
}

fn the_logger_told_of_a_panic_in_a_callback() {
    try_all(ALL, threads, |pool, act| {
        log_by(act);
        let gate = Gate::new();
        let waits = gate.clone();
        let future = pool.threads().spawn(move || waits.wait());
        future.add_done_callback(|_| panic!("a callback"));
        gate.open();
        future.result().expect("published all the same");
    });
}

fn the_logger_told_of_a_refused_thread() {
    const STACK: usize = 1 << 30;
    let make = |_: &Act| {
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS + 1).stack_size(STACK).build();
        Pool::Threads(pool.expect("a pool"))
    };
    let before = limit_memory(None);
    try_each(
        ALL,
        false,
        make,
        |pool, act| {
            log_by(act);
            limit_memory(Some(WORKERS * STACK + STACK / 2));
            let gate = Gate::new();
            open_once_entered(act, &gate);
            let held: Vec<_> = (0..WORKERS + 1)
                .map(|_| {
                    let gate = gate.clone();
                    pool.threads().spawn(move || gate.wait())
                })
                .collect();
            held.into_iter().for_each(|held| held.result().expect("it ran"));
            restore_memory(before);
        },
        Pool::is_whole,
    );
}

/// What is done there may need a worker.
fn open_once_entered(act: &Act, gate: &Gate) {
    let (act, gate) = (act.clone(), gate.clone());
    std::thread::spawn(move || {
        act.0.entered.wait();
        gate.open();
    });
}

fn the_logger_told_of_a_panic_in_the_exit_hook() {
    let make = |_: &Act| {
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).keep_alive(Duration::from_millis(1));
        Pool::Threads(pool.on_exit(|| panic!("a hook")).build().expect("a pool"))
    };
    try_all(ALL, make, |pool, act| {
        log_by(act);
        pool.seven().result().expect("it runs");
    });
}

fn fails(_: u32) -> Result<u32, String> {
    Err("nobody asks".into())
}

fn the_logger_told_of_an_unseen_failure_elsewhere() {
    try_all(ALL, processes, |pool, act| {
        log_by(act);
        pool.processes().try_submit(fails, 0).detach();
    });
}

/// On a driver's thread, with no worker there: what it waits for ends in an error.
fn the_logger_told_of_a_worker_that_does_not_start() {
    let make = |_: &Act| {
        let pool = ProcessPoolExecutor::builder().max_workers(WORKERS).start_timeout(Duration::from_nanos(1));
        Pool::Processes(pool.build().expect("a pool"))
    };
    try_each(
        ON_A_DRIVER,
        true,
        make,
        |pool, act| {
            log_by(act);
            assert!(matches!(pool.seven().result(), Err(TaskError::Broken(_))));
        },
        |_| {},
    );
}

fn the_logger_told_of_what_a_worker_logs() {
    try_all(ALL, processes, |pool, act| {
        let (act, ours) = (act.clone(), std::process::id());
        set_logger(move |record| {
            if record.args().to_string() == format!("not of {ours}") {
                act.run();
            }
        });
        pool.processes().submit(|ours: u32| log::warn!("not of {ours}"), ours).result().expect("it ran");
    });
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    statm.split(' ').nth(1).expect("a number").parse::<u64>().expect("a number") * 4096
}

/// Tasks go on, memory stays bounded, and what is lost is counted.
fn a_logger_that_takes_nothing_while_workers_log_without_end() {
    const EACH: u64 = 40_000;
    const WORKERS: u64 = 2;
    static SEEN: AtomicU64 = AtomicU64::new(0);
    static LOST: AtomicU64 = AtomicU64::new(0);
    fn flood(text: String) {
        (0..EACH).for_each(|_| log::warn!(target: "flood", "{text}"));
    }
    let gate = Gate::new();
    let waits = gate.clone();
    set_logger(move |record| {
        waits.wait();
        let text = record.args().to_string();
        if record.target().starts_with("flood") {
            SEEN.fetch_add(1, Ordering::Relaxed);
        } else if let Some((count, _)) = text.split_once(" log records of this worker are lost") {
            LOST.fetch_add(count.parse().expect("a number"), Ordering::Relaxed);
        }
    });
    let pool = ProcessPoolExecutor::builder().max_workers(WORKERS as usize).build().expect("a pool");
    let before = resident_bytes();
    // 80 MB of text.
    let floods: Vec<_> = (0..WORKERS).map(|_| pool.submit(flood, "x".repeat(1000))).collect();
    floods.into_iter().for_each(|flood| flood.result().expect("no task waits for the logger"));
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 60 << 20, "{grown} bytes");
    gate.open();
    drop(pool);
    let (seen, lost) = (SEEN.load(Ordering::Relaxed), LOST.load(Ordering::Relaxed));
    assert!(lost > 0 && seen + lost == WORKERS * EACH, "{seen} seen, {lost} lost");
    set_logger(|_| {});
}

/// `program | head -1`: its logger prints, and the reader of its output has gone.
fn a_logger_whose_reader_has_gone() {
    let mut ends = [0; 2];
    // SAFETY: a valid place for two numbers.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the pipe's reading end, which nobody else uses.
    assert_eq!(unsafe { libc::close(ends[0]) }, 0);
    // SAFETY: standard output becomes the other end.
    assert_eq!(unsafe { libc::dup2(ends[1], 1) }, 1);
    set_logger(|record| println!("{}", record.args()));
    let pool = threads(&act(What::Panic, false));
    for _ in 0..10 {
        pool.threads().try_spawn(|| Err::<(), _>("nobody asks")).detach();
        let gate = Gate::new();
        let waits = gate.clone();
        let future = pool.threads().spawn(move || waits.wait());
        future.add_done_callback(|_| panic!("a callback"));
        gate.open();
        future.result().expect("it ran");
    }
    pool.is_whole();
}

/// Its own tasks fail, or are refused, and nobody asks for them: that is not logged from within it.
fn a_logger_that_logs_by_what_fails() {
    let inline = InlineExecutor::new();
    set_logger(move |_| inline.try_spawn(|| Err::<(), _>("not shipped")).detach());
    InlineExecutor::new().try_spawn(|| Err::<(), _>("nobody asks")).detach();

    let pool = Arc::new(ThreadPoolExecutor::new(1));
    let ships = pool.clone();
    set_logger(move |_| ships.spawn(|| ()).detach());
    pool.shutdown(Shutdown::Drain);
    pool.spawn(|| ()).detach();
    set_logger(|_| {});
}

// ---- hooks -----------------------------------------------------------------------------------------

fn the_hook_for_unseen_failures() {
    for make in [threads, processes] {
        try_all(&ALL[..4], make, |pool, act| {
            let act = act.clone();
            set_unobserved_hook(move |_, _| act.run());
            match &**pool {
                Pool::Threads(pool) => pool.try_spawn(|| Err::<(), _>("nobody asks")).detach(),
                Pool::Processes(pool) => pool.try_submit(fails, 0).detach(),
            }
        });
    }
    try_all(&[What::Panic], threads, |pool, act| {
        let act = act.clone();
        set_unobserved_hook(move |_, _| act.run());
        pool.threads().try_spawn(|| Err::<(), _>("nobody asks")).detach();
    });
}

fn the_initializer() {
    let make = |act: &Act| {
        let act = act.clone();
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS);
        Pool::Threads(pool.initializer(move || act.run()).build().expect("a pool"))
    };
    try_all(&[What::Submit, What::Stats, What::Block], make, |pool, _| drop(pool.seven()));
    let breaks = |pool: &Arc<Pool>, _: &Act| {
        assert!(matches!(pool.seven().result(), Err(TaskError::Broken(_))));
    };
    try_each(&[What::Panic], false, make, breaks, |_| {});
}

fn the_exit_hook() {
    let make = |act: &Act| {
        let act = act.clone();
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).keep_alive(Duration::from_millis(1));
        Pool::Threads(pool.on_exit(move || act.run()).build().expect("a pool"))
    };
    try_all(ALL, make, |pool, _| drop(pool.seven().result()));
}

/// Acts at one kind of event.
struct Acts(Act, fn(&PoolEventKind<'_>) -> bool);

impl Observer for Acts {
    fn observe(&self, event: &PoolEvent<'_>) {
        if self.1(&event.kind) {
            self.0.run();
        }
    }
}

const EVENTS: &[fn(&PoolEventKind<'_>) -> bool] = &[
    |event| matches!(event, PoolEventKind::Queued { .. }),
    |event| matches!(event, PoolEventKind::Started { .. }),
    |event| matches!(event, PoolEventKind::Ended { .. }),
    |event| matches!(event, PoolEventKind::WorkerStarted { .. }),
];

fn an_observer() {
    for event in EVENTS {
        let make = |act: &Act| {
            let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).observer(Acts(act.clone(), *event));
            Pool::Threads(pool.build().expect("a pool"))
        };
        try_all(ALL, make, |pool, _| drop(pool.seven().result()));
    }
    let waits = |pool: &Arc<Pool>, _: &Act| pool.threads().spawn(|| blocking(|| ())).wait();
    observed(|event| matches!(event, PoolEventKind::WaitBegan { .. }), waits);
    observed(|event| matches!(event, PoolEventKind::WaitEnded { .. }), waits);
    observed(
        |event| matches!(event, PoolEventKind::WorkerEnded { .. }),
        |pool, _| drop(pool.seven().result()),
    );
    observed(
        |event| matches!(event, PoolEventKind::Cancelled { .. }),
        |pool, act| {
            let gate = Gate::new();
            let held: Vec<_> = (0..WORKERS)
                .map(|_| {
                    let gate = gate.clone();
                    pool.threads().spawn(move || gate.wait())
                })
                .collect();
            // Behind those it can't begin before the gate opens.
            let cancels = pool.clone();
            let canceller = std::thread::spawn(move || assert!(cancels.seven().cancel()));
            assert!(soon(|| act.0.entered.is_open()));
            gate.open();
            held.into_iter().for_each(|one| one.wait());
            canceller.join().expect("contained");
        },
    );
}

/// On a pool of threads whose workers end soon.
fn observed(event: fn(&PoolEventKind<'_>) -> bool, provoke: impl Fn(&Arc<Pool>, &Act)) {
    let make = |act: &Act| {
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).keep_alive(Duration::from_millis(1));
        Pool::Threads(pool.observer(Acts(act.clone(), event)).build().expect("a pool"))
    };
    try_all(ALL, make, provoke);
}

fn an_observer_of_processes() {
    for event in EVENTS {
        let make = |act: &Act| {
            let pool =
                ProcessPoolExecutor::builder().max_workers(WORKERS).observer(Acts(act.clone(), *event));
            Pool::Processes(pool.build().expect("a pool"))
        };
        try_each(ON_A_DRIVER, true, make, |pool, _| drop(pool.seven().result()), |pool| pool.is_whole());
    }
}

/// Of what it does itself a panic ends the process, by the standard library's rule.
fn the_panic_hook() {
    try_all(&ALL[..4], threads, |pool, act| {
        let act = act.clone();
        std::panic::set_hook(Box::new(move |_| act.run()));
        let panicked = pool.threads().spawn(|| panic!("a task")).result();
        assert!(matches!(panicked, Err::<(), _>(TaskError::Panicked(_))));
        drop(std::panic::take_hook());
    });
}

fn a_done_callback() {
    try_all(ALL, threads, |pool, act| {
        let (act, gate) = (act.clone(), Gate::new());
        let waits = gate.clone();
        let future = pool.threads().spawn(move || waits.wait());
        future.add_done_callback(move |_| act.run());
        gate.open();
        future.result().expect("it ran");
    });
}

fn a_done_callback_of_a_process_s_task() {
    try_all(ALL, processes, |pool, act| {
        let act = act.clone();
        let future = pool.seven();
        future.add_done_callback(move |_| act.run());
        assert!(is_seven(&future.result()));
    });
}

// ---- wakers ----------------------------------------------------------------------------------------

struct Woken(Act);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.run();
    }
}

fn poll<T>(future: &mut Future<T>, waker: &Waker) {
    assert!(Pin::new(future).poll(&mut Context::from_waker(waker)).is_pending());
}

fn a_waker_is_woken() {
    try_all(ALL, threads, |pool, act| {
        let gate = Gate::new();
        let waits = gate.clone();
        let mut future = pool.threads().spawn(move || waits.wait());
        poll(&mut future, &Arc::new(Woken(act.clone())).into());
        gate.open();
        future.result().expect("it ran");
    });
}

fn slow(_: u32) -> u32 {
    std::thread::sleep(Duration::from_millis(300));
    7
}

fn a_waker_is_woken_by_a_driver() {
    let wakes = |pool: &Arc<Pool>, act: &Act| {
        let mut future = pool.processes().submit(slow, 0);
        poll(&mut future, &Arc::new(Woken(act.clone())).into());
        // Not waited for: who waits may hear the reply by itself, and then wakes on its own thread.
        assert!(soon(|| future.is_done()));
        assert!(is_seven(&future.result()));
    };
    try_each(ON_A_DRIVER, true, processes, wakes, Pool::is_whole);
}

/// Its last clone goes with the waker, where that is dropped unwoken.
struct Dropped {
    _act: OnDrop,
}

impl Wake for Dropped {
    fn wake(self: Arc<Self>) {}
}

fn give_up(future: Future<()>, gate: &Gate) {
    future.detach();
    gate.open();
}

fn a_waker_is_dropped() {
    // Replaced by another poll's; with its future; when it is woken.
    for way in 0..3 {
        try_all(ALL, threads, |pool, act| {
            let gate = Gate::new();
            let waits = gate.clone();
            let mut future = pool.threads().spawn(move || waits.wait());
            poll(&mut future, &Arc::new(Dropped { _act: OnDrop(act.clone()) }).into());
            match way {
                0 => poll(&mut future, Waker::noop()),
                1 => return give_up(future, &gate),
                _ => {}
            }
            gate.open();
            future.result().expect("it ran");
        });
    }
}

// ---- texts -----------------------------------------------------------------------------------------

struct Text(Act);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text")
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("so far")?;
        self.0.run();
        Ok(())
    }
}

impl std::error::Error for Text {}

fn the_text_of_an_error() {
    try_all(ALL, threads, |pool, act| {
        let told = Arc::new(Mutex::new(String::new()));
        let keeps = told.clone();
        set_logger(move |record| keeps.lock().unwrap().push_str(&record.args().to_string()));
        let act = act.clone();
        pool.threads().try_spawn(move || Err::<(), _>(Text(act))).detach();
        assert!(soon(|| told.lock().unwrap().contains("so far")));
    });
}

// ---- drops -----------------------------------------------------------------------------------------

fn a_closure_is_dropped() {
    try_all(ALL, threads, |pool, act| {
        let held = OnDrop(act.clone());
        // A panic in it is the task's own: it runs where the task's code does.
        drop(pool.threads().spawn(move || drop(held)).result());
    });
}

fn a_cancelled_closure_is_dropped() {
    try_all(ALL, threads, |pool, act| {
        let gate = Gate::new();
        for _ in 0..WORKERS {
            let gate = gate.clone();
            pool.threads().spawn(move || gate.wait()).detach();
        }
        let held = OnDrop(act.clone());
        let future = pool.threads().spawn(move || drop(held));
        open_once_entered(act, &gate);
        assert!(future.cancel());
    });
}

fn an_unwanted_result_is_dropped() {
    try_all(ALL, threads, |pool, act| {
        let act = act.clone();
        pool.threads().spawn(move || OnDrop(act)).detach();
    });
}

fn what_a_panic_carries_is_dropped() {
    try_all(ALL, threads, |pool, act| {
        let act = act.clone();
        pool.threads().spawn(move || std::panic::panic_any(OnDrop(act))).detach();
    });
}

struct Failure(#[expect(dead_code, reason = "for its drop")] OnDrop);

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failure")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for Failure {}

/// Two workers whose initializers fail: the second failure takes the place of the first.
fn the_error_of_a_broken_pool_is_dropped() {
    let make = |act: &Act| {
        let (act, both) = (act.clone(), Arc::new(Barrier::new(WORKERS)));
        let initializer = move || {
            if both.wait().is_leader() {
                // The other one's failure first.
                let pool = act.0.pool.get().and_then(Weak::upgrade);
                soon(|| pool.as_ref().is_none_or(|pool| pool.threads().stats().workers < WORKERS));
            }
            Err(Failure(OnDrop(act.clone())).into())
        };
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).try_initializer(initializer);
        Pool::Threads(pool.build().expect("a pool"))
    };
    let provoke = |pool: &Arc<Pool>, _: &Act| {
        // Nobody keeps the first failure.
        (0..WORKERS).for_each(|_| pool.seven().detach());
    };
    // A broken pool runs nothing more, so nothing is to be waited for.
    try_each(&[What::Submit, What::Stats, What::Wait, What::Panic], true, make, provoke, |_| {});
}

thread_local! {
    static LOCAL: std::cell::RefCell<Option<OnDrop>> = const { std::cell::RefCell::new(None) };
}

/// A panic in it ends the process, by the standard library's rule.
fn a_thread_local_is_dropped() {
    let make = |_: &Act| {
        let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).keep_alive(Duration::from_millis(1));
        Pool::Threads(pool.build().expect("a pool"))
    };
    try_all(&ALL[..4], make, |pool, act| {
        let held = OnDrop(act.clone());
        pool.threads().spawn(move || LOCAL.set(Some(held))).result().expect("it ran");
    });
}

// ---- serde -----------------------------------------------------------------------------------------

/// What writing or reading does; in a worker, which is another process, nothing.
static SERDE: Mutex<Option<Act>> = Mutex::new(None);

fn run_serde() {
    let act = SERDE.lock().unwrap().clone();
    if let Some(act) = act {
        act.run();
    }
}

struct Written;

impl Serialize for Written {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        run_serde();
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Written)
    }
}

struct Read;

impl Serialize for Read {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        run_serde();
        <()>::deserialize(deserializer).map(|()| Read)
    }
}

fn takes(_: Written) {}

fn gives(_: u32) -> Read {
    std::thread::sleep(Duration::from_millis(100));
    Read
}

fn an_argument_is_written_down() {
    try_all(ALL, processes, |pool, act| {
        *SERDE.lock().unwrap() = Some(act.clone());
        let result = pool.processes().submit(takes, Written).result();
        assert_eq!(result.is_err(), act.0.what == What::Panic, "{result:?}");
    });
}

/// The task that is being submitted holds the queue's only place, and its argument submits another.
fn an_argument_is_written_down_for_the_only_place() {
    let make = |_: &Act| {
        let pool = ProcessPoolExecutor::builder().max_workers(WORKERS).queue_capacity(1, WhenFull::Block);
        Pool::Processes(pool.build().expect("a pool"))
    };
    try_all(&[What::Submit, What::Stats, What::Wait, What::Panic], make, |pool, act| {
        *SERDE.lock().unwrap() = Some(act.clone());
        drop(pool.processes().submit(takes, Written).result());
    });
}

fn a_result_is_read() {
    // By the pool's own thread, and by one that waits for it.
    for waits in [false, true] {
        let provoke = |pool: &Arc<Pool>, act: &Act| {
            *SERDE.lock().unwrap() = Some(act.clone());
            let future = pool.processes().submit(gives, 0);
            assert!(waits || soon(|| future.is_done()));
            assert_eq!(future.result().is_err(), act.0.what == What::Panic);
        };
        let acts: &[What] = if waits { &ON_A_DRIVER[..3] } else { ON_A_DRIVER };
        try_each(acts, true, processes, provoke, Pool::is_whole);
    }
}

// ---- what runs on the caller's own stack ---------------------------------------------------------------

fn the_input_of_a_map() {
    for make in [threads, processes] {
        try_all(&ALL[..4], make, |pool, act| {
            let input = (0..4).inspect(|n| {
                if *n == 2 {
                    act.run();
                }
            });
            let sum: u32 = match &**pool {
                Pool::Threads(pool) => pool.map(seven, input).sum::<Result<u32, _>>().expect("they run"),
                Pool::Processes(pool) => pool.map(seven, input).sum::<Result<u32, _>>().expect("they run"),
            };
            assert_eq!(sum, 28);
        });
    }
}

fn the_input_of_as_completed() {
    try_all(ALL, threads, |pool, act| {
        let input = (0..4).map(|n| {
            if n == 2 {
                act.run();
            }
            pool.seven()
        });
        let all = catch_unwind(AssertUnwindSafe(|| as_completed(input).count()));
        assert_eq!(all.ok(), (act.0.what != What::Panic).then_some(4));
    });
}

struct Elsewhere {
    act: Act,
    pool: Weak<Pool>,
}

impl Executor for Elsewhere {
    fn execute(&self, task: concurrent_futures::Task) {
        self.act.run();
        self.pool.upgrade().expect("it is there").threads().execute(task);
    }
}

fn an_executor_of_somebody_else() {
    try_all(ALL, threads, |pool, act| {
        let executor = Elsewhere { act: act.clone(), pool: Arc::downgrade(pool) };
        let (task, future) = concurrent_futures::Task::new(seven, 0);
        let panicked = catch_unwind(AssertUnwindSafe(|| executor.execute(task))).is_err();
        assert_eq!(panicked, act.0.what == What::Panic);
        match future.result() {
            Err(TaskError::Abandoned) => assert!(panicked),
            result => assert!(is_seven(&result) && !panicked, "{result:?}"),
        }
        assert!(is_seven(&executor.submit(seven, 0).result()));
    });
}

/// Asked for its future; the act comes with the question of this number.
struct Item {
    future: Future<u32>,
    act: Act,
    left: AtomicUsize,
}

impl Waitable for Item {
    fn watch(&self) -> Watch<'_> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.act.run();
        }
        self.future.watch()
    }
}

/// Waits inside a worker, so that the pool counts it as blocked.
fn what_can_be_waited_for() {
    for until in [ReturnWhen::AllCompleted, ReturnWhen::FirstCompleted] {
        for number in 1..5 {
            try_all(ALL, threads, |pool, act| {
                let (inside, act) = (Arc::downgrade(pool), act.clone());
                let panics = act.0.what == What::Panic;
                let waits = pool.threads().spawn(move || {
                    let pool = inside.upgrade().expect("it is there");
                    let items: Vec<_> = (0..3)
                        .map(|_| {
                            let future = pool.threads().spawn(|| {
                                std::thread::sleep(Duration::from_millis(1));
                                7
                            });
                            Item { future, act: act.clone(), left: AtomicUsize::new(number) }
                        })
                        .collect();
                    let done = wait(&items, until).done.len();
                    // It may not have been asked so often.
                    act.run();
                    done
                });
                let done = waits.result();
                assert!(done.is_ok() || panics, "{done:?}");
            });
        }
    }
}

fn an_item_that_panics_is_not_waited_for() {
    let pool = ThreadPoolExecutor::new(1);
    let item = |left| Item {
        future: pool.submit(seven, 0),
        act: act(What::Panic, false),
        left: AtomicUsize::new(left),
    };
    let mut all = as_completed([item(0)]);
    assert!(catch_unwind(AssertUnwindSafe(|| all.add(item(1)))).is_err());
    assert_eq!(all.len(), 1);
    assert!(all.next().is_some() && all.next().is_none());
}

fn limit_memory(room: Option<usize>) -> libc::rlimit {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: u64 = statm.split(' ').next().expect("a number").parse().expect("a number");
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for a limit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut before) }, 0);
    if let Some(room) = room {
        restore_memory(libc::rlimit { rlim_cur: pages * 4096 + room as u64, ..before });
    }
    before
}

fn restore_memory(limit: libc::rlimit) {
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}
