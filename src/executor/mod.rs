//! What every executor promises.
//!
//! [`Executor`] has one required method and can be made into an object; [`ExecutorExt`] puts the generic verbs on top
//! of it, for every executor there is. Code written against them runs on threads, on processes or on an executor of
//! one's own by changing one line.

mod call;
#[cfg(feature = "process")]
mod carrier;
mod closed;
#[cfg(feature = "process")]
#[expect(unsafe_code, reason = "a parcel can name any code")]
mod forwarded;
mod inline;
pub(crate) mod local;
pub(crate) mod map;
#[cfg(feature = "process")]
#[expect(unsafe_code, reason = "code by its address, argued in the file")]
mod runner;
mod running;
mod shutdown;
mod still_busy;
mod task;
mod warm_up;
mod when_full;

#[cfg(feature = "process")]
pub(crate) use call::{encode_call, encode_try_call};
#[cfg(feature = "process")]
pub use carrier::{Carrier, Registration};
pub(crate) use closed::closed;
pub use inline::InlineExecutor;
pub use map::{Indexed, Map, MapOptions, MapTimeout, MapWith};
pub use running::RunningTask;
pub(crate) use running::{Begun, By, Elsewhere, running};
pub use shutdown::Shutdown;
pub use still_busy::{BusyWorker, StillBusy};
pub use task::{Portable, Task};
pub(crate) use warm_up::WarmUp;
pub use when_full::WhenFull;

use crate::error::{Rejected, TaskError, TaskFailure, Unsupported};
use crate::future::meter::Meter;
use crate::future::work::Work;
use crate::future::{Future, TaskOptions};
use call::{Call, MapCall, TryCall, TryMapCall};
use map::{Chunk, ChunkResults, Intake, Items, Pace, Sizes};
use std::sync::Arc;

/// Something that runs tasks. One method is required; a third party's executor is about thirty lines (see the example
/// `custom_executor`).
///
/// Implemented for `Box<dyn Executor>` and `Arc<dyn Executor>`, and deliberately not for `&E`, `Box<E>`, `Arc<E>`: those
/// would make `arc_of_pool.submit(..)` find the trait's `submit`, which takes no closures, before the pool's own.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{InlineExecutor, prelude::*};
///
/// fn total(executor: &dyn Executor, words: Vec<String>) -> Result<usize, concurrent_futures::TaskError> {
///     executor.map(|word: String| word.len(), words).sum()
/// }
///
/// let words = vec!["to".to_string(), "map".to_string()];
/// assert_eq!(total(&ThreadPoolExecutor::new(2), words.clone())?, 5);
/// assert_eq!(total(&InlineExecutor::new(), words)?, 5);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub trait Executor: Send + Sync {
    /// Runs the task, now or later, by calling [`Task::run`]. An executor that can't take the task passes the reason to
    /// [`Task::fail`].
    ///
    /// Each task given to an executor of this crate resolves its future, whatever was done to the task before and whatever
    /// state the executor is in. A task that it has accepted runs, unless it is cancelled or the pool breaks.
    fn execute(&self, task: Task);

    /// Shuts the executor down: tasks that are submitted later are rejected. Returns at once. By default it does nothing.
    fn shutdown(&self, mode: Shutdown) {
        let _ = mode;
    }

    /// The greatest number of tasks that run at once, if there is one. 0 counts as 1.
    fn max_workers(&self) -> Option<usize> {
        None
    }
}

impl Executor for Box<dyn Executor + '_> {
    fn execute(&self, task: Task) {
        (**self).execute(task);
    }

    fn shutdown(&self, mode: Shutdown) {
        (**self).shutdown(mode);
    }

    fn max_workers(&self) -> Option<usize> {
        (**self).max_workers()
    }
}

impl Executor for Arc<dyn Executor + '_> {
    fn execute(&self, task: Task) {
        (**self).execute(task);
    }

    fn shutdown(&self, mode: Shutdown) {
        (**self).shutdown(mode);
    }

    fn max_workers(&self) -> Option<usize> {
        (**self).max_workers()
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}

