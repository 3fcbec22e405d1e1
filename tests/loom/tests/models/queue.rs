//! The queue and its sleep protocol: who comes for a task, who sleeps, who is started. The names are those of the
//! protocol's own model.
//!
//! A *long* task is one that waits for a promise which another task resolves: should nobody come for that other task, the
//! model is stuck, and loom says so. (The pool doesn't count such a wait: it is the user's.)

use crate::support::{build, explore, open, pool, pool_of_few, refusing, thread};
use concurrent_futures::{TaskError, ThreadPoolExecutor, WhenFull, promise};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Breaks if `ask` is read before the push, if `leave` doesn't look, or looks before it stores: the second task is left
/// lying while its worker-to-be sleeps or was never started.
#[test]
fn two_producers_long_tasks() {
    explore("two producers, long tasks", 1, || {
        let pool = pool(2);
        let (gate, opened) = promise();
        let other = pool.clone();
        let producer = thread(move || other.spawn(move || open(gate)).result());
        let long = pool.spawn(move || opened.result());
        assert!(long.result().expect("it ran").is_ok());
        assert!(producer.join().expect("no panic").is_ok());
    });
}

/// The second is pushed when the first one's worker may be searching, resting, or about to: breaks if a searcher that
/// takes keeps its flag.
#[test]
fn one_producer_long_task_second() {
    explore("one producer, a short and a long task", 1, || {
        let pool = pool(2);
        let (gate, opened) = promise();
        assert!(pool.spawn(|| ()).result().is_ok());
        let long = pool.spawn(move || opened.result());
        let short = pool.spawn(move || open(gate));
        assert!(short.result().is_ok() && long.result().expect("it ran").is_ok());
    });
}

/// Breaks if somebody counts as coming who isn't, so that one of three is not started.
#[test]
fn ramp_up_to_three_workers() {
    explore("ramp up to three workers", 0, || {
        let pool = pool(3);
        let (first, one) = promise();
        let (second, two) = promise();
        let one = pool.spawn(move || one.wait());
        let two = pool.spawn(move || two.wait());
        let three = pool.spawn(move || {
            open(first);
            open(second);
        });
        assert!(one.result().is_ok() && two.result().is_ok() && three.result().is_ok());
    });
}

/// Breaks if a worker is counted as coming back only after its result can be seen: a second thread is started.
#[test]
fn sequential_submit_result() {
    explore("sequential submit, result", 2, || {
        let pool = pool(2);
        for n in 0..3 {
            assert_eq!(pool.spawn(move || n).result().expect("it ran"), n);
        }
        assert_eq!(pool.stats().workers, 1);
    });
}

/// Breaks if a thread that is being started is not counted as coming: a third is started for two tasks.
#[test]
fn two_tasks_slow_initializers() {
    explore("two tasks, slow initializers", 1, || {
        let pool = pool(3);
        let (one, two) = (pool.spawn(|| ()), pool.spawn(|| ()));
        assert!(one.result().is_ok() && two.result().is_ok());
        assert!(pool.stats().workers <= 2);
    });
}

/// Breaks if a worker that has callbacks to run still counts as coming back: nobody comes for the task that the callback
/// waits for.
#[test]
fn a_long_callback() {
    explore("a long callback", 1, || {
        let pool = pool(2);
        let (gate, opened) = promise();
        let (begin, begun) = promise();
        let first = pool.spawn(move || begun.result());
        first.add_done_callback(move |_| opened.wait());
        open(begin);
        assert!(first.result().is_ok());
        assert!(pool.spawn(move || open(gate)).result().is_ok());
    });
}

/// One worker runs in the order of submission, also while others cancel: breaks if a cancel takes a live entry out, even
/// for a moment.
#[test]
fn cancel_behind_a_long_task() {
    explore("cancel behind a long task", 1, || {
        let pool = pool(1);
        let order = Arc::new(AtomicUsize::new(0));
        let (gate, opened) = promise();
        let long = pool.spawn(move || opened.result());
        let nth = |n: usize| {
            let order = order.clone();
            pool.spawn(move || assert_eq!(order.swap(n, Ordering::Relaxed), n - 1))
        };
        let (one, cancelled, two) = (nth(1), pool.spawn(|| ()), nth(2));
        let handle = cancelled.cancel_handle();
        let canceller = thread(move || handle.cancel());
        open(gate);
        assert!(two.result().is_ok() && one.result().is_ok() && long.result().is_ok());
        assert_eq!(canceller.join().expect("no panic"), cancelled.result().is_err());
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.submitted()), (0, 4));
    });
}

