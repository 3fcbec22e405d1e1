//! [`CancelHandle`]: cancelling from elsewhere.

use super::cell::{self, Entry};
use crate::id::FutureId;
use std::fmt;

/// Cancels a task without holding its future: the owner may be waiting in `result()` meanwhile.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, promise};
///
/// let (promise, future) = promise::<u32>();
/// let handle = future.cancel_handle();
/// std::thread::spawn(move || handle.cancel());
/// assert!(matches!(future.result(), Err(TaskError::Cancelled)));
/// # drop(promise);
/// ```
#[derive(Clone)]
pub struct CancelHandle {
    cell: Entry,
}

impl CancelHandle {
    pub(crate) fn new(cell: Entry) -> Self {
        CancelHandle { cell }
    }

    /// As [`Future::cancel`](crate::Future::cancel).
    pub fn cancel(&self) -> bool {
        cell::cancel(&*self.cell)
    }

    /// As [`Future::kill`](crate::Future::kill).
    pub fn kill(&self) -> bool {
        cell::kill(&*self.cell)
    }

    /// Which task it cancels.
    pub fn id(&self) -> FutureId {
        self.cell.header().id
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}
