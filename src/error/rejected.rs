//! [`Rejected`]: the executor did not take the task.

use std::fmt;
use std::sync::Arc;

/// The executor did not take the task; nothing of it ran.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// `shutdown` came first.
    #[error("the task was rejected: the executor is shut down")]
    ShutDown,
    /// The bounded queue is full ([`WhenFull::Reject`](crate::WhenFull::Reject)).
    #[error(
        "the task was rejected: the queue is full; submit again later, or bound the queue with WhenFull::Block"
    )]
    Full,
    /// The executor runs tasks elsewhere, and this one can only run in its own process.
    #[error(
        "the task was rejected: it can't leave this process; submit a `fn` and a serde argument instead of a closure"
    )]
    NotPortable,
    /// Its argument went into a parcel for good ([`Task::encode_once`](crate::Task::encode_once)), so that it can neither run in
    /// this process nor be encoded again.
    #[error(
        "the task was rejected: its argument was moved into a parcel, and only the parcel can be run now"
    )]
    Encoded,
    /// The parcel came from another build of the program.
    #[error(
        "the task was rejected: it comes from another build of the program; run the same executable at both ends"
    )]
    ForeignBuild,
    /// The executor can't honour one of the task's options.
    #[error("the task was rejected: {0}")]
    Unsupported(Unsupported),
    /// Only a thread whose stack is nearly spent could have run it, inside the tasks or callbacks that it runs already:
    /// the one that submits it ([`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns),
    /// [`InlineExecutor`](crate::InlineExecutor), [`Task::run`](crate::Task::run)), or a worker that waits for it when no
    /// further thread can be had.
    #[error(
        "the task was rejected: it could only run inside other tasks on a thread whose stack is nearly spent; \
         nest tasks less deeply, or give that thread a larger stack"
    )]
    StackSpent,
}

/// Which option can't be honoured, and why.
#[derive(Debug, Clone)]
pub struct Unsupported(Arc<String>);

impl Unsupported {
    /// An option refused for this reason.
    pub fn new(reason: &str) -> Self {
        Unsupported(Arc::new(reason.to_owned()))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
