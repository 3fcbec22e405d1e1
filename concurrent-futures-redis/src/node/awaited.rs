//! [`when_done`]: the end of a task in the local pool, told on the thread that resolves it.
//!
//! A done-callback would be called by one more thread of the pool, since it may do anything and take any time. A waker is woken
//! at once. What is told here is quick, and saves each task a change of threads.

use concurrent_futures::remote::Reply;
use concurrent_futures::{Future, TaskError};
use parking_lot::Mutex;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A future, and who is told of its end.
struct Awaited<F> {
    open: Mutex<Option<(Future<Reply>, F)>>,
}

/// Has `tell` called once with the outcome. It must not block.
pub(super) fn when_done<F>(future: Future<Reply>, tell: F)
where
    F: FnOnce(Result<Reply, TaskError>) + Send + 'static,
{
    Arc::new(Awaited { open: Mutex::new(Some((future, tell))) }).wake();
}

impl<F: FnOnce(Result<Reply, TaskError>) + Send + 'static> Wake for Awaited<F> {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut open = self.open.lock();
        let Some((future, _)) = &mut *open else { return };
        let Poll::Ready(outcome) = Pin::new(future).poll(&mut Context::from_waker(&waker)) else { return };
        let closed = open.take();
        drop(open);
        if let Some((_, tell)) = closed {
            tell(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::when_done;
    use concurrent_futures::remote::Reply;
    use concurrent_futures::{Future, TaskError, promise};
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn an_end_is_told_once_by_the_thread_that_resolves() {
        let (promise, future): (_, Future<Reply>) = promise();
        let (sender, told) = mpsc::channel();
        when_done(future, move |outcome| sender.send((outcome.is_err(), thread::current().id())).unwrap());
        assert!(told.try_recv().is_err(), "it has not ended");
        let resolver = thread::spawn(move || {
            promise.set_exception(TaskError::Cancelled);
            thread::current().id()
        });
        assert_eq!(told.recv().ok(), Some((true, resolver.join().unwrap())));
        assert!(told.recv().is_err(), "nothing of it is left");
    }

    #[test]
    fn what_has_ended_is_told_at_once() {
        let (promise, future): (_, Future<Reply>) = promise();
        drop(promise);
        let (sender, told) = mpsc::channel();
        when_done(future, move |outcome| sender.send(outcome.is_err()).unwrap());
        assert_eq!(told.try_recv().ok(), Some(true));
    }
}
