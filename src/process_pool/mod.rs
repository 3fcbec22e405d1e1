//! [`ProcessPoolExecutor`]: a pool of processes.
//!
//! ```text
//!  submit(f, arg) --> EncodedTask --> Dispatcher { queue, lanes } --> driver n ==socket==> worker n: begin? run, reply
//!       |                                  ^         |                  |  ^                  |
//!       +-- Future <-----------------------+---------+---- resolve <----+  +======socket======+
//!                                                    |                           |
//!                                                    +----- shared segment ------+   limit lowered | begun raised
//! ```
//!
//! - `parent/`: tasks come in (`pool.rs`) and are encoded (`task.rs`); the dispatcher (`dispatch/`, `lane.rs`) decides
//!   which worker gets what; a driver (`driver.rs`, `launch.rs`, `limits.rs`, `death.rs`) is one worker seen from the
//!   outside; futures are resolved (`resolve.rs`).
//! - `worker/`: how a process becomes a worker (`entry.rs`), and its life as one (`main.rs`).
//! - `wire/`: what the two send each other. `shared/`: the memory segment that both map, by which they agree which tasks
//!   have begun, and in which small replies travel.
//! - `sys/`: the only way to the system. Its `mod.rs` lists what a system must offer; `unix/` and
//!   `windows/` offer it, and `unsupported.rs` takes their place elsewhere.
//!
//! The protocol between driver and worker, and why it loses nothing, is in `PROTOCOL.md`.
//!
//! Nothing outside this module knows that a worker is a local process.

mod builder;
mod environment;
/// The inside, opened for tests/internals.
#[cfg(concurrent_futures_internals)]
#[path = "../../tests/internals/src/internals.rs"]
pub mod internals;
mod output;
mod parent;
mod shared;
mod stats;
mod sys;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

pub use builder::{ProcessPoolBuilder, WorkerDeath};
pub use output::WorkerOutput;
pub use stats::{ProcessPoolStats, WorkerState, WorkerStats};
pub use worker::entry::init;
pub use worker::main::{is_worker, works_for};

use crate::blob::{Blob, BlobId, Content, LARGE};
use crate::clock::deadline_after;
use crate::error::BuildError;
use crate::executor::{Executor, Portable, RunningTask, Shutdown, StillBusy, Task, closed};
use crate::future::Future;
use parent::pool::{AsksRunning, Pool};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use sys::{SealedMemory, Signal};

