//! [`Shutdown`]: what becomes of the queue.

/// What becomes of the queue when an executor shuts down. What runs is never interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Shutdown {
    /// What is queued still runs.
    #[default]
    Drain,
    /// What is queued is cancelled, and every wait for it ends.
    CancelQueued,
}
