//! What a worker takes along while tasks are short: in which order tasks begin then, and who takes it away again.

use crate::support::{Gate, LIMIT, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Shutdown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Also where some wait: a spare goes on with what the worker had taken along.
#[test]
fn one_worker_begins_tasks_as_they_came() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let futures: Vec<_> = (0..5000)
            .map(|n| {
                let order = order.clone();
                pool.spawn(move || {
                    order.lock().unwrap().push(n);
                    if n % 100 == 99 {
                        concurrent_futures::blocking(|| ());
                    }
                })
            })
            .collect();
        held.release();
        wait(&futures, ReturnWhen::AllCompleted);
        assert!(order.lock().unwrap().iter().copied().eq(0..5000));
    });
}

/// Runs a task that waits for the gate, behind enough short ones that its worker has some in its hand, and with as many behind
/// it; returns once it runs.
fn after_short_ones(pool: &ThreadPoolExecutor, gate: &Gate) -> [Vec<Future<()>>; 2] {
    let held: Vec<_> = (0..pool.max_workers()).map(|_| hold(pool)).collect();
    let before = (0..200).map(|_| pool.spawn(|| ())).collect();
    let (begun, opened) = (Gate::new(), gate.clone());
    let begins = begun.clone();
    let long = pool.spawn(move || {
        begins.open();
        opened.wait();
    });
    let behind: Vec<_> = (0..200).map(|_| pool.spawn(|| ())).collect();
    held.into_iter().for_each(|held| held.release());
    begun.wait();
    long.detach();
    [before, behind]
}

/// An idle worker takes what lies behind a long task.
#[test]
fn nothing_waits_behind_a_long_task_beside_an_idle_worker() {
    limit(LIMIT, || {
        let (pool, gate) = (ThreadPoolExecutor::new(2), Gate::new());
        let all = after_short_ones(&pool, &gate);
        for futures in &all {
            assert!(wait(futures, ReturnWhen::AllCompleted).not_done.is_empty());
        }
        gate.open();
    });
}

/// Gives the pool a task that gives it another one, until it is over.
fn feed(pool: &Arc<ThreadPoolExecutor>, fed: &Arc<AtomicBool>) {
    if fed.load(Ordering::Relaxed) {
        let (own, goes_on) = (pool.clone(), fed.clone());
        pool.spawn(move || feed(&own, &goes_on)).detach();
    }
}

/// So does one that is never idle, since it would else run what came later for ever.
#[test]
fn nothing_waits_behind_a_long_task_for_younger_ones() {
    limit(LIMIT, || {
        let (pool, gate) = (Arc::new(ThreadPoolExecutor::new(2)), Gate::new());
        let fed = Arc::new(AtomicBool::new(true));
        let all = after_short_ones(&pool, &gate);
        (0..200).for_each(|_| feed(&pool, &fed));
        for futures in &all {
            assert!(wait(futures, ReturnWhen::AllCompleted).not_done.is_empty());
        }
        fed.store(false, Ordering::Relaxed);
        gate.open();
        eventually(|| pool.stats().queued == 0);
    });
}

/// A task in a worker's hand is cancelled as any other, and counted as queued until then.
#[test]
fn what_is_taken_along_is_queued_still() {
    limit(LIMIT, || {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::new());
        let [before, behind] = after_short_ones(&pool, &gate);
        assert!(before.iter().all(Future::is_done));
        assert_eq!(pool.stats().queued, 200);
        assert!(behind.iter().step_by(2).all(Future::cancel));
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.cancelled, stats.running), (100, 100, 1));
        let last = pool.spawn(|| ());
        gate.open();
        last.result().unwrap();
        assert_eq!(behind.iter().filter(|future| future.is_cancelled()).count(), 100);
        assert_eq!(behind.iter().filter(|future| future.is_done()).count(), 200);
        assert_eq!(pool.stats().queued, 0);
    });
}

#[test]
fn a_shutdown_that_cancels_takes_what_was_taken_along() {
    limit(LIMIT, || {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::new());
        let [before, behind] = after_short_ones(&pool, &gate);
        pool.shutdown(Shutdown::CancelQueued);
        assert!(behind.iter().all(Future::is_cancelled));
        gate.open();
        pool.join();
        assert!(before.iter().all(Future::is_done));
        assert_eq!((pool.stats().queued, pool.stats().cancelled), (0, 200));
    });
}
