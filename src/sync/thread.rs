//! Threads of the standard library.

pub(crate) use std::thread::{Builder, JoinHandle};

/// Whether a thread's stack is where the system says.
pub(crate) const HAVE_STACKS_OF_THE_SYSTEM: bool = true;

pub(crate) fn is_finished<T>(handle: &JoinHandle<T>) -> bool {
    handle.is_finished()
}
