//! [`BuildError`]: a pool that can't be built.

#[cfg(feature = "process")]
use std::fmt;

/// Why `build()` refused, or `set_max_workers`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_workers(0)`, or `set_max_workers(0)`.
    #[error("a pool needs at least one worker: max_workers is 0")]
    NoWorkers,
    /// `queue_capacity(0, ..)`.
    #[error("a bounded queue needs room for at least one task: queue_capacity is 0")]
    NoCapacity,
    /// `max_tasks_per_child(0)`.
    #[error("a worker must run at least one task: max_tasks_per_child is 0")]
    NoTasks,
    /// An option has a value that nothing can be done with.
    #[error("{option} can't be {value}: {why}")]
    #[non_exhaustive]
    Invalid {
        /// The builder's method.
        option: &'static str,
        /// What it was given, the beginning of a long one.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The initializer's argument can't be sent to the workers.
    #[error("the initializer can't be sent to the workers: {0}")]
    Initializer(String),
    /// The argument of the hook that workers call before they leave can't be sent to them.
    #[error("the on-exit hook can't be sent to the workers: {0}")]
    OnExit(String),
    /// The platform or this program's start doesn't allow it.
    #[error("this executor can't be used here: {0}")]
    Unsupported(String),
}

impl BuildError {
    #[cfg(feature = "process")]
    pub(crate) fn invalid(option: &'static str, value: impl fmt::Debug, why: impl fmt::Display) -> Self {
        /// A value may be of any length; its beginning says which it is.
        const MOST: usize = 100;
        let text = format!("{value:?}");
        let mut value: String = text.chars().take(MOST).collect();
        if value.len() < text.len() {
            value.push_str("..");
        }
        BuildError::Invalid { option, value, why: why.to_string() }
    }
}
