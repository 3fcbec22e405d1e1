//! The progress of the storms, and the request to end them.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::say::say;

static STOP: AtomicBool = AtomicBool::new(false);
static DONE: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

pub(crate) const INTERRUPTED: u8 = 130;

/// The first Ctrl-C ends the storms with what they have counted, the second one the program.
pub(crate) fn obey_interrupts() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED.into());
        }
        say("\nstopping: the storms end with what they have counted; Ctrl-C again to exit at once");
    })
}

pub(crate) fn is_stopping() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// The number of tasks, races, days or pictures that are done.
pub(crate) fn done(more: u64) {
    DONE.fetch_add(more, Ordering::Relaxed);
}

/// An impossible state.
pub(crate) fn wrong() {
    WRONG.fetch_add(1, Ordering::Relaxed);
}

/// Prints the progress to stderr until it is dropped.
pub(crate) struct Telling {
    over: Option<mpsc::Sender<()>>,
    telling: Option<thread::JoinHandle<()>>,
}

impl Telling {
    pub(crate) fn start(every: Duration) -> Self {
        let (over, waiting) = mpsc::channel::<()>();
        let began = Instant::now();
        let telling = thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(every) {
                let seconds = began.elapsed().as_secs();
                let (done, wrong) = (DONE.load(Ordering::Relaxed), WRONG.load(Ordering::Relaxed));
                say(format_args!("{seconds:>6} s  {done} done, {wrong} impossible states"));
            }
        });
        Self { over: Some(over), telling: Some(telling) }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(telling) = self.telling.take() {
            // It can't have panicked: it only counts and writes.
            let _ = telling.join();
        }
    }
}