/// The verbs of every executor. A task is a `fn` or a closure that captures nothing, with an argument and a result of
/// serde types, so that it can run in another process; [`ThreadPoolExecutor`](crate::ThreadPoolExecutor) and [`InlineExecutor`]
/// have verbs of the same names for any closure and any `Send` type.
///
/// No verb panics because of the executor's state, and none blocks, except on a queue bounded by [`WhenFull::Block`]. An
/// executor that is shut down or broken returns a future that has already failed.
///
/// A closure that captures can't be sent:
///
/// ```compile_fail,E0308
/// use concurrent_futures::prelude::*;
///
/// fn run(executor: &dyn Executor) {
///     let k = 3;
///     executor.submit(move |x: u32| x + k, 1).detach(); // captures `k`
/// }
/// ```
///
/// Neither can a borrowed argument:
///
/// ```compile_fail,E0277
/// use concurrent_futures::prelude::*;
///
/// fn run(executor: &dyn Executor, path: &'static std::path::PathBuf) {
///     executor.submit(|p: &std::path::PathBuf| p.as_os_str().len(), path).detach();
/// }
/// ```
pub trait ExecutorExt: Executor {
    /// Submits the call `f(arg)` and returns a future for its result.
    fn submit<A: Portable, R: Portable>(&self, f: fn(A) -> R, arg: A) -> Future<R> {
        let (task, future) = Task::new(f, arg);
        self.execute(task);
        future
    }

    /// [`submit`](ExecutorExt::submit), with options for this task.
    fn submit_with<A: Portable, R: Portable>(
        &self,
        options: TaskOptions,
        f: fn(A) -> R,
        arg: A,
    ) -> Future<R> {
        let (task, future) = Task::new(f, arg);
        self.execute(task.with_options(options));
        future
    }

    /// Submits the call `f(arg)`, which may fail: an `Err` becomes the task's failure, [`TaskError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskError, prelude::*};
    ///
    /// let executor: Box<dyn Executor> = Box::new(ThreadPoolExecutor::new(1));
    /// let good = executor.try_submit(|s: String| s.parse::<u32>(), "7".into());
    /// let bad = executor.try_submit(|s: String| s.parse::<u32>(), "seven".into());
    /// assert_eq!(good.result()?, 7);
    /// assert!(matches!(bad.result(), Err(TaskError::Failed(_))));
    /// # Ok::<(), TaskError>(())
    /// ```
    fn try_submit<A, T, E>(&self, f: fn(A) -> Result<T, E>, arg: A) -> Future<T>
    where
        A: Portable,
        T: Portable,
        E: TaskFailure,
    {
        let (task, future) = Task::fallible(f, arg);
        self.execute(task);
        future
    }

    /// [`try_submit`](ExecutorExt::try_submit), with options for this task.
    fn try_submit_with<A, T, E>(&self, options: TaskOptions, f: fn(A) -> Result<T, E>, arg: A) -> Future<T>
    where
        A: Portable,
        T: Portable,
        E: TaskFailure,
    {
        let (task, future) = Task::fallible(f, arg);
        self.execute(task.with_options(options));
        future
    }

    /// Calls `f` on each item, one task per item, all submitted at once; the results come in the order of the input. For
    /// input that is endless or large, use [`map_with`](ExecutorExt::map_with).
    fn map<A, R, I>(&self, f: fn(A) -> R, input: I) -> Map<R>
    where
        A: Portable,
        R: Portable,
        I: IntoIterator<Item = A>,
    {
        eager(self, input, move |arg| Call { f, arg })
    }

    /// [`map`](ExecutorExt::map) of a function that may fail: each item has its own error.
    fn try_map<A, T, E, I>(&self, f: fn(A) -> Result<T, E>, input: I) -> Map<T>
    where
        A: Portable,
        T: Portable,
        E: TaskFailure,
        I: IntoIterator<Item = A>,
    {
        eager(self, input, move |arg| TryCall { f, arg })
    }

    /// A map that takes its input as results are taken: bounded, in chunks, in either order, as `options` say.
    fn map_with<A, R, I>(&self, options: MapOptions, f: fn(A) -> R, input: I) -> MapWith<'_, I::IntoIter, R>
    where
        A: Portable,
        R: Portable,
        I: IntoIterator<Item = A>,
    {
        let intake = Intake::of_items(&options);
        lazy(self, options, input, intake, move |items, pace| MapCall { f, items, pace })
    }

    /// [`map_with`](ExecutorExt::map_with) of a function that may fail.
    fn try_map_with<A, T, E, I>(
        &self,
        options: MapOptions,
        f: fn(A) -> Result<T, E>,
        input: I,
    ) -> MapWith<'_, I::IntoIter, T>
    where
        A: Portable,
        T: Portable,
        E: TaskFailure,
        I: IntoIterator<Item = A>,
    {
        let intake = Intake::of_items(&options);
        lazy(self, options, input, intake, move |items, pace| TryMapCall { f, items, pace })
    }

