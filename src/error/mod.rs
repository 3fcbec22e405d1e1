//! Every error that a user meets: what became of a task ([`TaskError`]), of a wait ([`TimedOut`]), of a pool's start
//! ([`BuildError`]).
//!
//! The structs behind [`TaskError`]'s variants are opaque and have constructors, so that an executor written outside
//! this crate can make them and fields can be added later. Messages are lower-case without a final dot, and say what
//! happened, to which task, in which worker, and what to do about it.

mod broken;
mod build;
mod codec;
mod failed;
mod frames;
mod panicked;
mod rejected;
mod task_failure;
mod time_limit;
mod timed_out;
mod whereabouts;
mod worker_died;
mod worker_lost;

pub use broken::Broken;
pub use build::BuildError;
pub use codec::{CodecError, Stage};
pub use failed::Failed;
#[cfg(feature = "process")]
pub(crate) use frames::{Frame, Frames};
pub use panicked::Panicked;
pub use rejected::{Rejected, Unsupported};
pub use task_failure::TaskFailure;
pub use time_limit::TimeLimit;
pub use timed_out::TimedOut;
pub(crate) use whereabouts::Item;
#[cfg(feature = "process")]
pub(crate) use worker_died::ExitCode;
pub use worker_died::WorkerDied;
pub use worker_lost::WorkerLost;

use crate::id::FutureId;
use std::error::Error;
use std::sync::Arc;

/// A boxed error as most crates use it.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why a task has no result.
///
/// Small and cheap to clone, `Send + Sync + 'static`: `?` takes it into `anyhow::Error` and into
/// `Box<dyn Error + Send + Sync>`.
///
/// Python raises the task's own exception and a few of the library's from the same `result()`; here a task's own error
/// is always [`TaskError::Failed`], so it can't be mistaken for one of the pool's, and a wait that ran out of time is
/// another type altogether ([`TimedOut`]).
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, prelude::*};
///
/// let pool = ThreadPoolExecutor::new(1);
/// match pool.submit(|n: u32| 10 / n, 0).result() {
///     Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "attempt to divide by zero"),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// `cancel()` came before the task began.
    #[error("the task was cancelled before it began")]
    Cancelled,
    /// The task itself returned an `Err` (the `try_` verbs).
    #[error(transparent)]
    Failed(Failed),
    /// The task panicked.
    #[error(transparent)]
    Panicked(Panicked),
    /// The task ran longer than its own limit, [`TaskOptions::timeout`](crate::TaskOptions::timeout).
    #[error(transparent)]
    TimeLimit(TimeLimit),
    /// The worker process that ran the task died.
    #[error(transparent)]
    WorkerDied(WorkerDied),
    /// The machine that had the task is no longer heard from. Only executors over several machines return this.
    #[error(transparent)]
    WorkerLost(WorkerLost),
    /// An argument or a result could not be encoded or decoded on its way between processes.
    #[error(transparent)]
    Codec(CodecError),
    /// The pool can't run anything any more.
    #[error(transparent)]
    Broken(Broken),
    /// The executor did not take the task.
    #[error(transparent)]
    Rejected(Rejected),
    /// The [`Promise`](crate::Promise) or [`Task`](crate::Task) that should have produced the result was dropped. Also the
    /// error of a future whose result was taken before, by awaiting `&mut future`.
    #[error("the task or its promise was dropped before it produced a result")]
    Abandoned,
}

impl TaskError {
    /// Names the task, in an error that comes from a process which doesn't know it.
    #[cfg(feature = "process")]
    pub(crate) fn of_task(self, task: FutureId, label: impl FnOnce() -> Option<Arc<str>>) -> Self {
        match self {
            TaskError::Panicked(panic) => TaskError::Panicked(panic.with_task(task, label())),
            TaskError::WorkerDied(died) => TaskError::WorkerDied(died.of_task(task, label())),
            TaskError::WorkerLost(lost) => TaskError::WorkerLost(lost.with_task(task, label())),
            TaskError::TimeLimit(over) => TaskError::TimeLimit(over.of_task(task, label())),
            other => other,
        }
    }

    /// Names the map's item that this error stands in the place of, and its task where the error doesn't yet.
    #[cold]
    pub(crate) fn in_map(self, task: FutureId, label: Option<&Arc<str>>, item: Item) -> Self {
        match self {
            TaskError::Panicked(panic) => TaskError::Panicked(panic.in_map(task, label, item)),
            TaskError::WorkerDied(died) => TaskError::WorkerDied(died.in_map(item)),
            TaskError::WorkerLost(lost) => TaskError::WorkerLost(lost.in_map(item)),
            TaskError::TimeLimit(over) => TaskError::TimeLimit(over.in_map(item)),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Failed, Panicked, Rejected, TaskError, TimedOut};
    use std::error::Error;

    #[test]
    fn a_task_error_is_two_words() {
        assert_eq!(size_of::<TaskError>(), 16);
        assert_eq!(size_of::<Result<(), TaskError>>(), 16);
    }

    #[test]
    fn a_chain_prints_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("load model")]
        struct Outer(#[source] std::io::Error);
        let error = TaskError::Failed(Failed::new(Outer(std::io::Error::other("disk"))));
        assert_eq!(error.to_string(), "load model");
        assert_eq!(error.source().map(|e| e.to_string()), Some("disk".into()));
        let broken = TaskError::Broken(Broken::with_source(
            "its initializer failed",
            Outer(std::io::Error::other("disk")),
        ));
        assert_eq!(broken.to_string(), "the pool is broken: its initializer failed: load model");
        assert_eq!(broken.source().map(|e| e.to_string()), Some("disk".into()));
    }

    #[test]
    fn messages_name_the_task_and_the_worker() {
        let panic = Panicked::new("boom").with_worker("fetch_3").with_location("src/day.rs:7:9");
        let labelled = panic.clone().with_task(crate::id::FutureId::new(), Some("2017-03-23".into()));
        assert_eq!(panic.to_string(), "task in worker fetch_3 panicked at src/day.rs:7:9: boom");
        assert_eq!(
            labelled.to_string(),
            "task `2017-03-23` in worker fetch_3 panicked at src/day.rs:7:9: boom"
        );
        assert!(TaskError::Rejected(Rejected::ShutDown).to_string().contains("shut down"));
        assert_eq!(TimedOut::many((), 2, 4).to_string(), "the wait timed out: 2 of 4 futures unfinished");
    }
}
