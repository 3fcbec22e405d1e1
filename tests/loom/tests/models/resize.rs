//! The number of workers changes, against everybody who wants one.

use crate::support::{explore, open, pool, thread};
use concurrent_futures::{Shutdown, promise};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first task waits for the second, in a way that the pool can't see: only another worker could run it. Breaks if a pool that
/// may have more workers doesn't look whether there is something for them.
#[test]
fn more_workers_against_a_push() {
    explore("more workers against a push", 2, || {
        let pool = pool(1);
        let (gate, opened) = promise();
        let other = pool.clone();
        let grows = thread(move || other.set_max_workers(2));
        let long = pool.spawn(move || opened.result());
        let key = pool.spawn(move || open(gate));
        assert!(long.result().expect("it ran").is_ok() && key.result().is_ok());
        grows.join().expect("no panic").expect("a good number");
    });
}

/// Breaks if a worker too many keeps its hand, or ends with something in it.
#[test]
fn fewer_workers_against_a_push() {
    explore("fewer workers against a push", 1, || {
        let pool = pool(2);
        let ran = Arc::new(AtomicUsize::new(0));
        let submit = || {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed))
        };
        let first = submit();
        let other = pool.clone();
        let shrinks = thread(move || other.set_max_workers(1));
        let last = submit();
        assert!(first.result().is_ok() && last.result().is_ok());
        shrinks.join().expect("no panic").expect("a good number");
        assert_eq!((ran.load(Ordering::Relaxed), pool.stats().queued), (2, 0));
    });
}

/// Breaks if one that rests for being too many misses the end.
#[test]
fn fewer_workers_against_the_end() {
    explore("fewer workers against the end", 2, || {
        let pool = pool(2);
        let tasks = [pool.spawn(|| ()), pool.spawn(|| ())];
        let other = pool.clone();
        let shrinks = thread(move || other.set_max_workers(1));
        pool.shutdown(Shutdown::Drain);
        pool.join();
        tasks.into_iter().for_each(|task| assert!(task.result().is_ok()));
        shrinks.join().expect("no panic").expect("a good number");
        assert_eq!(pool.stats().workers, 0);
    });
}
