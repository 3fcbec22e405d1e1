//! How the scheduler treats a thread.

/// What a worker has of the thread that starts it: nothing. A process inherits its class of priority and its processors from
/// the process that starts it, whichever thread that is.
#[derive(Default)]
pub(crate) struct Standing;

impl Standing {
    pub(crate) fn of_this_thread() -> Self {
        Standing
    }

    pub(crate) fn assume(&self) {}
}
