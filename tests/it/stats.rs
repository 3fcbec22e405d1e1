//! The pool in numbers: every task is counted once, in one place.

use crate::support::{Gate, LIMIT, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Shutdown, ThreadPoolStats, WhenFull, blocking};
use std::sync::Arc;

#[test]
fn each_part_in_turn() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        assert_eq!(pool.stats(), ThreadPoolStats::default());
        let held = hold(&pool);
        let queued: Vec<_> = (0..3).map(|n| pool.spawn(move || n)).collect();
        let bad = pool.spawn(|| panic!("bad"));
        queued[1].cancel();
        let stats = pool.stats();
        assert_eq!(
            (stats.running, stats.queued, stats.cancelled, stats.workers, stats.idle),
            (1, 3, 1, 1, 0)
        );
        held.release();
        bad.wait();
        pool.try_spawn(|| Err::<(), _>("failed")).wait();
        eventually(|| pool.stats().idle == 1);
        let stats = pool.stats();
        assert_eq!(
            (stats.finished, stats.failed, stats.cancelled, stats.running, stats.queued),
            (3, 2, 1, 0, 0)
        );
        assert_eq!(stats.submitted(), 6);
    });
}

#[test]
fn a_task_that_waits_is_blocked() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, opened) = (begun.clone(), gate.clone());
        let waits = pool.spawn(move || {
            blocking(|| {
                begins.open();
                opened.wait();
            });
        });
        begun.wait();
        let held = hold(&pool); // runs, although the only worker waits
        let stats = pool.stats();
        assert_eq!((stats.blocked, stats.running, stats.workers), (1, 1, 2));
        gate.open();
        waits.result().unwrap();
        held.release();
        eventually(|| pool.stats().blocked == 0);
    });
}

#[test]
fn rejected_tasks_are_not_counted() {
    limit(LIMIT, || {
        let pool =
            ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Reject).build().unwrap();
        let held = hold(&pool);
        let _queued = pool.spawn(|| 1);
        assert!(pool.spawn(|| 2).result().is_err());
        assert_eq!(pool.stats().submitted(), 2);
        held.release();
        pool.shutdown(Shutdown::Drain);
        assert!(pool.spawn(|| 3).result().is_err());
        pool.join();
        assert_eq!(pool.stats().submitted(), 2);
    });
}

#[test]
fn the_parts_add_up_under_load() {
    limit(LIMIT, || {
        for when_full in [None, Some(WhenFull::Block), Some(WhenFull::CallerRuns)] {
            let mut builder = ThreadPoolExecutor::builder().max_workers(3);
            if let Some(when_full) = when_full {
                builder = builder.queue_capacity(7, when_full);
            }
            let pool = Arc::new(builder.build().unwrap());
            let (threads, each) = (4u64, 600u64);
            std::thread::scope(|s| {
                for _ in 0..threads {
                    s.spawn(|| {
                        for n in 0..each {
                            let inner = pool.clone();
                            match n % 6 {
                                0 => drop(pool.spawn(|| 1)),
                                1 => drop(pool.try_spawn(|| Err::<(), _>("failed"))),
                                2 => drop(pool.spawn(|| 1).cancel()),
                                3 => drop(pool.spawn(move || inner.spawn(|| 1).result())),
                                4 => drop(pool.spawn(move || {
                                    let two = [inner.spawn(|| 1), inner.spawn(|| 2)];
                                    wait(&two, ReturnWhen::FirstCompleted).done.len()
                                })),
                                _ => drop(pool.spawn(|| std::panic::resume_unwind(Box::new(())))),
                            }
                        }
                    });
                }
                // Never more than were submitted, whenever one looks.
                for _ in 0..200 {
                    assert!(pool.stats().submitted() <= threads * each / 6 * 9 + 9, "{:?}", pool.stats());
                }
            });
            pool.join();
            let stats = pool.stats();
            // One task a turn, one more inside the fourth, two inside the fifth, unless the pool closed before they
            // were submitted: join drains, and what a queued task submits after the door is closed is rejected.
            let turns = threads * each;
            assert!((turns..=turns / 6 * 9).contains(&stats.submitted()), "{stats:?}");
            assert_eq!(
                (stats.queued, stats.running, stats.blocked, stats.workers, stats.idle),
                (0, 0, 0, 0, 0)
            );
            assert_eq!(stats.failed, turns / 6 * 2, "{stats:?}");
            assert_eq!(stats.submitted(), stats.finished + stats.failed + stats.cancelled);
        }
    });
}

#[test]
fn debug_of_a_pool_shows_them() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(3);
        let text = format!("{pool:?}");
        assert!(text.contains("max_workers: 3") && text.contains("queued: 0"), "{text}");
    });
}
