//! [`WhenFull`]: what a submit does when the queue is full.

/// What a submit does when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum WhenFull {
    /// Waits for a place. A worker that submits to its own pool counts as blocked meanwhile, so it can't deadlock.
    Block,
    /// Gives back a future that failed with [`Rejected::Full`](crate::Rejected::Full).
    Reject,
    /// Runs the task on the submitting thread, which slows down a thread that submits too fast. The thread doesn't become a
    /// worker by it: no initializer, no name, and locks that it holds stay held. A task that runs so and submits may
    /// have to run the next inside itself: where those have nearly spent the thread's stack, the next fails with
    /// [`Rejected::StackSpent`](crate::Rejected::StackSpent).
    CallerRuns,
}
