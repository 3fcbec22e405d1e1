//! Hands: what a worker has taken along, against everybody who may take it away. In models a worker takes half of what is
//! ready along, whenever it takes one.

use crate::support::{explore, open, pool, pool_of_few, thread};
use concurrent_futures::{ReturnWhen, Shutdown, TaskError, blocking, promise, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first waits for the second, which may lie in its worker's hand. Breaks if nobody takes it away, or if what lies in a
/// hand is not counted: nobody comes.
#[test]
fn hand_behind_a_long_task() {
    explore("a hand behind a long task", 1, || {
        let pool = pool(2);
        let (gate, opened) = promise();
        let long = pool.spawn(move || opened.result());
        let key = pool.spawn(move || open(gate));
        assert!(long.result().expect("it ran").is_ok() && key.result().is_ok());
        assert_eq!(pool.stats().queued, 0);
    });
}

/// A worker takes the next of its own hand, another steals it, a third thread cancels it.
#[test]
fn hand_taken_stolen_and_cancelled() {
    explore("a hand: taken, stolen, cancelled", 1, || {
        let pool = pool(2);
        let ran = Arc::new(AtomicUsize::new(0));
        let tasks = [0, 1].map(|_| {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed))
        });
        let handle = tasks[1].cancel_handle();
        let canceller = thread(move || handle.cancel());
        let outcomes = tasks.map(|task| task.result());
        let cancelled = canceller.join().expect("no panic");
        assert_eq!(matches!(outcomes[1], Err(TaskError::Cancelled)), cancelled);
        assert_eq!(ran.load(Ordering::Relaxed), 2 - usize::from(cancelled));
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.submitted()), (0, 2));
    });
}

/// The only worker has a hand and waits: its spare runs what lies there, and in the order of submission. Breaks if the hand is
/// not given back.
#[test]
fn hand_of_a_blocked_worker() {
    explore("a hand of a blocked worker", 2, || {
        let pool = pool(1);
        let order = Arc::new(AtomicUsize::new(0));
        let (gate, opened) = promise();
        let waits = pool.spawn(move || blocking(|| opened.result()));
        let nth = |n: usize| {
            let order = order.clone();
            move || assert_eq!(order.swap(n, Ordering::Relaxed), n - 1)
        };
        let (one, two) = (pool.spawn(nth(1)), nth(2));
        let two = pool.spawn(move || {
            two();
            open(gate);
        });
        assert!(waits.result().expect("it ran").is_ok() && one.result().is_ok() && two.result().is_ok());
    });
}

/// The same where no spare can be had, and what the waiter needs lies in its own hand.
#[test]
fn hand_needed_by_its_worker() {
    explore("a hand needed by its worker", 1, || {
        let pool = pool_of_few(1, 1);
        let (send, needed) = promise();
        let parent = pool.spawn(move || {
            let child: concurrent_futures::Future<i32> = needed.result().expect("the child");
            wait([child], ReturnWhen::FirstCompleted).done.len()
        });
        let child = pool.spawn(|| 1);
        let last = pool.spawn(|| 2);
        assert!(send.set_result(child));
        assert_eq!(parent.result().expect("it ran"), 1);
        assert_eq!(last.result().expect("it ran"), 2);
        assert_eq!(pool.stats().queued, 0);
    });
}

/// The waiter is back while its spare has a hand: one of them is too many, and ends, since the pool is closed. What it had in its
/// hand is run all the same.
#[test]
fn hand_of_one_too_many() {
    explore("a hand of one too many", 2, || {
        let pool = pool(1);
        let (gate, opened) = promise();
        let waits = pool.spawn(move || blocking(|| opened.result()));
        let key = pool.spawn(move || open(gate));
        let rest = [pool.spawn(|| ()), pool.spawn(|| ())];
        pool.shutdown(Shutdown::Drain);
        pool.join();
        assert!(waits.is_done() && key.is_done());
        assert!(rest.iter().all(|task| task.is_done()));
        assert_eq!(pool.stats().queued, 0);
    });
}

/// Breaks if a shutdown that cancels leaves what lies in a hand.
#[test]
fn hand_cancelled_by_a_shutdown() {
    explore("a hand cancelled by a shutdown", 2, || {
        let pool = pool(1);
        let (gate, opened) = promise();
        let (begin, begun) = promise();
        let first = pool.spawn(move || {
            open(begin);
            opened.result()
        });
        let rest = [pool.spawn(|| ()), pool.spawn(|| ())];
        begun.wait();
        pool.shutdown(Shutdown::CancelQueued);
        open(gate);
        assert!(first.result().is_ok());
        assert!(rest.into_iter().all(|task| matches!(task.result(), Err(TaskError::Cancelled))));
        pool.join();
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.cancelled, stats.workers), (0, 2, 0));
    });
}
