//! [`WarmUp`]: workers that are to be up, and the future that says when they are.

use crate::error::TaskError;
use crate::future::{Future, Promise, promise};
use crate::sync::plain::Mutex;
use std::sync::Arc;

/// Each worker that is awaited has it until it is up or given up. The last to let go of it resolves the future, and whatever
/// hangs on that runs there: so no lock is held then.
pub(crate) struct WarmUp {
    promise: Mutex<Option<Promise<()>>>,
    error: Mutex<Option<TaskError>>,
}

impl WarmUp {
    pub(crate) fn new() -> (Arc<Self>, Future<()>) {
        let (promise, future) = promise();
        (Arc::new(WarmUp { promise: Mutex::new(Some(promise)), error: Mutex::default() }), future)
    }

    /// Not all of them will be up. The first reason counts.
    pub(crate) fn fail(&self, error: TaskError) {
        let mut first = self.error.lock();
        if first.is_none() {
            *first = Some(error);
            return;
        }
        drop(first);
        drop(error);
    }
}

impl Drop for WarmUp {
    fn drop(&mut self) {
        let (promise, error) = (self.promise.lock().take(), self.error.lock().take());
        let Some(promise) = promise else { return };
        match error {
            None => promise.set_result(()),
            Some(error) => promise.set_exception(error),
        };
    }
}
