//! [`TimeLimit`]: the task ran longer than its own limit.

use super::frames::Frames;
use super::whereabouts::{Item, Whereabouts};
use crate::id::FutureId;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The task ran longer than its own limit and was stopped. A wait that ran out of time is [`TimedOut`](crate::TimedOut), not this.
///
/// # Examples
///
/// ```
/// use concurrent_futures::TimeLimit;
/// use std::time::Duration;
///
/// let over = TimeLimit::new(Duration::from_secs(2));
/// assert_eq!(over.to_string(), "task ran longer than its limit of 2s and was stopped");
/// ```
#[derive(Debug, Clone)]
pub struct TimeLimit(Arc<TimeLimitInner>);

#[derive(Debug, Clone)]
struct TimeLimitInner {
    limit: Duration,
    at: Whereabouts,
    frames: Option<Arc<Frames>>,
}

impl TimeLimit {
    /// A task stopped after `limit`.
    pub fn new(limit: Duration) -> Self {
        TimeLimit(Arc::new(TimeLimitInner { limit, at: Whereabouts::default(), frames: None }))
    }

    /// Adds which task it was, its label if it has one, and the worker's name.
    #[must_use]
    pub fn with_task(mut self, task: FutureId, label: Option<Arc<str>>, worker: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.set(task, label, worker.into());
        self
    }

    /// Adds the stack of the task, as text.
    #[must_use]
    pub fn with_backtrace(mut self, backtrace: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).frames = Some(Arc::new(Frames::of_text(backtrace.into())));
        self
    }

    /// Adds the stack of the task, to whose frames names are given when they are asked for.
    #[cfg(feature = "process")]
    pub(crate) fn with_frames(mut self, frames: Frames) -> Self {
        Arc::make_mut(&mut self.0).frames = Some(Arc::new(frames));
        self
    }

    #[cfg(feature = "process")]
    pub(crate) fn with_worker(mut self, worker: String) -> Self {
        Arc::make_mut(&mut self.0).at.worker = Some(worker.into());
        self
    }

    /// Names the task where another process, which doesn't know it, could not.
    #[cfg(feature = "process")]
    pub(crate) fn of_task(mut self, task: FutureId, label: Option<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.of_task(task, label);
        self
    }

    /// As [`TaskError::in_map`](super::TaskError::in_map).
    pub(super) fn in_map(mut self, item: Item) -> Self {
        Arc::make_mut(&mut self.0).at.in_map(item);
        self
    }

    /// The limit that the task was given.
    pub fn limit(&self) -> Duration {
        self.0.limit
    }

    /// Where the task was when its time was over: its stack, the innermost frame first, as a text of several lines. With
    /// feature `backtrace`, on Linux; `None` without, and where the worker did not answer within 50 ms, because it was
    /// stopped, or its task blocked all signals or had set a handler of its own for SIGURG.
    ///
    /// The first call puts names to addresses, as that of [`WorkerDied::backtrace`](crate::WorkerDied::backtrace) does.
    pub fn backtrace(&self) -> Option<&str> {
        self.0.frames.as_ref().map(|frames| frames.text())
    }

    /// The id of the task.
    pub fn task(&self) -> Option<FutureId> {
        self.0.at.task
    }

    /// The label of the task.
    pub fn label(&self) -> Option<&str> {
        self.0.at.label.as_deref()
    }

    /// The name of the worker that ran the task.
    pub fn worker(&self) -> Option<&str> {
        self.0.at.worker.as_deref()
    }

    /// The place in the map's input of the item that has no result because of this, from 0, if the task was one of a
    /// map. The items of a chunk share a limit, and which of them ran when it was reached is not known.
    pub fn item(&self) -> Option<usize> {
        self.0.at.item.map(|item| item.index)
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ran longer than its limit of {:?} and was stopped", self.0.at, self.0.limit)
    }
}

impl Error for TimeLimit {}
