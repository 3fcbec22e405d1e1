//! [`Remaining`]: futures that are cancelled when they are no longer wanted.

use crate::future::Future;
use std::collections::VecDeque;

/// In the order in which they were submitted.
pub(super) struct Remaining<F: Cancel>(pub(super) VecDeque<F>);

/// What can be cancelled.
pub(super) trait Cancel {
    fn cancel(&self);
}

impl<T> Cancel for Future<T> {
    fn cancel(&self) {
        Future::cancel(self);
    }
}

impl<F: Cancel> Remaining<F> {
    /// Cancels and drops all of them.
    pub(super) fn give_up(&mut self) {
        self.0.iter().for_each(F::cancel);
        self.0.clear();
    }
}

impl<F: Cancel> Drop for Remaining<F> {
    fn drop(&mut self) {
        self.give_up();
    }
}
