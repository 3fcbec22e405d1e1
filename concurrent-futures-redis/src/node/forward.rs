//! The one place where another process's parcel becomes a task of this one.

use concurrent_futures::remote::Reply;
use concurrent_futures::{Future, Parcel, Task};

/// A task that runs the parcel in a worker of the local pool.
pub(super) fn forward(parcel: Parcel) -> (Task, Future<Reply>) {
    // SAFETY: the key that it was read from names this build, the parcel names it too, and whoever can write to the queue is
    // trusted to run any code of the program: that is what a queue is.
    unsafe { Task::forward(parcel) }
}
