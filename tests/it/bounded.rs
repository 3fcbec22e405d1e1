//! Bounded queues: what a submit does when there is no place, from outside and from the pool's own workers.

use crate::support::{Gate, LIMIT, Live, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Rejected, Shutdown, TaskError, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

fn bounded(workers: usize, capacity: usize, when_full: WhenFull) -> ThreadPoolExecutor {
    ThreadPoolExecutor::builder().max_workers(workers).queue_capacity(capacity, when_full).build().unwrap()
}

#[test]
fn block_waits_for_a_place() {
    limit(LIMIT, || {
        let pool = bounded(1, 2, WhenFull::Block);
        let held = hold(&pool);
        let _two = [pool.spawn(|| 1), pool.spawn(|| 2)];
        let (about, submitted) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let submitter = s.spawn(|| {
                about.open();
                let third = pool.spawn(|| 3);
                submitted.open();
                third.result().unwrap()
            });
            about.wait();
            assert_eq!(pool.stats().queued, 2, "never more than the bound");
            assert!(!submitted.is_open(), "nobody could make room yet");
            held.release();
            assert_eq!(submitter.join().unwrap(), 3);
        });
    });
}

#[test]
fn block_goes_on_when_a_task_is_cancelled() {
    limit(LIMIT, || {
        let pool = bounded(1, 1, WhenFull::Block);
        let held = hold(&pool);
        let queued = pool.spawn(|| 1);
        thread::scope(|s| {
            let submitter = s.spawn(|| pool.spawn(|| 2));
            assert!(queued.cancel());
            // Its place is free, although the worker is still held.
            let second = submitter.join().unwrap();
            assert!(!second.is_done());
            held.release();
            assert_eq!(second.result().unwrap(), 2);
        });
    });
}

#[test]
fn block_ends_when_the_pool_does() {
    limit(LIMIT, || {
        for mode in [Shutdown::Drain, Shutdown::CancelQueued] {
            let pool = bounded(1, 1, WhenFull::Block);
            let held = hold(&pool);
            let _queued = pool.spawn(|| 1);
            let outcome = thread::scope(|s| {
                let about = Gate::new();
                let submitter = s.spawn({
                    let (about, pool) = (about.clone(), &pool);
                    move || {
                        about.open();
                        pool.spawn(|| 2).result()
                    }
                });
                about.wait();
                pool.shutdown(mode);
                held.release();
                submitter.join().unwrap()
            });
            // It came to the door before or after it was closed; either way it is told.
            match outcome {
                Ok(2) | Err(TaskError::Rejected(Rejected::ShutDown) | TaskError::Cancelled) => {}
                other => panic!("{other:?}"),
            }
            pool.join();
        }
    });
}

#[test]
fn block_from_its_own_only_worker_does_not_deadlock() {
    limit(LIMIT, || {
        let pool = Arc::new(bounded(1, 1, WhenFull::Block));
        let inner = pool.clone();
        let sum = pool.spawn(move || {
            let futures: Vec<_> = (0..100).map(|n| inner.spawn(move || n)).collect();
            futures.into_iter().map(|future| future.result().unwrap()).sum::<i32>()
        });
        assert_eq!(sum.result().unwrap(), 4950);
        // And without ever reading a result.
        let inner = pool.clone();
        pool.spawn(move || (0..100).for_each(|n| inner.spawn(move || n).detach())).result().unwrap();
        let pool = Arc::into_inner(pool);
        drop(pool);
    });
}

#[test]
fn many_turns_of_submit_and_result_leave_the_queue_empty() {
    limit(LIMIT, || {
        // Each result is run in place by the task that waits; an entry left behind would fill the queue after eight.
        let pool = Arc::new(bounded(1, 8, WhenFull::Block));
        let inner = pool.clone();
        let turns = pool.spawn(move || (0..20_000).map(|n| inner.spawn(move || n).result().unwrap()).count());
        assert_eq!(turns.result().unwrap(), 20_000);
        assert_eq!(pool.stats().queued, 0);
    });
}

