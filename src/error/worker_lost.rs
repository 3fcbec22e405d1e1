//! [`WorkerLost`]: the machine that had the task is no longer heard from.

use super::whereabouts::{Item, Whereabouts};
use crate::id::FutureId;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The machine that had begun the task, or may have begun it, is no longer heard from. Whether the task ran to its end is
/// not known.
///
/// Only executors that run tasks on other machines return this. The death of a worker process that was noticed there is
/// [`WorkerDied`](crate::WorkerDied).
///
/// # Examples
///
/// ```
/// use concurrent_futures::WorkerLost;
/// use std::time::Duration;
///
/// let lost = WorkerLost::new("node-7").with_silence(Duration::from_secs(30));
/// assert_eq!(
///     lost.to_string(),
///     "node node-7, which had the task, was not heard from for 30s: whether the task ran to its end is not known"
/// );
/// ```
#[derive(Debug, Clone)]
pub struct WorkerLost(Arc<WorkerLostInner>);

#[derive(Debug, Clone)]
struct WorkerLostInner {
    node: String,
    silent_for: Option<Duration>,
    cause: Option<String>,
    at: Whereabouts,
}

impl WorkerLost {
    /// A loss of the node of this name.
    pub fn new(node: impl Into<String>) -> Self {
        let at = Whereabouts::default();
        WorkerLost(Arc::new(WorkerLostInner { node: node.into(), silent_for: None, cause: None, at }))
    }

    /// Adds how long nothing had been heard from it.
    #[must_use]
    pub fn with_silence(mut self, silent_for: Duration) -> Self {
        Arc::make_mut(&mut self.0).silent_for = Some(silent_for);
        self
    }

    /// Adds what most likely happened.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(cause.into());
        self
    }

    /// Adds which task it had, and its label if it has one.
    #[must_use]
    pub fn with_task(mut self, task: FutureId, label: Option<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.of_task(task, label);
        self
    }

    /// As [`TaskError::in_map`](super::TaskError::in_map).
    pub(super) fn in_map(mut self, item: Item) -> Self {
        Arc::make_mut(&mut self.0).at.in_map(item);
        self
    }

    /// The name of the node. If it is not known which one had the task, a text that says so.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// How long nothing had been heard from it, at least.
    pub fn silent_for(&self) -> Option<Duration> {
        self.0.silent_for
    }

    /// What most likely happened.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The id of the task.
    pub fn task(&self) -> Option<FutureId> {
        self.0.at.task
    }

    /// The label of the task.
    pub fn label(&self) -> Option<&str> {
        self.0.at.label.as_deref()
    }

    /// The place in the map's input of the item that has no result because of this, from 0, if the task was one of a
    /// map.
    pub fn item(&self) -> Option<usize> {
        self.0.at.item.map(|item| item.index)
    }
}

impl fmt::Display for WorkerLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}, which had ", self.0.node)?;
        match self.0.at.task {
            Some(_) => write!(f, "{}", self.0.at)?,
            None => f.write_str("the task")?,
        }
        match self.0.silent_for {
            Some(silence) => write!(f, ", was not heard from for {silence:?}")?,
            None => f.write_str(", was lost")?,
        }
        f.write_str(": whether the task ran to its end is not known")?;
        match &self.0.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl Error for WorkerLost {}
