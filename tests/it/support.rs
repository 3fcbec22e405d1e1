//! What the tests share: the time limit, gates in place of sleeps, tokens that count drops, a log that can be read.

use concurrent_futures::{Future, ThreadPoolExecutor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for any test on a busy machine, short enough to notice a hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How many times as long everything may take: set where a build is slow on purpose, as under a sanitizer.
fn patience() -> u32 {
    std::env::var("TEST_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A time after which something that should take no time has failed.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Runs `body` on a thread of its own; ends the whole process if it takes longer than `limit`, since a thread that hangs
/// can't be ended otherwise.
pub(crate) fn limit(limit: Duration, body: impl FnOnce() + Send + 'static) {
    limit_boxed(limit, Box::new(body));
}

/// Compiled once, not for each test.
fn limit_boxed(limit: Duration, body: Box<dyn FnOnce() + Send>) {
    let limit = patience() * limit;
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (over, ended) = mpsc::channel::<()>();
    let body = move || {
        let _over = over; // dropped at the end, also by a panic
        body();
    };
    let test = thread::Builder::new().name(name.clone()).spawn(body).unwrap();
    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        // Not eprintln: what a test prints is captured, and this process won't live to show it.
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "\n{name} took longer than its limit of {limit:?}: it hangs");
        std::process::abort();
    }
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Closed until it is opened; what waits at it goes on then, and whatever comes later passes.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let opened = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(opened, |opened| !*opened).unwrap());
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }
}

/// A worker that is held: a task that has begun and ends when the gate opens.
pub(crate) struct Held {
    pub(crate) gate: Gate,
    pub(crate) future: Future<()>,
}

/// Occupies one worker of `pool`; returns when the task runs.
pub(crate) fn hold(pool: &ThreadPoolExecutor) -> Held {
    let (gate, begun) = (Gate::new(), Gate::new());
    let (inner, begins) = (gate.clone(), begun.clone());
    let future = pool.spawn(move || {
        begins.open();
        inner.wait();
    });
    begun.wait();
    Held { gate, future }
}

impl Held {
    pub(crate) fn release(self) {
        self.gate.open();
        self.future.result().unwrap();
    }
}

/// Looks until `what` holds. For facts that nobody announces, such as a number in `stats`.
#[track_caller]
pub(crate) fn eventually(what: impl Fn() -> bool) {
    let deadline = Instant::now() + patience() * SOON;
    while !what() {
        assert!(Instant::now() < deadline, "it did not come true");
        thread::park_timeout(Duration::from_micros(200));
    }
}

/// Lets time pass, for a test of what measures it. Never to let others catch up.
pub(crate) fn pass(time: Duration) {
    let start = Instant::now();
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Where the kernel tells of the thread that calls this; nowhere, where there is no such kernel.
pub(crate) fn this_thread() -> PathBuf {
    std::fs::read_link("/proc/thread-self")
        .map(|thread| Path::new("/proc").join(thread).join("stat"))
        .unwrap_or_default()
}

/// Whether a thread, by what [`this_thread`] gave it, waits for something. True where nobody can tell.
pub(crate) fn sleeps(thread: &Path) -> bool {
    thread.as_os_str().is_empty() || std::fs::read_to_string(thread).is_ok_and(|stat| stat.contains(") S "))
}

/// Counts the live tokens it made.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<AtomicUsize>);

impl Live {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn token(&self) -> Token {
        self.0.fetch_add(1, Ordering::SeqCst);
        Token(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Something to be captured, passed or returned, whose drop is counted.
pub(crate) struct Token(Live);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Its drop panics.
#[derive(Debug)]
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // A second panic while one unwinds would end the process; that is Rust's rule and not what is tested.
        if !thread::panicking() {
            panic!("a bomb was dropped");
        }
    }
}

/// Starts to keep what is logged in this process.
pub(crate) fn keep_log() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        log::set_logger(&Kept).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// Whether something logged since `keep_log` contains all of `parts`.
pub(crate) fn was_logged(parts: &[&str]) -> bool {
    times_logged(parts) > 0
}

/// How often something was logged that contains all of `parts`.
pub(crate) fn times_logged(parts: &[&str]) -> usize {
    let records = RECORDS.lock().unwrap();
    records.iter().filter(|record| parts.iter().all(|part| record.contains(part))).count()
}

/// What was logged that contains all of `parts`, in its order.
#[cfg(feature = "process")]
pub(crate) fn logged(parts: &[&str]) -> Vec<String> {
    let records = RECORDS.lock().unwrap();
    records.iter().filter(|record| parts.iter().all(|part| record.contains(part))).cloned().collect()
}

struct Keys<'a>(&'a mut String);

impl<'kvs> log::kv::VisitSource<'kvs> for Keys<'_> {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        self.0.push_str(&format!(" {key}={value}"));
        Ok(())
    }
}

struct Kept;

static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = format!("{} {}: {}", record.level(), record.target(), record.args());
        // What most tests don't look at.
        if record.key_values().count() > 0 {
            let place =
                [record.module_path().unwrap_or_default(), record.file().unwrap_or_default()].join(" ");
            line = format!("{line} [{place}:{}]", record.line().unwrap_or_default());
            let _ = record.key_values().visit(&mut Keys(&mut line));
        }
        RECORDS.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}