#[test]
fn every_submitter_gets_its_turn() {
    limit(LIMIT, || {
        let pool = bounded(2, 3, WhenFull::Block);
        let ran = AtomicUsize::new(0);
        pool.scope(|s| {
            thread::scope(|threads| {
                for _ in 0..6 {
                    let ran = &ran;
                    threads.spawn(move || {
                        for _ in 0..300 {
                            s.spawn(move || ran.fetch_add(1, Ordering::SeqCst)).detach();
                        }
                    });
                }
            });
        });
        assert_eq!(ran.load(Ordering::SeqCst), 1800);
    });
}

#[test]
fn reject_says_so_and_keeps_nothing() {
    limit(LIMIT, || {
        let pool = bounded(1, 2, WhenFull::Reject);
        let held = hold(&pool);
        let live = Live::new();
        let queued = [pool.spawn(|| 1), pool.spawn(|| 2)];
        let token = live.token();
        let refused = pool.spawn(move || drop(token));
        assert!(refused.is_done() && live.count() == 0);
        assert!(matches!(refused.result(), Err(TaskError::Rejected(Rejected::Full))));
        let cancelled = queued[0].cancel();
        assert!(cancelled);
        let fits = pool.spawn(|| 3);
        assert!(!fits.is_done());
        held.release();
        assert_eq!(fits.result().unwrap(), 3);
    });
}

#[test]
fn reject_from_its_own_worker_as_well() {
    limit(LIMIT, || {
        let pool = Arc::new(bounded(1, 1, WhenFull::Reject));
        let inner = pool.clone();
        let outcomes = pool.spawn(move || {
            let futures: [Future<u8>; 3] = [1, 2, 3].map(|n| inner.spawn(move || n));
            futures.map(|future| future.is_done())
        });
        assert_eq!(outcomes.result().unwrap(), [false, true, true]);
    });
}

#[test]
fn caller_runs_on_the_caller() {
    limit(LIMIT, || {
        let pool = bounded(1, 1, WhenFull::CallerRuns);
        let held = hold(&pool);
        let _queued = pool.spawn(|| ());
        let here = thread::current().id();
        let ran = pool.spawn(|| thread::current().id());
        assert!(ran.is_done(), "when submit returns");
        assert_eq!(ran.result().unwrap(), here);
        // A panic stays inside, and says who ran it.
        let error = pool.spawn(|| panic!("on the caller")).result().unwrap_err();
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        assert_eq!(panic.worker(), thread::current().name());
        // The caller is no worker by that: a wait there is an ordinary one, an initializer didn't run.
        let (stats, unwanted) = (pool.stats(), pool.spawn(|| crate::support::Bomb));
        assert_eq!((stats.workers, stats.failed), (1, 1));
        assert!(unwanted.is_done());
        std::mem::forget(unwanted);
        held.release();
    });
}

#[test]
fn caller_runs_inside_its_own_worker() {
    limit(LIMIT, || {
        let pool = Arc::new(bounded(1, 1, WhenFull::CallerRuns));
        let inner = pool.clone();
        let (worker, threads) = pool
            .spawn(move || {
                let futures: Vec<_> = (0..10).map(|_| inner.spawn(|| thread::current().id())).collect();
                let ids: Vec<_> = futures.into_iter().map(|future| future.result().unwrap()).collect();
                (thread::current().id(), ids)
            })
            .result()
            .unwrap();
        assert!(threads.iter().all(|id| *id == worker));
        eventually(|| pool.stats().finished == 11);
    });
}

#[test]
fn a_map_larger_than_the_queue() {
    limit(LIMIT, || {
        for when_full in [WhenFull::Block, WhenFull::CallerRuns] {
            let pool = bounded(2, 3, when_full);
            assert_eq!(pool.map(|n: u64| n, 0..500).map(Result::unwrap).sum::<u64>(), 499 * 250);
        }
    });
}
