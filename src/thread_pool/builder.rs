//! [`ThreadPoolBuilder`]: every option of a thread pool.

use super::ThreadPoolExecutor;
use super::queue::Queue;
use crate::error::{BoxError, BuildError};
use crate::executor::WhenFull;
use crate::observe::{Observed, Observer};
use crate::sync::plain::{AtomicUsize, Ordering};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The stack of a worker, if nobody says otherwise: that of Rust's own threads.
const STACK_SIZE: usize = 2 << 20;

/// What one pool was built with.
pub(super) struct Config {
    /// At the beginning.
    pub(super) max_workers: usize,
    pub(super) name_prefix: String,
    pub(super) stack_size: usize,
    pub(super) initializer: Option<Initializer>,
    pub(super) on_exit: Option<ExitHook>,
    pub(super) capacity: Option<(usize, WhenFull)>,
    pub(super) keep_alive: Option<Duration>,
    pub(super) observed: Observed,
}

type Initializer = Arc<dyn Fn() -> Result<(), BoxError> + Send + Sync>;
type ExitHook = Arc<dyn Fn() + Send + Sync>;

/// Builds a [`ThreadPoolExecutor`].
///
/// # Examples
///
/// ```
/// use concurrent_futures::{WhenFull, prelude::*};
/// use std::time::Duration;
///
/// let pool = ThreadPoolExecutor::builder()
///     .max_workers(40)
///     .name_prefix("fetch")
///     .queue_capacity(1000, WhenFull::Block)
///     .keep_alive(Duration::from_secs(10))
///     .build()?;
/// assert_eq!(pool.max_workers(), 40);
/// # Ok::<(), concurrent_futures::BuildError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ThreadPoolBuilder {
    max_workers: Option<usize>,
    name_prefix: Option<String>,
    stack_size: Option<usize>,
    initializer: Option<Initializer>,
    on_exit: Option<ExitHook>,
    capacity: Option<(usize, WhenFull)>,
    keep_alive: Option<Duration>,
    observed: Observed,
}

impl ThreadPoolBuilder {
    /// How many tasks run at once at most, not counting those that wait for other tasks of the pool. Python's default:
    /// the processors this process may use plus 4, at most 32. Threads are started as they are needed.
    pub fn max_workers(mut self, n: usize) -> Self {
        self.max_workers = Some(n);
        self
    }

    /// Threads are called `{prefix}_{n}`, n from 0. By default `ThreadPoolExecutor-{m}`, m counting pools. Linux shows
    /// the first 15 bytes. [`build`](ThreadPoolBuilder::build) refuses a NUL in it, which no system takes in a name.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(prefix.into());
        self
    }

    /// Bytes of stack for each worker; 2 MiB by default. Tasks with results of hundreds of kilobytes by value want more,
    /// or a `Box`. The system rounds it up to what it needs at least. A size that it has no memory for is refused when the
    /// first worker starts, and each future says so. With glibc and musl the thread-locals of the program and its libraries
    /// are taken out of them.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Bounds the queue: at most `n` tasks wait, and `when_full` says what a submit does then. Unbounded by default.
    pub fn queue_capacity(mut self, n: usize, when_full: WhenFull) -> Self {
        self.capacity = Some((n, when_full));
        self
    }

    /// Runs in each worker before its first task. If it panics the pool is broken: every queued future and every later
    /// submit gets [`TaskError::Broken`](crate::TaskError::Broken), with the panic as its source. It may submit to the
    /// pool.
    ///
    /// An initializer may wait for a task of its own pool. That task never runs in this worker, which is not initialized
    /// yet: another worker runs it, beyond `max_workers` if need be. If the initializer of every further worker waits as
    /// well, nobody ever could: then the waits end with `Broken`.
    pub fn initializer(self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.try_initializer(move || {
            f();
            Ok(())
        })
    }

    /// As [`initializer`](ThreadPoolBuilder::initializer), for one that may fail; its error breaks the pool. (Python
    /// logs it and tells the futures nothing.)
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskError, prelude::*};
    ///
    /// let pool = ThreadPoolExecutor::builder()
    ///     .try_initializer(|| {
    ///         "no number".parse::<u32>()?;
    ///         Ok(())
    ///     })
    ///     .build()?;
    /// let error = pool.spawn(|| 1).result().unwrap_err();
    /// assert!(matches!(error, TaskError::Broken(_)));
    /// assert!(error.to_string().contains("invalid digit"));
    /// # Ok::<(), concurrent_futures::BuildError>(())
    /// ```
    pub fn try_initializer(mut self, f: impl Fn() -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        self.initializer = Some(Arc::new(f));
        self
    }

    /// Runs in each worker when it ends, after its last task; a panic in it is logged. The thread is no worker any more:
    /// what it submits to the pool and waits for, another worker runs.
    pub fn on_exit(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_exit = Some(Arc::new(f));
        self
    }

    /// A worker that finds nothing to do for this long ends; the next submit starts one again. By default workers stay.
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Has `observer` told what happens in the pool: tasks that are queued, begin and end, workers that start, wait and
    /// end. The last one set counts. See [`Observer`] for an example.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observed = Observed::by(observer);
        self
    }

    /// Builds the pool. No thread is started yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if `max_workers` or the queue's capacity is 0, the stack is larger than any address space, or the
    /// name prefix contains a NUL.
    pub fn build(self) -> Result<ThreadPoolExecutor, BuildError> {
        let max_workers = self.max_workers.unwrap_or_else(default_workers);
        if max_workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if matches!(self.capacity, Some((0, _))) {
            return Err(BuildError::NoCapacity);
        }
        let stack_size = self.stack_size.unwrap_or(STACK_SIZE);
        if isize::try_from(stack_size).is_err() {
            return Err(BuildError::Invalid {
                option: "stack_size",
                value: stack_size.to_string(),
                why: "it is larger than the address space".into(),
            });
        }
        let name_prefix = self.name_prefix.unwrap_or_else(default_prefix);
        if name_prefix.contains('\0') {
            return Err(BuildError::Invalid {
                option: "name_prefix",
                value: format!("{name_prefix:?}"),
                why: "the name of a thread can't contain a NUL".into(),
            });
        }
        let config = Config {
            max_workers,
            name_prefix,
            stack_size,
            initializer: self.initializer,
            on_exit: self.on_exit,
            capacity: self.capacity,
            keep_alive: self.keep_alive,
            observed: self.observed,
        };
        Ok(ThreadPoolExecutor::from_queue(Queue::new(config)))
    }
}

impl fmt::Debug for ThreadPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder")
            .field("max_workers", &self.max_workers)
            .field("name_prefix", &self.name_prefix)
            .field("stack_size", &self.stack_size)
            .field("capacity", &self.capacity)
            .field("keep_alive", &self.keep_alive)
            .field("observer", &self.observed)
            .finish_non_exhaustive()
    }
}

fn default_workers() -> usize {
    (num_cpus::get() + 4).min(32)
}

fn default_prefix() -> String {
    static POOLS: AtomicUsize = AtomicUsize::new(0);
    format!("ThreadPoolExecutor-{}", POOLS.fetch_add(1, Ordering::Relaxed))
}