/// A pool of worker processes: for computation that is to use every processor, and for code that may crash.
///
/// Its verbs are those of [`ExecutorExt`](crate::ExecutorExt), which the prelude imports: `submit`, `map` and so on, for a
/// `fn` or a closure that captures nothing, with an argument and a result of serde types. There is nothing to set up in
/// `main`: a worker is this same executable, started again.
///
/// **A crash costs one task.** When a worker dies, only the task it was running fails, with
/// [`WorkerDied`](crate::TaskError::WorkerDied). Tasks already sent to it run elsewhere, exactly once, and another worker
/// takes its place. (In Python the pool breaks, and every future with it.) If a thread that an earlier task left behind
/// crashes the worker, the task that is running by then fails.
///
/// **Small tasks need no `chunksize`.** Tasks travel in batches as large as the queue suggests; an idle worker takes
/// over what waits behind a long task.
///
/// **Order and state.** Tasks begin nearly in the order of submission: a batch that is taken back goes to the front.
/// Workers start with the environment that this process had at `build`, and in the directory that it is in when they
/// start. Each has its own statics; threads, files and locks of the parent are not there.
///
/// **The end.** Dropping the pool runs what is queued and waits for the workers to leave; while its thread panics, what
/// is queued is cancelled instead, and a callback that drops the pool doesn't wait. Workers never outlive the parent,
/// however it ends, `exec` included; what they ran then is lost. What happens when, from every place and in every state: `docs/ends.md`.
///
/// **Which thread runs your code.** The thread that submits encodes the argument and drops it. A result is decoded by the
/// pool's thread that serves its worker, so a `Deserialize` must not wait for a task of the same pool. Callbacks
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

    /// A builder, which has every option.
    pub fn builder() -> ProcessPoolBuilder {
        ProcessPoolBuilder::default()
    }

    /// How many tasks run at once at most.
    pub fn max_workers(&self) -> usize {
        self.pool.max_workers()
    }

    /// Changes how many tasks run at once at most, from now on. Doesn't block.
    ///
    /// **More.** If tasks are queued, or wait behind another in a worker, workers for them are started at once; else when there is work,
    /// as ever.
    ///
    /// **Fewer.** What runs is not interrupted, and no task is lost or cancelled. What was sent to a worker and has not begun goes back to
    /// the front of the queue. Idle workers leave at once; then whichever ends its task first, until there are `n`: until then no worker
    /// begins another task. They leave in order: [`on_exit`](ProcessPoolBuilder::on_exit) is called, and
    /// [`stats`](Self::stats) counts no death. A worker that is still starting is ended.
    ///
    /// A map reads the number when it begins, for its buffer and its chunks; so does each worker when it starts, for the
    /// default of [`threads_per_worker`](ProcessPoolBuilder::threads_per_worker). After a shutdown the call concerns what is still to run,
    /// if anything is. In a fork of the process that built the pool it does nothing.
    ///
    /// Differs from Python: there the number is fixed.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoWorkers`] if `n` is 0, as from the builder; nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ProcessPoolExecutor::new(4);
    /// pool.set_max_workers(1)?; // the others' memory is needed elsewhere
    /// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_max_workers(&self, n: usize) -> Result<(), BuildError> {
        if n == 0 {
            return Err(BuildError::NoWorkers);
        }
        self.pool.set_max_workers(n);
        Ok(())
    }

    /// The pool in numbers, and each of its workers. Which tasks run, and since when:
    /// [`running`](ProcessPoolExecutor::running).
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

    /// What the pool runs at this moment, and in which worker: every task that has begun and whose result has not arrived.
    /// A task that was only sent to a worker is not in it. For a look at a program that seems to hang, and for a display of who
    /// is at what.
    ///
    /// It never waits for a task. While tasks move, one that it lists may have ended, and one that began meanwhile may be
    /// missing.
    ///
    /// **Since when.** From the first call of this method on, for as long as the pool lives, workers note when a task begins:
    /// `since` is that moment, by the worker's own clock. What began before has the moment of the first call that saw it, and
    /// `at_least`; so has, for this one call, a task that is just beginning. A program that wants all of them true calls
    /// `running` once, after `build`.
    ///
    /// Differs from Python: there is nothing like it there.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskOptions, prelude::*};
    /// use std::time::Duration;
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix("scan").build()?;
    /// assert!(pool.running().is_empty());
    /// let options = TaskOptions::new().label("scan.png");
    /// let future = pool.submit_with(options, |ms| std::thread::sleep(Duration::from_millis(ms)), 60_000);
    /// let running = loop {
    ///     if let Some(task) = pool.running().pop() {
    ///         break task;
    ///     }
    /// };
    /// assert_eq!((running.task, &*running.worker), (future.id(), "scan_0"));
    /// println!("{running}"); // scan_0 runs task `scan.png` for 0.0 s
    /// assert!(future.kill());
    /// # Ok::<(), concurrent_futures::BuildError>(())
    /// ```
    pub fn running(&self) -> Vec<RunningTask> {
        self.pool.running()
    }

    /// Starts all workers now, rather than when there is work for them: the future is done when each is up and its initializer is
    /// through. Doesn't block.
    ///
    /// It fails with the initializer's error, or with why no worker can be started, in [`Broken`](crate::TaskError::Broken); or
    /// because the pool is shut down. A single start that fails while other workers are up is no error: the pool tries again when there is work, and
    /// [`stats`](Self::stats) says how many are up. With `keep_alive`, idle ones leave again.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ProcessPoolExecutor::new(2);
    /// pool.warm_up().result()?;
    /// let stats = pool.stats();
    /// assert!(stats.workers.iter().all(|worker| worker.pid.is_some()) && stats.workers.len() == 2);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn warm_up(&self) -> Future<()> {
        self.pool.warm_up()
    }

    /// Has each worker call `f` once, with a clone of `arg`: to fill or to clear what they keep in statics, or to ask what is there.
    /// Starts all workers first, as [`warm_up`](Self::warm_up) does, but 1024 at most. Doesn't block; the futures come in the order of the workers'
    /// numbers, and each can be cancelled until its call begins.
    ///
    /// A worker that is busy calls `f` when its task is over, before any other task: so what is submitted after the broadcast finds it
    /// done, in whichever of them it runs. What was sent to it and has not begun goes back to the queue meanwhile. If the worker dies in the
    /// call, its future fails as any other; if it dies or is replaced before, the next worker at its place makes the call; if there
    /// is none to be had, its future fails as [`Broken`](crate::TaskError::Broken). One that is to leave, since [`set_max_workers`](Self::set_max_workers)
    /// wants fewer, makes its call first. Workers that come later have no part in it: that is what an [`initializer`](ProcessPoolBuilder::initializer) is for. The calls wait for no place in a bounded queue, and each counts towards
    /// `max_tasks_per_child`. A [`shutdown`](Self::shutdown) that drains lets them run, and one that cancels cancels them. An argument that can't
    /// be encoded gives one future, which says so.
    ///
    /// Python has nothing like it; dask has `Client.run`.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::sync::Mutex;
    ///
    /// static WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    ///
    /// let pool = ProcessPoolExecutor::new(2);
    /// let added = pool.broadcast(|word: String| WORDS.lock().unwrap().push(word), "to be".into());
    /// assert_eq!(added.len(), 2);
    /// let words = pool.broadcast(|()| WORDS.lock().unwrap().concat(), ());
    /// let words: Vec<String> = words.into_iter().map(|words| words.result()).collect::<Result<_, _>>()?;
    /// assert_eq!(words, ["to be", "to be"]);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn broadcast<A: Portable + Clone, R: Portable>(&self, f: fn(A) -> R, arg: A) -> Vec<Future<R>> {
        self.pool.broadcast(|| Task::new(f, arg.clone()))
    }

    /// Shuts the pool down and returns at once: later submits are rejected. What has not begun still runs
    /// ([`Drain`](Shutdown::Drain)) or is cancelled ([`CancelQueued`](Shutdown::CancelQueued)): after the call nothing
    /// begins any more. What runs is not interrupted; it is asked to stop by [`Stop`](Shutdown::Stop). May be called again, and from anywhere: a callback, a destructor.
    pub fn shutdown(&self, mode: Shutdown) {
        match mode {
            Shutdown::Drain => self.pool.drain(),
            Shutdown::CancelQueued => self.pool.cancel_all(AsksRunning::No),
            Shutdown::Stop => self.pool.cancel_all(AsksRunning::Yes),
        }
    }

    /// Waits until the workers have ended; first shuts the pool down with [`Drain`](Shutdown::Drain), unless that was done
    /// before. Blocks the thread. On one of the pool's own threads (in a callback, or in the destructor of an unwanted
    /// result) it shuts the pool down and returns at once.
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
    /// [`StillBusy`] names the workers that are still busy, and their tasks. On one of the pool's own threads, at once.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), StillBusy> {
        let deadline = deadline_after(timeout);
        self.shutdown(Shutdown::Drain);
        if !self.pool.is_served_by_this_thread() && self.pool.join(deadline) {
            return Ok(());
        }
        let (busy, queued) = self.pool.unfinished();
        Err(StillBusy::new(busy, queued))
    }

    /// Shuts the pool down as [`join`](Self::join) does, and returns a future that is done when the last worker has ended: for async
    /// code, where `join`, and the drop of a pool that has work, would block the runtime's thread. A thread waits meanwhile; if none
    /// can be started, the future fails as [`Abandoned`](crate::TaskError::Abandoned). A task of this pool must not wait for it: it would wait for
    /// itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// # futures::executor::block_on(async {
    /// let pool = ProcessPoolExecutor::new(2);
    /// let future = pool.submit(|n: u32| n + 1, 1);
    /// pool.closed().await?;
    /// drop(pool); // at once
    /// assert_eq!(future.await?, 2);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// # }).unwrap();
    /// ```
    pub fn closed(&self) -> Future<()> {
        self.shutdown(Shutdown::Drain);
        let pool = self.pool.clone();
        closed(move || _ = pool.join(None))
    }

    /// Drops the pool without waiting: queued tasks still run, then the workers end. If this process ends before that,
    /// they end at once.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Shuts the pool down, cancels what has not begun, and sends each worker SIGTERM, which ends it unless a task has
    /// installed a handler of its own: running tasks fail with [`WorkerDied`](crate::TaskError::WorkerDied). Returns at once.
    /// As Python's method of this name, since 3.14. On Windows it is [`kill_workers`](ProcessPoolExecutor::kill_workers), as in
    /// Python.
    pub fn terminate_workers(&self) {
        self.end_workers(Signal::TERM);
    }

    /// As [`terminate_workers`](ProcessPoolExecutor::terminate_workers), with SIGKILL, which no task can ignore.
    pub fn kill_workers(&self) {
        self.end_workers(Signal::KILL);
    }

    fn end_workers(&self, signal: Signal) {
        self.pool.cancel_all(AsksRunning::No);
        self.pool.signal_all(signal);
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
        Some(self.pool.max_workers())
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

/// Bytes that workers can map; on the heap, where they are few or the system refuses such memory.
pub(crate) fn blob_of(bytes: Vec<u8>, children: Vec<Arc<Blob>>) -> Blob {
    Blob::new(seal(&bytes).unwrap_or(Content::Heap(bytes)), children)
}

/// The same, of bytes that came from elsewhere.
pub(crate) fn blob_arrived(id: BlobId, bytes: &[u8], children: Vec<Arc<Blob>>) -> Blob {
    Blob::arrived(id, seal(bytes).unwrap_or_else(|| Content::Heap(bytes.to_vec())), children)
}

fn seal(bytes: &[u8]) -> Option<Content> {
    let is_large = bytes.len() >= LARGE;
    let sealed = is_large.then(|| SealedMemory::of_bytes(bytes))?.ok()?;
    Some(Content::Sealed(Box::new(sealed)))
}

/// The same, of `len` bytes that `fill` makes of zeros where they stay.
pub(crate) fn blob_with(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Blob> {
    let mut fill = Some(fill);
    let fill_once = |bytes: &mut [u8]| fill.take().into_iter().for_each(|fill| fill(bytes));
    let content = match SealedMemory::with(len, fill_once) {
        Ok(memory) => Content::Sealed(Box::new(memory)),
        // What was filled could not be sealed.
        Err(error) if fill.is_none() => return Err(error),
        Err(_) => {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len)?;
            bytes.resize(len, 0);
            fill.into_iter().for_each(|fill| fill(&mut bytes));
            Content::Heap(bytes)
        }
    };
    Ok(Blob::new(content, Vec::new()))
}
