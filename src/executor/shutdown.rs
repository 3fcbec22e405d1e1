//! [`Shutdown`]: what becomes of the queue, and of what runs.

/// What becomes of the queue when an executor shuts down. What runs is never interrupted; it can be asked to stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Shutdown {
    /// What is queued still runs.
    #[default]
    Drain,
    /// What is queued is cancelled, and every wait for it ends.
    CancelQueued,
    /// As [`CancelQueued`](Shutdown::CancelQueued), and each task that runs finds
    /// [`should_stop`](crate::Current::should_stop) true. Where those are out of reach, on a `RedisExecutor`, it is
    /// `CancelQueued`.
    Stop,
}
