//! [`ProcessPoolExecutor`]: a pool of processes.
//!
//! ```text
//!  submit(f, arg) --> EncodedTask --> Dispatcher { queue, lanes } --> driver n ==socket==> worker n: begin? run, reply
//!       |              (bytes)      ^         |               |  ^                  |
//!       +-- Future <----------------+---------+-- resolve <---+  +======socket======+
//!                                             |                        |
//!                                             +------ shared segment -----+   limit lowered | begun raised
//! ```
//!
//! Parent: `pool.rs` is where tasks come in and are resolved, `dispatch.rs` and `lane.rs` decide who gets what (dispatch),
//! `driver.rs` and `launch.rs` are one worker's life from the outside. Child: `entry.rs` is where it starts, `worker.rs` its
//! life. Both: `message.rs` and `frames.rs` (transport), `shared.rs` (who may begin what) and `ring.rs` (small replies) in the
//! memory they share, `sys.rs` (the system; `unsupported.rs` stands in its place where there is no Unix). The protocol
//! between driver and worker, and why it loses nothing, is in `PROTOCOL.md`.
//!
//! Nothing outside this module knows that a worker is a local process.

mod buffer;
mod builder;
mod dispatch;
mod frames;
mod driver;
#[cfg_attr(
    all(unix, feature = "auto-init"),
    expect(unsafe_code, reason = "code before main, argued in the file")
)]
mod entry;
// Not declared in its own file, which benches/guard includes without the rest.
#[cfg(test)]
#[path = "frames/tests.rs"]
mod frames_tests;
/// The inside, opened for tests/internals.
#[cfg(concurrent_futures_internals)]
#[path = "../../tests/internals/src/internals.rs"]
pub mod internals;
mod lane;
mod launch;
mod listener;
mod message;
mod outbound;
mod pool;
mod ring;
mod shared;
mod stats;
#[cfg_attr(unix, expect(unsafe_code, reason = "system calls and shared memory, argued in the file"))]
#[cfg_attr(not(unix), path = "unsupported.rs")]
mod sys;
mod task;
#[cfg(test)]
mod tests;
#[expect(unsafe_code, reason = "runs parcels, argued in the file")]
mod worker;

pub use builder::{ProcessPoolBuilder, WorkerDeath};
pub use entry::init;
pub use launch::Output as WorkerOutput;
pub use stats::{ProcessPoolStats, WorkerState, WorkerStats};

use crate::clock::deadline_after;
use crate::executor::{Executor, Shutdown, StillBusy, Task};
use pool::Pool;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use sys::Signal;

/// A pool of worker processes: for computation that is to use every processor, and for code that may crash.
///
/// The verbs are those of [`ExecutorExt`](crate::ExecutorExt), by the prelude: `submit`, `map` and their like, for a
/// `fn` or a closure that captures nothing, an argument and a result that serde knows. There is nothing to set up in
/// `main`: a worker is this same executable, started again.
///
/// **A crash costs one task.** A worker that dies takes the task with it that it ran, whose future fails with
/// [`WorkerDied`](crate::TaskError::WorkerDied); what was on its way to it runs elsewhere, exactly once, and another
/// worker takes its place. (In Python the pool breaks, and every future with it.) The death is attributed to the task that was
/// running, also where a thread that an earlier task left behind caused it.
///
/// **Small tasks need no `chunksize`.** Tasks travel in batches as large as the queue suggests; an idle worker takes
/// over what waits behind a long task.
///
/// **Order and state.** Tasks begin in the order of submission, nearly: a batch that is taken back goes to the front.
/// Workers start with the environment that this process had at `build`, and in the directory that it is in when they
/// start. Each has its own statics; threads, files and locks of the parent are not there.
///
/// **The end.** Dropping the pool runs what is queued and waits for the workers to leave; while its thread panics, what
/// is queued is cancelled instead, and a callback that drops the pool doesn't wait. Workers never outlive the parent,
/// however it ends, `exec` included; what they ran then is lost. What happens when, from every place and in every state: `docs/ends.md`.
///
/// **Who runs your code here.** Arguments are written down and dropped by the thread that submits. A result is read by a
/// thread of the pool's that serves one worker, so a `Deserialize` must not wait for a task of the same pool. Callbacks
/// and the destructors of results that nobody wants run on a thread of their own, where they may.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// fn count(text: String) -> usize {
///     text.split_whitespace().count()
/// }
///
/// let pool = ProcessPoolExecutor::new(2);
/// let texts = ["to be", "or not to be"].map(String::from);
/// let counts: Vec<usize> = pool.map(count, texts).collect::<Result<_, _>>()?;
/// assert_eq!(counts, [2, 4]);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub struct ProcessPoolExecutor {
    pool: Arc<Pool>,
    detached: bool,
}

