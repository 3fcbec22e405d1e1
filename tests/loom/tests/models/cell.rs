//! One result and who wants it: the end of a task against everything its handles can do meanwhile.

use crate::support::{Counted, count, explore, pool, thread};
use concurrent_futures::{TaskError, current, promise};
use loom::sync::atomic::{AtomicBool as LoomBool, Ordering::Relaxed};
use loom::sync::{Condvar, Mutex};
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Breaks if a watch marks the word before it has added its entry, or if publishing looks at the watchers before it has
/// changed the word: the waiter sleeps for ever.
#[test]
fn publish_against_watch() {
    explore("publish against watch", 3, || {
        let (promise, future) = promise();
        let waiter = thread(move || future.result());
        assert!(promise.set_result(7));
        assert_eq!(waiter.join().expect("no panic").expect("a result"), 7);
    });
}

/// Breaks if the phase is published or read without Release and Acquire: what the task wrote is not there yet.
#[test]
fn what_the_task_did_is_seen() {
    explore("what the task did is seen", 3, || {
        let written = Arc::new(LoomBool::new(false));
        let (promise, future) = promise();
        let seen = written.clone();
        let waiter = thread(move || {
            if future.is_done() {
                assert!(seen.load(Relaxed));
            }
            future.wait();
            assert!(seen.load(Relaxed));
        });
        // Claimed before: the claim's own Release would carry the store.
        assert!(promise.start());
        written.store(true, Relaxed);
        promise.set_result(());
        waiter.join().expect("no panic");
    });
}

/// Breaks if taking an entry back and telling it don't exclude each other, or if a wait leaves before it has.
#[test]
fn publish_against_unwatch() {
    explore("publish against unwatch", 2, || {
        let (first, a) = promise();
        let (second, b) = promise();
        let one = thread(move || first.set_result(1));
        let two = thread(move || second.set_result(2));
        let waited = concurrent_futures::wait([&a, &b], concurrent_futures::ReturnWhen::FirstCompleted);
        assert!(!waited.done.is_empty());
        assert_eq!((a.result().expect("a"), b.result().expect("b")), (1, 2));
        assert!(one.join().expect("no panic") && two.join().expect("no panic"));
    });
}

/// Breaks if claim and cancel are not one compare-and-swap each: both win, or the value is dropped twice or never.
#[test]
fn publish_against_cancel() {
    explore("publish against cancel", 3, || {
        let (value, drops) = Counted::new();
        let (promise, future) = promise();
        let resolver = thread(move || promise.set_result(value));
        let cancelled = future.cancel();
        let outcome = future.result();
        assert_eq!(matches!(outcome, Err(TaskError::Cancelled)), cancelled);
        assert_eq!(resolver.join().expect("no panic"), !cancelled);
        drop(outcome);
        assert_eq!(count(&drops), 1);
    });
}

/// Breaks if the end of a task in one step overlooks that it was asked meanwhile (its result would be lost, or its pointer), or if
/// a task that finds itself asked doesn't see what was done before.
#[test]
fn publish_against_ask() {
    explore("publish against ask", 2, || {
        let pool = pool(1);
        let written = Arc::new(LoomBool::new(false));
        let seen = written.clone();
        let future = pool.spawn(move || {
            let is_asked = current().expect("a task").should_stop();
            assert!(!is_asked || seen.load(Relaxed));
            is_asked
        });
        written.store(true, Relaxed);
        let could_ask = future.ask_to_stop();
        match future.result() {
            Ok(was_asked) => assert!(could_ask || !was_asked),
            Err(error) => assert!(could_ask && matches!(error, TaskError::Cancelled)),
        }
    });
}

/// Breaks if a cancelled task's waits are told before it is cancelled, or not at all.
#[test]
fn cancel_against_wait() {
    explore("cancel against wait", 3, || {
        let (promise, future) = promise::<u32>();
        let handle = future.cancel_handle();
        let waiter = thread(move || future.result());
        assert!(handle.cancel());
        assert!(matches!(waiter.join().expect("no panic"), Err(TaskError::Cancelled)));
        assert!(promise.is_cancelled() && !promise.set_result(1));
    });
}

/// Two that cancel: both say true, and only once the work is gone.
#[test]
fn two_cancel() {
    explore("two cancel", 3, || {
        let (promise, future) = promise::<u32>();
        let handle = future.cancel_handle();
        let other = thread(move || handle.cancel());
        assert!(future.cancel());
        assert!(other.join().expect("no panic"));
        assert!(future.is_cancelled() && !promise.start());
    });
}

/// Breaks if the drop of a future and the end of its task both think that the value is the other's, or both their own.
#[test]
fn publish_against_drop_of_the_future() {
    explore("publish against drop of the future", 3, || {
        let (value, drops) = Counted::new();
        let (promise, future) = promise();
        // Keeps the cell: the value must go all the same.
        let _handle = future.cancel_handle();
        let resolver = thread(move || promise.set_result(value));
        drop(future);
        assert!(resolver.join().expect("no panic"));
        assert_eq!(count(&drops), 1);
    });
}

