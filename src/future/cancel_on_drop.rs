//! [`CancelOnDrop`]: a future that takes its task with it.

use super::Future;
use crate::error::TaskError;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose task is cancelled when this is dropped, by [`Future::cancel_on_drop`]: for async code, where a branch that lost a
/// `select!`, a time-out and a client that went away all mean that a future is dropped.
///
/// A task that has begun is asked to stop ([`Future::ask_to_stop`]); or it is killed, where it can be and this was asked for by
/// [`or_kill`](CancelOnDrop::or_kill).
#[derive(Debug)]
#[must_use = "dropping this cancels the task"]
pub struct CancelOnDrop<T> {
    /// None once it is taken out.
    future: Option<Future<T>>,
    kills: bool,
}

impl<T> Future<T> {
    /// Cancels the task when the future that this returns is dropped, or asks it to stop if it has begun. Without this, dropping
    /// a future lets its task run.
    ///
    /// asyncio's `wrap_future` does the same for a task that is awaited and cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let (gate, opened) = std::sync::mpsc::channel::<()>();
    /// let running = pool.spawn(move || opened.recv());
    /// let queued = pool.spawn(|| 1).cancel_on_drop();
    /// drop(queued); // a time-out, say
    /// assert_eq!(pool.stats().cancelled, 1);
    /// # drop(gate); let _ = running.result();
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop { future: Some(self), kills: false }
    }
}

impl<T> CancelOnDrop<T> {
    /// Ends also a task that has begun, with its worker process, as [`Future::kill`] does; where that can't be done, as on threads, it
    /// is asked to stop.
    pub fn or_kill(mut self) -> Self {
        self.kills = true;
        self
    }

    /// The future itself, whose drop cancels nothing.
    ///
    /// # Panics
    ///
    /// If it has been polled to its end.
    pub fn into_inner(mut self) -> Future<T> {
        self.future.take().expect("its result was given already")
    }
}

impl<T> std::future::Future for CancelOnDrop<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    ///
    /// If it is polled again after it gave its result, as futures do.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.future.as_mut().expect("a future was polled after it gave its result");
        let polled = Pin::new(future).poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            let _ = (self.kills && future.kill()) || future.ask_to_stop();
        }
    }
}
