//! How a model is run: bounded in preemptions and in time, loud when it fails.

use concurrent_futures::{Promise, ThreadPoolBuilder, ThreadPoolExecutor};
use std::cell::Cell;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, mpsc};
use std::time::{Duration, Instant};

/// No model takes nearly as long with its own bound; `LOOM_TIME_LIMIT`, in seconds, is for larger ones.
const TIME_LIMIT: Duration = Duration::from_secs(300);

thread_local! {
    static NAME: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Runs `program` in every interleaving with at most `preemptions` preemptions.
pub(crate) fn explore(name: &'static str, preemptions: usize, program: impl Fn() + Sync + Send + 'static) {
    fail_at_once();
    let _watchdog = Watchdog::new(name);
    NAME.set(Some(name));
    let runs = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    let (began, counter) = (Instant::now(), runs.clone());
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        program();
    });
    NAME.set(None);
    let bound = builder.preemption_bound.expect("set above");
    report(format_args!(
        "{name}: {} runs with up to {bound} preemptions in {:.1} s",
        runs.load(Ordering::Relaxed),
        began.elapsed().as_secs_f32()
    ));
}

#[expect(clippy::print_stdout, reason = "`--nocapture` shows it, and nothing else does")]
fn report(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

/// A panic in a model is the model's failure wherever it happens, inside a task too, where the pool would catch it. Nor
/// can a run be unwound once threads are stuck: pools join in their drop. So the process ends here.
fn fail_at_once() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match NAME.get() {
            Some(name) => {
                // Not eprintln: the harness would keep it.
                let _ = writeln!(std::io::stderr(), "\nmodel FAILED: {name}\n{info}");
                std::process::exit(101);
            }
            None => before(info),
        }));
    });
}

/// Ends the process if it is not dropped in time.
struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    fn new(name: &'static str) -> Self {
        let (alive, ended) = mpsc::channel::<()>();
        let limit = std::env::var("LOOM_TIME_LIMIT").ok().and_then(|text| text.parse().ok());
        let limit = limit.map_or(TIME_LIMIT, Duration::from_secs);
        std::thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = writeln!(std::io::stderr(), "\nmodel FAILED: {name} is not through after {limit:?}");
                std::process::exit(101);
            }
        });
        Watchdog { _alive: alive }
    }
}

/// A thread of the model's, beside the pool's own.
pub(crate) fn thread<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> loom::thread::JoinHandle<T> {
    loom::thread::Builder::new().stack_size(0x4000).spawn(f).expect("loom starts it")
}

pub(crate) fn pool(max_workers: usize) -> Arc<ThreadPoolExecutor> {
    build(ThreadPoolExecutor::builder().max_workers(max_workers))
}

/// A pool for which the system has no more than `threads` threads.
pub(crate) fn pool_of_few(max_workers: usize, threads: usize) -> Arc<ThreadPoolExecutor> {
    build(refusing(threads).max_workers(max_workers))
}

pub(crate) fn refusing(threads: usize) -> ThreadPoolBuilder {
    ThreadPoolExecutor::builder().name_prefix(format!("at-most-{threads}"))
}

pub(crate) fn build(builder: ThreadPoolBuilder) -> Arc<ThreadPoolExecutor> {
    Arc::new(builder.build().expect("the numbers are good"))
}

/// Lets a task go that waits at the other end.
pub(crate) fn open(gate: Promise<()>) {
    assert!(gate.set_result(()));
}

/// Counts drops.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new() -> (Self, Arc<AtomicUsize>) {
        let drops = Arc::new(AtomicUsize::new(0));
        (Counted(drops.clone()), drops)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}
