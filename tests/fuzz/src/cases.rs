//! The loop without coverage.

use crate::chance;
use concurrent_futures::internals::{fuzz::Target, memory::LARGEST};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// What a run of cases was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many.
    pub cases: u64,
    /// How long they took.
    pub took: Duration,
    /// The largest piece of memory that one asked for.
    pub largest: usize,
    /// The longest that one took.
    pub slowest: Duration,
}

/// Ends the process if a case takes too long: it hangs, and nothing else would end it.
struct Watchdog {
    // Dropped, it ends the thread.
    _end: mpsc::Sender<()>,
    at: Arc<AtomicU64>,
}

impl Watchdog {
    fn new(limit: Duration, hangs: impl Fn(u64) + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let at = Arc::new(AtomicU64::new(u64::MAX));
        let watched = at.clone();
        std::thread::spawn(move || {
            let (mut seen, mut since) = (u64::MAX, Instant::now());
            while ended.recv_timeout(limit / 20) == Err(RecvTimeoutError::Timeout) {
                let now = watched.load(Ordering::Relaxed);
                if now != seen {
                    (seen, since) = (now, Instant::now());
                } else if since.elapsed() > limit {
                    hangs(now);
                    std::process::abort();
                }
            }
        });
        Watchdog { _end: end, at }
    }
}

/// Runs `body` on the inputs that `input` gives for these numbers. Before each case its number is told to `progress`. A
/// case that takes longer than `limit` is shown, and ends the process.
pub fn run(
    target: &Target,
    numbers: std::ops::Range<u64>,
    limit: Duration,
    input: impl Fn(u64) -> Vec<u8>,
    mut progress: impl FnMut(u64),
) -> Tally {
    let name = target.name;
    let current = Arc::new(std::sync::Mutex::new(Vec::new()));
    let of_watchdog = current.clone();
    let watchdog = Watchdog::new(limit, move |number| {
        let bytes = of_watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        show(name, number, &bytes, &format!("took longer than {limit:?}"));
    });
    let start = Instant::now();
    let mut tally = Tally::default();
    for number in numbers {
        let bytes = input(number);
        progress(number);
        current.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&bytes);
        watchdog.at.store(number, Ordering::Relaxed);
        let shown = Shown { name, number, bytes: &bytes };
        let begun = Instant::now();
        LARGEST.replace(0);
        (target.body)(&bytes);
        tally.largest = tally.largest.max(LARGEST.replace(0));
        tally.slowest = tally.slowest.max(begun.elapsed());
        tally.cases += 1;
        drop(shown);
    }
    tally.took = start.elapsed();
    tally
}

/// The cases of a seed.
pub fn by_chance<'a>(target: &'a Target, corpus: &'a [Vec<u8>], seed: u64) -> impl Fn(u64) -> Vec<u8> + 'a {
    move |number| chance::case(corpus, target.words, seed, number)
}

/// Shows a case if it panics.
struct Shown<'b> {
    name: &'static str,
    number: u64,
    bytes: &'b [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show(self.name, self.number, self.bytes, "panicked");
        }
    }
}

fn show(name: &str, number: u64, bytes: &[u8], what: &str) {
    use std::io::Write;
    // Not by the macro: the harness would keep it until a test ends, which one that hangs never does.
    let _ = writeln!(
        std::io::stderr(),
        "{name}: case {number}, {} bytes, {what}: {}",
        bytes.len(),
        bytes.escape_ascii()
    );
}
