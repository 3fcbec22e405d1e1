//! [`SharedFuture`]: one result for many readers.

use super::cell::{AnyCell, Entry};
use super::waiting::{self, Watched};
use super::watchers::{WakerKey, drop_waker, new_waker_key};
use super::{Completion, Future, State, callback, debug};
use crate::error::{TaskError, TimedOut};
use crate::id::FutureId;
use crate::sync::OnceLock;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A future that can be cloned: every clone reads the same result, in place. Equality and hash go by identity, as in
/// Python; [`FutureId`] makes a key that nobody can change.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(1);
/// let shared = pool.spawn(|| String::from("ready")).shared();
/// let same = shared.clone();
/// assert_eq!(shared, same);
/// assert_eq!(same.result()?, "ready");
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub struct SharedFuture<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    source: Future<T>,
    /// Moved out of the cell by the first reader.
    value: OnceLock<Result<T, TaskError>>,
}

impl<T> SharedFuture<T> {
    pub(crate) fn new(source: Future<T>) -> Self {
        SharedFuture { inner: Arc::new(Inner { source, value: OnceLock::new() }) }
    }

    /// As [`Future::id`].
    pub fn id(&self) -> FutureId {
        self.inner.source.id()
    }

    /// As [`Future::state`].
    pub fn state(&self) -> State {
        self.inner.source.state()
    }

    /// As [`Future::is_done`].
    pub fn is_done(&self) -> bool {
        self.inner.source.is_done()
    }

    /// As [`Future::is_running`].
    pub fn is_running(&self) -> bool {
        self.inner.source.is_running()
    }

    /// As [`Future::is_cancelled`].
    pub fn is_cancelled(&self) -> bool {
        self.inner.source.is_cancelled()
    }

    /// As [`Future::cancel`].
    pub fn cancel(&self) -> bool {
        self.inner.source.cancel()
    }

    /// As [`Future::ask_to_stop`].
    pub fn ask_to_stop(&self) -> bool {
        self.inner.source.ask_to_stop()
    }

    /// As [`Future::kill`].
    pub fn kill(&self) -> bool {
        self.inner.source.kill()
    }

    /// As [`Future::wait`]. Blocks the thread.
    pub fn wait(&self) {
        self.inner.source.wait();
    }

    /// As [`Future::wait_timeout`]. Blocks the thread.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.inner.source.wait_timeout(timeout)
    }

    /// As [`Future::exception`]. Blocks the thread.
    pub fn exception(&self) -> Option<TaskError> {
        self.inner.source.exception()
    }

    /// As [`Future::exception_timeout`]. Blocks the thread.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if the task is not done by then.
    pub fn exception_timeout(&self, timeout: Duration) -> Result<Option<TaskError>, TimedOut<()>> {
        self.inner.source.exception_timeout(timeout)
    }

    /// Waits until the task is done and lends its result. Blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`Future::result`]; each caller gets its own clone of the error.
    pub fn result(&self) -> Result<&T, TaskError> {
        match self.inner.source.exception() {
            Some(error) => Err(error),
            None => self.read(),
        }
    }

    /// [`result`](SharedFuture::result), until the time is up.
    ///
    /// # Errors
    ///
    /// The outer error is this wait's, the inner one the task's.
    pub fn result_timeout(&self, timeout: Duration) -> Result<Result<&T, TaskError>, TimedOut<()>> {
        Ok(match self.inner.source.exception_timeout(timeout)? {
            Some(error) => Err(error),
            None => self.read(),
        })
    }

    /// The result, of a task that is done.
    fn read(&self) -> Result<&T, TaskError> {
        self.inner.value.get_or_init(|| self.inner.source.take()).as_ref().map_err(TaskError::clone)
    }
}

impl<T: Send + Sync + 'static> SharedFuture<T> {
    /// As [`Future::add_done_callback`], with the future itself, whose result can be read there.
    pub fn add_done_callback(&self, f: impl FnOnce(&SharedFuture<T>) + Send + 'static) {
        let this = self.clone();
        let boxed: callback::Callback = Box::new(move |_: &Completion| f(&this));
        if let Err(boxed) = self.inner.source.any().add_to_crowd(boxed, |crowd, f| crowd.callbacks.push(f)) {
            callback::run_all(vec![boxed], &Completion::new(self.id(), self.inner.source.error()));
        }
    }
}

impl<T> Clone for SharedFuture<T> {
    fn clone(&self) -> Self {
        SharedFuture { inner: self.inner.clone() }
    }
}

impl<T> PartialEq for SharedFuture<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl<T> Eq for SharedFuture<T> {}

impl<T> Hash for SharedFuture<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<T> fmt::Debug for SharedFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "SharedFuture", std::any::type_name::<T>(), self.inner.source.any())
    }
}

impl<T> Watched for SharedFuture<T> {
    fn cell(&self) -> &dyn AnyCell {
        self.inner.source.any()
    }

    fn entry(&self) -> Entry {
        self.inner.source.entry()
    }
}

/// `(&shared).await` lends the result.
impl<'a, T: Sync> IntoFuture for &'a SharedFuture<T> {
    type Output = Result<&'a T, TaskError>;
    type IntoFuture = SharedWait<'a, T>;

    fn into_future(self) -> SharedWait<'a, T> {
        SharedWait { future: self, key: new_waker_key() }
    }
}

/// What awaiting a `&SharedFuture` polls.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct SharedWait<'a, T> {
    future: &'a SharedFuture<T>,
    key: WakerKey,
}

impl<'a, T> std::future::Future for SharedWait<'a, T> {
    type Output = Result<&'a T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (source, key) = (&self.future.inner.source, self.key);
        if !source.is_done() {
            let waker = waiting::awaits(self.future, cx.waker());
            match source.any().add_to_crowd(waker, |crowd, waker| crowd.set_waker(key, waker)) {
                Ok(old) => {
                    drop_waker(source.any(), old);
                    return Poll::Pending;
                }
                Err(resolved_meanwhile) => drop_waker(source.any(), Some(resolved_meanwhile)),
            }
        }
        Poll::Ready(match source.error() {
            Some(error) => Err(error),
            None => self.future.read(),
        })
    }
}

impl<T> Drop for SharedWait<'_, T> {
    fn drop(&mut self) {
        let source = &self.future.inner.source;
        if !source.is_done() {
            let waker = source.any().take_from_crowd(|crowd| crowd.remove_waker(self.key));
            drop_waker(source.any(), waker);
        }
    }
}