/// Breaks as `publish_against_watch` does: the callback runs never, or twice.
#[test]
fn publish_against_callback() {
    explore("publish against callback", 3, || {
        let calls = Arc::new(AtomicUsize::new(0));
        let (promise, future) = promise();
        let resolver = thread(move || promise.set_result(1));
        let counter = calls.clone();
        future.add_done_callback(move |done| {
            assert!(done.error().is_none());
            counter.fetch_add(1, Ordering::Relaxed);
        });
        assert!(resolver.join().expect("no panic"));
        assert_eq!(count(&calls), 1);
    });
}

/// A waiter and a callback of one future: the wait's entry has to move to the box with the callback in it.
#[test]
fn publish_against_callback_and_wait() {
    explore("publish against callback and wait", 2, || {
        let calls = Arc::new(AtomicUsize::new(0));
        let (promise, future) = promise::<u32>();
        let future = future.shared();
        let other = future.clone();
        let waiter = thread(move || other.result().copied());
        let resolver = thread(move || promise.set_result(1));
        let counter = calls.clone();
        future.add_done_callback(move |done| {
            assert!(done.is_done());
            counter.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(waiter.join().expect("no panic").expect("a result"), 1);
        assert!(resolver.join().expect("no panic"));
        assert_eq!(count(&calls), 1);
    });
}

/// Breaks if a waker can be put into a box that was taken out already.
#[test]
fn publish_against_waker() {
    explore("publish against waker", 3, || {
        let (promise, future) = promise();
        let resolver = thread(move || promise.set_result(7));
        assert_eq!(block_on(future).expect("a result"), 7);
        assert!(resolver.join().expect("no panic"));
    });
}

/// Awaited, and dropped before the end: the value goes once, and the waker with it.
#[test]
fn publish_against_drop_of_an_awaited_future() {
    explore("publish against drop of an awaited future", 3, || {
        let (value, drops) = Counted::new();
        let (promise, mut future) = promise();
        let _handle = future.cancel_handle();
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        let resolver = thread(move || promise.set_result(value));
        drop(future);
        assert!(resolver.join().expect("no panic"));
        assert_eq!((count(&drops), Arc::strong_count(&bell)), (1, 1));
    });
}

/// Breaks if the value of a shared future is not moved into its place once and for all, or if the second of two waits
/// pushes the first out.
#[test]
fn two_waiters_on_one_shared_future() {
    explore("two waiters on one shared future", 2, || {
        let (value, drops) = Counted::new();
        let (promise, future) = promise();
        let future = future.shared();
        let address = |future: &concurrent_futures::SharedFuture<Counted>| {
            std::ptr::from_ref(future.result().expect("a result")).addr()
        };
        let other = future.clone();
        let waiter = thread(move || address(&other));
        let resolver = thread(move || promise.set_result(value));
        assert_eq!(address(&future), waiter.join().expect("no panic"));
        assert!(resolver.join().expect("no panic"));
        drop(future);
        assert_eq!(count(&drops), 1);
    });
}

/// The same, awaited: each has a waker of its own.
#[test]
fn two_await_one_shared_future() {
    explore("two await one shared future", 2, || {
        let (promise, future) = promise();
        let future = future.shared();
        let other = future.clone();
        let waiter = thread(move || block_on(async { (&other).await.copied() }));
        let resolver = thread(move || promise.set_result(7));
        assert_eq!(block_on(async { (&future).await.copied() }).expect("a result"), 7);
        assert_eq!(waiter.join().expect("no panic").expect("a result"), 7);
        assert!(resolver.join().expect("no panic"));
    });
}

/// Breaks if a promise that is dropped doesn't resolve its future.
#[test]
fn dropped_promise_against_waiter() {
    explore("dropped promise against waiter", 3, || {
        let (promise, future) = promise::<u32>();
        let waiter = thread(move || future.result());
        drop(promise);
        assert!(matches!(waiter.join().expect("no panic"), Err(TaskError::Abandoned)));
    });
}

/// Who begins a promise's work and who cancels it: one of them.
#[test]
fn start_against_cancel() {
    explore("start against cancel", 3, || {
        let (promise, future) = promise();
        let worker = thread(move || {
            let started = promise.start();
            (started, promise.set_result(1))
        });
        let cancelled = future.cancel();
        assert_eq!(worker.join().expect("no panic"), (!cancelled, !cancelled));
        assert_eq!(future.result().is_err(), cancelled);
    });
}

/// Wakes a loom thread.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().expect("not poisoned") = true;
        self.ring.notify_one();
    }
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut rung = bell.rung.lock().expect("not poisoned");
        while !std::mem::take(&mut *rung) {
            rung = bell.ring.wait(rung).expect("not poisoned");
        }
    }
}
