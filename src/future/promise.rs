//! [`Promise`]: the writing end of a future.

use super::Future;
use super::cell::{Cell, Source};
use super::pointer::Pointer;
use super::publish::{fail_claimed, own, publish_here};
use super::state::Phase;
use crate::error::TaskError;
use std::fmt;

/// A promise and its future: what one thread sets, another waits for, with no executor between them.
///
/// # Examples
///
/// ```
/// let (promise, future) = concurrent_futures::promise();
/// std::thread::spawn(move || promise.set_result(6 * 7));
/// assert_eq!(future.result()?, 42);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub fn promise<T: Send + 'static>() -> (Promise<T>, Future<T>) {
    let [written, read] = Cell::promised();
    (Promise { cell: Some(written) }, Future::from_cell(read))
}

/// The writing end of a [`Future`]; dropped without a result, it resolves the future as
/// [`Abandoned`](TaskError::Abandoned), so nobody waits for ever.
///
/// Setting a result consumes the promise: what Python raises as `InvalidStateError`, a second result, doesn't compile.
///
/// ```compile_fail,E0382
/// let (promise, _future) = concurrent_futures::promise();
/// promise.set_result(1);
/// promise.set_result(2);
/// ```
#[must_use = "a promise that is dropped resolves its future as abandoned"]
pub struct Promise<T> {
    cell: Option<Pointer<dyn Source<T>>>,
}

impl<T> Promise<T> {
    /// Marks the future as running, after which it can't be cancelled any more. False if it was cancelled first: then
    /// there is nothing to do. Python's `set_running_or_notify_cancel`.
    ///
    /// # Examples
    ///
    /// ```
    /// let (promise, future) = concurrent_futures::promise::<u32>();
    /// assert!(future.cancel());
    /// assert!(!promise.start());
    /// ```
    pub fn start(&self) -> bool {
        own(self.cell())
    }

    /// Whether the future was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cell().header().word.load().phase(), Phase::Cancelled | Phase::Cancelling)
    }

    /// Gives the result. False if the future was cancelled first; the value is dropped then.
    pub fn set_result(self, value: T) -> bool {
        self.resolve(Ok(value))
    }

    /// Gives an error in place of a result. False if the future was cancelled first.
    pub fn set_exception(self, error: TaskError) -> bool {
        self.resolve(Err(error))
    }

    fn resolve(mut self, outcome: Result<T, TaskError>) -> bool {
        let cell = self.cell.take().expect("resolved by value");
        let won = own(&*cell);
        if won {
            let phase = cell.put(outcome);
            publish_here(&*cell, Phase::Running, phase);
        }
        won
    }

    fn cell(&self) -> &dyn Source<T> {
        &**self.cell.as_ref().expect("resolved by value")
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take()
            && own(&*cell)
        {
            // Both ends given up: nobody lost anything.
            if cell.header().word.load().is_unwanted() {
                cell.header().word.mark_seen();
            }
            fail_claimed(&*cell, TaskError::Abandoned);
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cell {
            Some(cell) => f.debug_struct("Promise").field("id", &cell.header().id).finish_non_exhaustive(),
            None => f.write_str("Promise"),
        }
    }
}