impl ProcessPoolExecutor {
    /// A pool of at most `max_workers` processes; for more options, [`builder`](ProcessPoolExecutor::builder).
    ///
    /// # Panics
    ///
    /// If `max_workers` is 0, and wherever [`build`](ProcessPoolBuilder::build) refuses.
    #[track_caller]
    pub fn new(max_workers: usize) -> Self {
        match Self::builder().max_workers(max_workers).build() {
            Ok(pool) => pool,
            Err(error) => panic!("{error}"),
        }
    }

    /// Every option.
    pub fn builder() -> ProcessPoolBuilder {
        ProcessPoolBuilder::default()
    }

    /// How many tasks run at once at most.
    pub fn max_workers(&self) -> usize {
        self.pool.config.max_workers
    }

    /// The pool in numbers, and each of its workers.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ProcessPoolExecutor::new(1);
    /// let pid = pool.submit(|()| std::process::id(), ()).result()?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.finished, stats.workers[0].pid), (1, Some(pid)));
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn stats(&self) -> ProcessPoolStats {
        self.pool.stats()
    }

    /// Closes the pool and returns at once: later submits are rejected. What has not begun still runs
    /// ([`Drain`](Shutdown::Drain)) or is cancelled ([`CancelQueued`](Shutdown::CancelQueued)): after the call nothing
    /// begins any more. What runs is not interrupted. May be called again, and from anywhere: a callback, a destructor.
    pub fn shutdown(&self, mode: Shutdown) {
        match mode {
            Shutdown::Drain => self.pool.drain(),
            Shutdown::CancelQueued => self.pool.cancel_all(),
        }
    }

    /// Waits until the workers have ended; closes the pool first, draining, if that was not done. Blocks the thread. on
    /// one of the pool's own threads (in a callback, or in a destructor of a result that nobody wanted) it closes the
    /// pool and returns at once.
    pub fn join(&self) {
        self.shutdown(Shutdown::Drain);
        if !self.pool.is_served_by_this_thread() {
            self.pool.join(None);
        }
    }

    /// [`join`](ProcessPoolExecutor::join), for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`StillBusy`] says which workers are still at which tasks. On one of the pool's own threads, at once.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), StillBusy> {
        let deadline = deadline_after(timeout);
        self.shutdown(Shutdown::Drain);
        if !self.pool.is_served_by_this_thread() && self.pool.join(deadline) {
            return Ok(());
        }
        let dispatcher = self.pool.dispatcher.lock();
        Err(StillBusy::new(self.pool.busy_workers(&dispatcher), dispatcher.queued()))
    }

    /// Gives the pool up without waiting: what is queued still runs, then the workers leave. Should this process end
    /// before that, they leave at once.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Shuts down, cancels what has not begun, and sends each worker SIGTERM, which ends it unless a task has set that
    /// aside: what runs fails with [`WorkerDied`](crate::TaskError::WorkerDied). Returns at once. Python's method of this name, of 3.14.
    pub fn terminate_workers(&self) {
        self.end_workers(Signal::TERM);
    }

    /// As [`terminate_workers`](ProcessPoolExecutor::terminate_workers), with SIGKILL, which no task can ignore.
    pub fn kill_workers(&self) {
        self.end_workers(Signal::KILL);
    }

    fn end_workers(&self, signal: Signal) {
        self.pool.cancel_all();
        self.pool.order(signal);
    }

    fn from_pool(pool: Arc<Pool>) -> Self {
        ProcessPoolExecutor { pool, detached: false }
    }
}

impl Executor for ProcessPoolExecutor {
    fn execute(&self, task: Task) {
        self.pool.accept(task.into_entry());
    }

    fn shutdown(&self, mode: Shutdown) {
        ProcessPoolExecutor::shutdown(self, mode);
    }

    fn max_workers(&self) -> Option<usize> {
        Some(self.pool.config.max_workers)
    }
}

impl Drop for ProcessPoolExecutor {
    fn drop(&mut self) {
        // A panicking thread must not hang behind hours of queue.
        let mode = if std::thread::panicking() { Shutdown::CancelQueued } else { Shutdown::Drain };
        self.shutdown(mode);
        if !self.detached && !self.pool.is_served_by_this_thread() {
            self.pool.join(None);
        }
    }
}

impl fmt::Debug for ProcessPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolExecutor")
            .field("max_workers", &self.max_workers())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
