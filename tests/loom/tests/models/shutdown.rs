//! The end of a pool against everything that still wants something of it. The names are those of the protocol's own
//! model.

use crate::support::{build, count, explore, open, pool, thread};
use concurrent_futures::{
    Rejected, ReturnWhen, Shutdown, TaskError, ThreadPoolExecutor, WhenFull, promise, wait,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn is_rejected<T>(outcome: &Result<T, TaskError>) -> bool {
    matches!(outcome, Err(TaskError::Rejected(Rejected::ShutDown)))
}

/// Breaks if closing doesn't wake who rests, or a worker ends while something is queued.
#[test]
fn shutdown_drains() {
    explore("shutdown drains", 2, || {
        let pool = pool(2);
        let own = pool.clone();
        let parent = pool.spawn(move || own.spawn(|| 1).result());
        let other = pool.clone();
        let closer = thread(move || {
            other.shutdown(Shutdown::Drain);
            other.join();
        });
        let child = parent.result().expect("it was queued before the end");
        assert!(child.is_ok() || is_rejected(&child));
        closer.join().expect("no panic");
        assert_eq!(pool.stats().workers, 0);
    });
}

/// A spare is started although the pool is closed.
#[test]
fn shutdown_spare_needed() {
    explore("shutdown, spare needed", 3, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || wait([own.spawn(|| ())], ReturnWhen::FirstCompleted).done.len());
        pool.shutdown(Shutdown::Drain);
        pool.join();
        assert_eq!(parent.result().expect("it was queued before the end"), 1);
    });
}

/// Breaks if what is taken out is not resolved.
#[test]
fn shutdown_cancels() {
    explore("shutdown cancels", 2, || {
        let pool = pool(1);
        let ran = Arc::new(AtomicUsize::new(0));
        let submit = || {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed))
        };
        let (one, two) = (submit(), submit());
        let other = pool.clone();
        let closer = thread(move || other.shutdown(Shutdown::CancelQueued));
        let outcomes = [one.result(), two.result()];
        closer.join().expect("no panic");
        pool.join();
        let cancelled = outcomes.iter().filter(|one| matches!(one, Err(TaskError::Cancelled))).count();
        assert_eq!(count(&ran) + cancelled, 2);
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.cancelled), (0, cancelled as u64));
    });
}

/// Breaks if the dead are counted as queued, or a cancel and the end resolve the same task.
#[test]
fn shutdown_against_cancel() {
    explore("shutdown against cancel", 2, || {
        let pool = pool(1);
        let (one, two) = (pool.spawn(|| ()), pool.spawn(|| ()));
        let handle = two.cancel_handle();
        let canceller = thread(move || handle.cancel());
        pool.shutdown(Shutdown::CancelQueued);
        let (one, two) = (one.result(), two.result());
        if canceller.join().expect("no panic") {
            assert!(matches!(two, Err(TaskError::Cancelled)));
        }
        pool.join();
        let stats = pool.stats();
        let cancelled = u64::from(one.is_err()) + u64::from(two.is_err());
        assert_eq!((stats.submitted(), stats.queued, stats.cancelled), (2, 0, cancelled));
    });
}

/// Breaks if the door's state and the push are not one section: an entry comes to a pool that has ended.
#[test]
fn late_pushes() {
    explore("late pushes", 3, || {
        let pool = pool(1);
        let other = pool.clone();
        let producer = thread(move || other.spawn(|| 1).result());
        pool.join();
        assert_eq!(pool.stats().workers, 0);
        let outcome = producer.join().expect("no panic");
        assert!(outcome.is_ok() || is_rejected(&outcome));
        assert_eq!(pool.stats().workers, 0);
    });
}

/// A task closes its own pool: what it submits before still runs, what it submits after is rejected.
#[test]
fn closed_by_its_own_worker() {
    explore("closed by its own worker", 2, || {
        let pool = pool(2);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let before = own.spawn(|| 1);
            own.shutdown(Shutdown::Drain);
            (before, own.spawn(|| 2).result())
        });
        let (before, after) = parent.result().expect("it ran");
        assert!(before.result().is_ok() && is_rejected(&after));
        pool.join();
        assert_eq!(pool.stats().workers, 0);
    });
}

/// Breaks if closing doesn't tell who waits for a place.
#[test]
fn full_queue_shutdown() {
    explore("full queue, shutdown", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block));
        let (gate, opened) = promise();
        let (begin, begun) = promise();
        let long = pool.spawn(move || {
            open(begin);
            opened.result()
        });
        begun.wait();
        let queued = pool.spawn(|| 1);
        let other = pool.clone();
        let submitter = thread(move || other.spawn(|| 2).result());
        pool.shutdown(Shutdown::Drain);
        assert!(is_rejected(&submitter.join().expect("told of the end")));
        open(gate);
        assert!(long.result().is_ok() && queued.result().is_ok());
    });
}

/// The last handle is dropped while a task still runs: the drop joins.
#[test]
fn dropped_at_work() {
    explore("dropped at work", 3, || {
        let pool = pool(2);
        let (one, two) = (pool.spawn(|| 1), pool.spawn(|| 2));
        drop(pool);
        assert!(one.is_done() && two.is_done());
    });
}
