//! Tasks for one worker each, against everything that a worker may be at.

use crate::support::{explore, pool, thread};
use concurrent_futures::{Rejected, Shutdown, TaskError};

/// The worker has just had a task, and searches, rests, or is about to. Breaks if it rests beside a task that only it may run.
#[test]
fn broadcast_against_a_rest() {
    explore("a broadcast against a rest", 2, || {
        let pool = pool(1);
        let task = pool.spawn(|| 1);
        let calls = pool.broadcast(|n| n, 2);
        assert_eq!(task.result().expect("it ran"), 1);
        let called: Vec<u32> = calls.into_iter().map(|call| call.result().expect("it was called")).collect();
        assert_eq!((called, pool.stats().queued), (vec![2], 0));
    });
}

/// Breaks if a worker ends with a task that only it may run.
#[test]
fn broadcast_against_the_end() {
    explore("a broadcast against the end", 2, || {
        let pool = pool(1);
        let other = pool.clone();
        let closer = thread(move || other.shutdown(Shutdown::Drain));
        for call in pool.broadcast(|n| n, 2) {
            let outcome = call.result();
            assert!(matches!(outcome, Ok(2) | Err(TaskError::Rejected(Rejected::ShutDown))), "{outcome:?}");
        }
        closer.join().expect("no panic");
        pool.join();
        assert_eq!(pool.stats().queued, 0);
    });
}
