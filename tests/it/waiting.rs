//! Waiting inside a worker for tasks of its own pool: never a deadlock, and no lock trap in place of one.

use crate::support::{Gate, LIMIT, SOON, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, blocking, promise, wait_timeout};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

type Pool = Arc<ThreadPoolExecutor>;

fn pool(workers: usize) -> Pool {
    Arc::new(ThreadPoolExecutor::new(workers))
}

/// Runs `task` in a worker of a pool with so many of them.
fn inside<R: Send + 'static>(workers: usize, task: impl FnOnce(&Pool) -> R + Send + 'static) -> R {
    let pool = pool(workers);
    let inner = pool.clone();
    pool.spawn(move || task(&inner)).result().unwrap()
}

#[test]
fn nested_fib() {
    limit(LIMIT, || {
        fn fib(pool: &Pool, n: u64) -> u64 {
            if n < 2 {
                return n;
            }
            let inner = pool.clone();
            let left = pool.submit(move |n| fib(&inner, n), n - 1);
            let right = fib(pool, n - 2);
            left.result().unwrap() + right
        }
        for workers in [1, 2, 4] {
            assert_eq!(inside(workers, |pool| fib(pool, 17)), 1597);
        }
    });
}

#[test]
fn nested_fib_by_any_of() {
    limit(LIMIT, || {
        // Each level waits for the first of its two: by spares.
        fn fib(pool: &Pool, n: u64) -> u64 {
            if n < 2 {
                return n;
            }
            let futures: Vec<_> = [n - 1, n - 2]
                .map(|n| {
                    let inner = pool.clone();
                    pool.submit(move |n| fib(&inner, n), n)
                })
                .into();
            as_completed(futures).map(|future| future.result().unwrap()).sum()
        }
        let pool = pool(1);
        let inner = pool.clone();
        assert_eq!(pool.spawn(move || fib(&inner, 12)).result().unwrap(), 144);
        eventually(|| pool.stats().workers <= 1); // spares go
    });
}

#[test]
fn what_a_blocked_waiter_needs_comes_before_the_queue() {
    limit(LIMIT, || {
        let pool = pool(1);
        let held = hold(&pool);
        let (inner, gate) = (pool.clone(), Gate::new());
        let waiter = pool.spawn(move || {
            let mine = [inner.spawn(|| 1), inner.spawn(|| 2)];
            wait(&mine, ReturnWhen::FirstCompleted).done.len()
        });
        // One of these would stop the spare, and with it the waiter, until the gate opens.
        let strangers: Vec<_> = (0..50)
            .map(|_| {
                let gate = gate.clone();
                pool.spawn(move || gate.wait())
            })
            .collect();
        held.release();
        assert!(waiter.result().unwrap() >= 1);
        gate.open();
        assert!(wait(&strangers, ReturnWhen::AllCompleted).not_done.is_empty());
    });
}

/// A task that waits for a task that waits for a task ..
fn nest(pool: &Pool, depth: usize) -> usize {
    if depth == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + pool.spawn(move || nest(&inner, depth - 1)).result().unwrap()
}

#[test]
fn a_long_chain_of_nested_waits_on_one_worker() {
    limit(LIMIT, || {
        let depth = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
        let pool = pool(1);
        let inner = pool.clone();
        assert_eq!(pool.spawn(move || nest(&inner, depth)).result().unwrap(), depth);
        // The threads that lent their stacks are spares, and spares go.
        eventually(|| pool.stats().workers <= 1);
        assert_eq!(pool.stats().finished, depth as u64 + 1);
    });
}

#[test]
fn every_kind_of_wait_on_one_worker() {
    limit(LIMIT, || {
        assert_eq!(inside(1, |pool| pool.spawn(|| 1).result().unwrap()), 1);
        assert_eq!(inside(1, |pool| pool.spawn(|| 2).result_timeout(SOON).unwrap().unwrap()), 2);
        assert!(inside(1, |pool| pool.spawn(|| ()).exception().is_none()));
        assert!(inside(1, |pool| pool.spawn(|| ()).exception_timeout(SOON).unwrap().is_none()));
        assert!(inside(1, |pool| pool.spawn(|| ()).wait_timeout(SOON)));
        assert!(inside(1, |pool| {
            let future = pool.spawn(|| ());
            future.wait();
            future.is_done()
        }));
        assert_eq!(inside(1, |pool| *pool.spawn(|| 3).shared().result().unwrap()), 3);
        assert_eq!(inside(1, |pool| pool.map(|n| n, 0..10).map(Result::unwrap).sum::<i32>()), 45);
        assert_eq!(inside(1, |pool| pool.map(|n| n, 0..10).timeout(SOON).count()), 10);
        assert_eq!(
            inside(1, |pool| pool.map_with(MapOptions::new().buffersize(3), |n| n, 0..10).count()),
            10
        );
        assert_eq!(inside(1, |pool| pool.map_with(MapOptions::new().unordered(), |n| n, 0..10).count()), 10);
        assert_eq!(inside(1, |pool| as_completed((0..10).map(|n| pool.spawn(move || n))).count()), 10);
        for mode in [ReturnWhen::AllCompleted, ReturnWhen::FirstCompleted, ReturnWhen::FirstException] {
            let done = inside(1, move |pool| wait((0..10).map(|n| pool.spawn(move || n)), mode).done.len());
            assert!(done >= 1 && (done == 10 || mode == ReturnWhen::FirstCompleted));
            let done = inside(1, move |pool| wait_timeout([pool.spawn(|| 1)], mode, SOON).done.len());
            assert_eq!(done, 1);
        }
        assert_eq!(inside(1, |pool| pool.scope(|s| s.spawn(|| 4).result().unwrap())), 4);
    });
}

