//! [`TaskSpan`]: each task as a span of `tracing`, where that feature is on. Without it, nothing.
//!
//! The span is opened by whoever hands the task to an executor, so its parent is that thread's current span. It is entered
//! while a thread of this process runs the task, and closed before the task's end can be seen: a subscriber that measures
//! spans sees as idle time for how long the task was queued. No thread of this process runs a task of a pool of processes: its
//! span is not entered, and says at its end what is known.
//!
//! The subscriber is the user's code: it is called inside `contain` and with no lock held.

#[cfg(not(feature = "tracing"))]
mod none;
#[cfg(feature = "tracing")]
mod some;

#[cfg(not(feature = "tracing"))]
use none as chosen;
#[cfg(feature = "tracing")]
use some as chosen;

pub(crate) use chosen::TaskSpan;
#[cfg(feature = "process")]
pub(crate) use chosen::is_wanted;

/// What there is to say of a task that a worker process has run.
#[cfg(feature = "process")]
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "it is said to nobody"))]
pub(crate) struct Ran<'a> {
    pub(crate) worker: &'a str,
    pub(crate) attempt: u32,
    pub(crate) began: Option<std::time::Instant>,
}