/// The system has one thread for two workers: both tasks are run.
#[test]
fn a_thread_is_refused() {
    explore("a thread is refused", 3, || {
        let pool = pool_of_few(2, 1);
        let (one, two) = (pool.spawn(|| 1), pool.spawn(|| 2));
        assert_eq!((one.result().expect("one"), two.result().expect("two")), (1, 2));
        assert_eq!(pool.stats().workers, 1);
    });
}

/// No thread at all: breaks if a pool without threads is not broken, or if a task that comes meanwhile is forgotten.
#[test]
fn no_thread_at_all() {
    explore("no thread at all", 3, || {
        let pool = pool_of_few(2, 0);
        let other = pool.clone();
        let producer = thread(move || other.spawn(|| 1).result());
        assert!(matches!(pool.spawn(|| 2).result(), Err(TaskError::Broken(_))));
        assert!(matches!(producer.join().expect("no panic"), Err(TaskError::Broken(_))));
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.queued), (0, 0));
    });
}

/// Breaks if a failed initializer leaves the queue as it is, or starts again and again.
#[test]
fn initializer_fails() {
    explore("initializer fails", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).try_initializer(|| Err("no".into())));
        let other = pool.clone();
        let producer = thread(move || other.spawn(|| 1).result());
        assert!(matches!(pool.spawn(|| 2).result(), Err(TaskError::Broken(_))));
        assert!(matches!(producer.join().expect("no panic"), Err(TaskError::Broken(_))));
        assert!(matches!(pool.spawn(|| 3).result(), Err(TaskError::Broken(_))));
    });
}

/// A task of the pool's own fills the queue: breaks if a worker that waits for a place is not counted as blocked.
#[test]
fn full_queue_own_worker_submits() {
    explore("full queue, own worker submits", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block));
        let own = pool.clone();
        let parent = pool.spawn(move || (own.spawn(|| 1), own.spawn(|| 2)));
        let (one, two) = parent.result().expect("it ran");
        assert_eq!((one.result().expect("one"), two.result().expect("two")), (1, 2));
    });
}

/// The same with no spare to be had: it is let in over capacity.
#[test]
fn full_queue_no_spare() {
    explore("full queue, no spare", 2, || {
        let pool = build(refusing(1).max_workers(1).queue_capacity(1, WhenFull::Block));
        let own = pool.clone();
        let parent = pool.spawn(move || (own.spawn(|| 1), own.spawn(|| 2)));
        let (one, two) = parent.result().expect("it ran");
        assert_eq!((one.result().expect("one"), two.result().expect("two")), (1, 2));
    });
}

/// Breaks if a cancelled task keeps its place, or if nobody is told of it.
#[test]
fn full_queue_cancel() {
    explore("full queue, cancel", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block));
        let (gate, opened) = promise();
        let (begin, begun) = promise();
        let long = pool.spawn(move || {
            open(begin);
            opened.result()
        });
        begun.wait();
        let queued = pool.spawn(|| ());
        let other = pool.clone();
        let submitter = thread(move || other.spawn(|| 2));
        assert!(queued.cancel());
        let late = submitter.join().expect("the place of the cancelled one");
        open(gate);
        assert!(long.result().is_ok() && late.result().is_ok());
    });
}

/// Breaks if a task run in place keeps its place.
#[test]
fn full_queue_in_place() {
    explore("full queue, in place", 3, || {
        let pool = build(refusing(1).max_workers(1).queue_capacity(1, WhenFull::Block));
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let one = own.spawn(|| 1).result().expect("one");
            one + own.spawn(|| 2).result().expect("two")
        });
        assert_eq!(parent.result().expect("it ran"), 3);
        assert_eq!(pool.stats().queued, 0);
    });
}

/// Two submitters and one place.
#[test]
fn full_queue_two_submitters() {
    explore("full queue, two submitters", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block));
        let other = pool.clone();
        let submitter = thread(move || (other.spawn(|| 1).result(), other.spawn(|| 2).result()));
        assert!(pool.spawn(|| 3).result().is_ok());
        let (one, two) = submitter.join().expect("no panic");
        assert!(one.is_ok() && two.is_ok());
    });
}