    /// [`map_with`](ExecutorExt::map_with) over the results of another map: the next stage of a pipeline. A failed result is
    /// passed on as it is, in its place, and costs no task.
    ///
    /// The map before runs as far ahead as its own options say, while this one does, so both executors are busy at once, and
    /// no more is in memory than the buffers of all stages. Dropping the last map cancels what has not begun in every stage.
    ///
    /// Python has no such method; there a second executor is fed by callbacks or by threads.
    ///
    /// # Examples
    ///
    /// Threads fetch, processes compute:
    ///
    /// ```
    /// use concurrent_futures::{MapOptions, TaskError, prelude::*};
    ///
    /// let threads = ThreadPoolExecutor::new(8);
    /// let processes = ProcessPoolExecutor::new(2);
    ///
    /// let fetch = |name: &str| match name {
    ///     "b" => Err("no such page"),
    ///     name => Ok(name.repeat(3)),
    /// };
    /// let pages = threads.try_map_with(MapOptions::new().buffersize(16), fetch, ["a", "b", "cd"]);
    /// let lengths = processes.then_map_with(MapOptions::new(), |page: String| page.len(), pages);
    ///
    /// let lengths: Vec<Result<usize, TaskError>> = lengths.collect();
    /// assert!(matches!(lengths[..], [Ok(3), Err(TaskError::Failed(_)), Ok(6)]));
    /// ```
    fn then_map_with<A, R, I>(
        &self,
        options: MapOptions,
        f: fn(A) -> R,
        input: I,
    ) -> MapWith<'_, I::IntoIter, R>
    where
        A: Portable,
        R: Portable,
        I: IntoIterator<Item = Result<A, TaskError>>,
    {
        let intake = Intake::of_results(&options);
        lazy(self, options, input, intake, move |items, pace| MapCall { f, items: items.into_ok(), pace })
    }

    /// [`then_map_with`](ExecutorExt::then_map_with) of a function that may fail.
    fn try_then_map_with<A, T, E, I>(
        &self,
        options: MapOptions,
        f: fn(A) -> Result<T, E>,
        input: I,
    ) -> MapWith<'_, I::IntoIter, T>
    where
        A: Portable,
        T: Portable,
        E: TaskFailure,
        I: IntoIterator<Item = Result<A, TaskError>>,
    {
        let intake = Intake::of_results(&options);
        lazy(self, options, input, intake, move |items, pace| TryMapCall { f, items: items.into_ok(), pace })
    }
}

/// Why threads can't honour these options, if they can't.
pub(crate) fn refuse_unsupported(options: &TaskOptions) -> Option<TaskError> {
    options.get_timeout().map(|_| {
        TaskError::Rejected(Rejected::Unsupported(Unsupported::new(
            "a time limit can't be kept on threads, because a running thread can't be ended; \
             wait with `result_timeout`, or let the task look at the clock itself",
        )))
    })
}

fn eager<E, A, R, I, W>(executor: &E, input: I, work: impl Fn(A) -> W) -> Map<R>
where
    E: Executor + ?Sized,
    R: Send + 'static,
    I: IntoIterator<Item = A>,
    W: Work<R> + 'static,
{
    Map::new(input.into_iter().enumerate().map(|(index, arg)| {
        let (task, future) = Task::of_map(work(arg), index);
        executor.execute(task);
        future
    }))
}

fn lazy<'e, E, A, R, I, W>(
    executor: &'e E,
    options: MapOptions,
    input: I,
    intake: Intake<A, R>,
    work: impl Fn(Items<A>, Option<Arc<Pace>>) -> W + Send + 'e,
) -> MapWith<'e, I::IntoIter, R>
where
    E: Executor + ?Sized,
    A: 'static,
    R: Send + 'static,
    I: IntoIterator<Item = A>,
    W: Work<ChunkResults<R>> + 'static,
{
    let workers = executor.max_workers().unwrap_or_else(num_cpus::get);
    let tasks = options.tasks.clone();
    let mut sizes = Sizes::new(&options, workers, false);
    let pace = sizes.measure();
    let submit = move |items: Items<A>, start: usize, meter: Option<Meter>| {
        let len = items.len();
        let (mut task, future) = Task::of_map(work(items, pace.clone()), start..start + len);
        if tasks.is_some() || meter.is_some() {
            task = task.with_options(tasks.clone().unwrap_or_default().metered(meter));
        }
        executor.execute(task);
        Chunk::of(future, len)
    };
    MapWith::new(&options, sizes, input.into_iter(), intake, Box::new(submit))
}