#[test]
fn any_of_runs_no_task_that_wants_the_waiters_lock() {
    limit(LIMIT, || {
        // Run in place, the one that wants the lock would wait for its own waiter. In both orders: one of the two
        // others that may run is stuck at the lock, the next serves the free task.
        for wanted_first in [true, false] {
            inside(2, move |pool| {
                let lock = Arc::new(Mutex::new(()));
                let held = lock.lock().unwrap();
                let wanted = lock.clone();
                let mut futures = vec![pool.spawn(move || drop(wanted.lock().unwrap())), pool.spawn(|| ())];
                if !wanted_first {
                    futures.reverse();
                }
                let waited = wait(&futures, ReturnWhen::FirstCompleted);
                assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
                drop(held);
                assert!(wait(&futures, ReturnWhen::AllCompleted).not_done.is_empty());
            });
        }
    });
}

#[test]
fn any_of_is_not_held_up_by_the_task_that_wants_the_lock() {
    limit(LIMIT, || {
        // The other order, on two workers: one runs into the lock, another serves the free task.
        inside(2, |pool| {
            let lock = Arc::new(Mutex::new(()));
            let held = lock.lock().unwrap();
            let (wanted, gate) = (lock.clone(), Gate::new());
            let opens = gate.clone();
            let wants = pool.spawn(move || {
                opens.open();
                drop(wanted.lock().unwrap());
            });
            gate.wait(); // it runs, and is stuck at the lock
            let free = pool.spawn(|| ());
            let waited = wait([&wants, &free], ReturnWhen::FirstCompleted);
            assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
            drop(held);
            wants.result().unwrap();
        });
    });
}

#[test]
fn a_lock_may_be_held_across_a_result_that_does_not_want_it() {
    limit(LIMIT, || {
        let total = inside(1, |pool| {
            let total = Mutex::new(0);
            for n in 0..100 {
                let mut total = total.lock().unwrap();
                *total += pool.spawn(move || n).result().unwrap();
            }
            total.into_inner().unwrap()
        });
        assert_eq!(total, 4950);
    });
}

#[test]
fn a_limit_is_kept_although_the_task_could_run_in_place() {
    limit(LIMIT, || {
        let pool = pool(1);
        let (inner, gate) = (pool.clone(), Gate::new());
        let (opened, begun) = (gate.clone(), Gate::new());
        let (begins, seen) = (begun.clone(), gate.clone());
        let outcome = pool.spawn(move || {
            let long = inner.spawn(move || {
                begins.open();
                opened.wait();
                5
            });
            // Were it run in place, this would not return before the gate opens, and that is after it returns.
            let timed_out = long.result_timeout(Duration::from_millis(10)).unwrap_err();
            seen.open();
            timed_out.future.result().unwrap()
        });
        assert_eq!(outcome.result().unwrap(), 5);
        assert!(begun.is_open());
    });
}

#[test]
fn a_limit_is_kept_when_the_task_cannot_begin() {
    limit(LIMIT, || {
        // The pool's other worker is held too, and no spare is allowed beyond max_workers that are active.
        let pool = pool(2);
        let held = hold(&pool);
        let inner = pool.clone();
        let took = pool.spawn(move || {
            let blocker = inner.spawn(|| ());
            let before = Instant::now();
            let _ = blocker.result_timeout(Duration::from_millis(10));
            before.elapsed()
        });
        assert!(took.result().unwrap() < SOON);
        held.release();
    });
}

#[test]
fn blocking_lets_another_task_run() {
    limit(LIMIT, || {
        let (sender, receiver) = std::sync::mpsc::channel();
        let pool = ThreadPoolExecutor::new(1);
        let first = pool.spawn(move || blocking(|| receiver.recv().unwrap()));
        pool.spawn(move || sender.send(7)).detach();
        assert_eq!(first.result().unwrap(), 7);
        assert_eq!(blocking(|| 8), 8, "outside a worker it only runs");
        // It ends also by a panic.
        assert!(pool.spawn(|| blocking(|| panic!("inside"))).result().is_err());
        eventually(|| pool.stats().blocked == 0);
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn blocking_declares_waits_the_pool_cannot_see() {
    limit(LIMIT, || {
        // A promise that a queued task of the same pool resolves.
        let value = inside(1, |pool| {
            let (promise, future) = promise();
            pool.spawn(move || promise.set_result(3)).detach();
            blocking(|| future.result().unwrap())
        });
        assert_eq!(value, 3);
        // Two pools that wait for each other.
        let (one, other) = (pool(1), pool(1));
        let (inner, back) = (other.clone(), one.clone());
        let round = one.spawn(move || {
            blocking(|| {
                inner.spawn(move || blocking(|| back.spawn(|| 1).result().unwrap()) + 1).result().unwrap()
            }) + 1
        });
        assert_eq!(round.result().unwrap(), 3);
    });
}

#[test]
fn no_strangers_task_is_run_by_a_waiter() {
    limit(LIMIT, || {
        let pool = pool(1);
        let inner = pool.clone();
        let held = hold(&pool);
        let waiter = pool.spawn(move || {
            let worker = thread::current().id();
            let mine = inner.spawn(|| thread::current().id());
            (worker, mine.result().unwrap())
        });
        let order = Arc::new(AtomicUsize::new(0));
        let counted = order.clone();
        let stranger = pool.spawn(move || counted.fetch_add(1, Ordering::SeqCst));
        held.release();
        let (worker, mine) = waiter.result().unwrap();
        assert_eq!(worker, mine, "what can't be done without runs in place");
        stranger.result().unwrap();
    });
}

#[test]
fn max_workers_counts_those_that_run() {
    limit(LIMIT, || {
        let pool = pool(2);
        let (active, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let leaf = {
            let (active, peak) = (active.clone(), peak.clone());
            move || {
                peak.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..2_000 {
                    std::hint::spin_loop();
                }
                active.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let (inner, leaf) = (pool.clone(), leaf.clone());
                pool.spawn(move || as_completed((0..10).map(|_| inner.spawn(leaf.clone()))).count())
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.result().unwrap() == 10));
        // Two, and one more for each waiter that comes back while its spare is still at work.
        let peak = peak.load(Ordering::SeqCst);
        assert!(peak <= 4, "{peak} ran at once");
    });
}

#[test]
fn many_short_waits_with_limits_start_no_thread_each() {
    limit(LIMIT, || {
        let pool = pool(1);
        let inner = pool.clone();
        let (turns, threads) = pool
            .spawn(move || {
                let mut most = 0;
                for n in 0..3_000 {
                    assert_eq!(inner.spawn(move || n).result_timeout(SOON).unwrap().unwrap(), n);
                    most = most.max(inner.stats().workers);
                }
                (3_000, most)
            })
            .result()
            .unwrap();
        assert!(turns == 3_000 && threads <= 3, "{threads} threads");
    });
}

#[test]
fn a_task_run_in_place_that_panics_hurts_only_itself() {
    limit(LIMIT, || {
        let pool = pool(1);
        let inner = pool.clone();
        let outcome = pool.spawn(move || {
            let bad = inner.spawn(|| -> u8 { panic!("in place") });
            bad.result().unwrap_err().to_string()
        });
        assert!(outcome.result().unwrap().contains("in place"));
        assert_eq!((pool.stats().finished, pool.stats().failed), (1, 1));
    });
}

#[test]
fn a_cancelled_task_ends_the_wait_for_it() {
    limit(LIMIT, || {
        let pool = pool(1);
        let inner = pool.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        let waits = pool.spawn(move || {
            let (promise, future) = promise::<u8>();
            sender.send(future.cancel_handle()).unwrap();
            let outcome = future.result();
            drop((promise, inner));
            outcome.is_err()
        });
        assert!(receiver.recv().unwrap().cancel());
        assert!(waits.result().unwrap());
    });
}

#[test]
fn more_blocked_waiters_than_there_are_spares() {
    limit(LIMIT, || {
        // 400 deep, each level in a wait that takes a spare; past the limit waiters run their own task.
        fn down(pool: &Pool, depth: usize) -> usize {
            if depth == 0 {
                return 0;
            }
            let inner = pool.clone();
            let below = pool.spawn(move || down(&inner, depth - 1));
            // Without the error's own text: each level would have the one below in it, with twice its backslashes.
            let below = as_completed([below])
                .map(|future| future.result().unwrap_or_else(|_| panic!("failed at {depth}")));
            1 + below.sum::<usize>()
        }
        // Room for those levels in a build without any optimisation, the standard library included.
        let pool =
            Arc::new(ThreadPoolExecutor::builder().max_workers(1).stack_size(4 << 20).build().unwrap());
        let inner = pool.clone();
        assert_eq!(pool.spawn(move || down(&inner, 400)).result().unwrap(), 400);
        eventually(|| pool.stats().workers <= 1);
    });
}

#[test]
fn pools_in_a_ring_of_scopes_and_maps() {
    limit(LIMIT, || {
        let pool = pool(2);
        let inner = pool.clone();
        let sum = pool.spawn(move || {
            let again = inner.clone();
            let rows = inner.map(
                move |row: u64| again.map(move |n: u64| n * row, 0..20).map(Result::unwrap).sum::<u64>(),
                0..20,
            );
            rows.map(Result::unwrap).sum::<u64>()
        });
        assert_eq!(sum.result().unwrap(), 190 * 190);
    });
}
