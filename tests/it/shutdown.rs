//! How a pool ends: in every mode, from everywhere, with somebody waiting.

use crate::support::{Gate, LIMIT, SOON, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Rejected, Shutdown, TaskError, TaskOptions};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Counts the workers of a pool that have begun and those that have ended.
fn counted(workers: usize) -> (ThreadPoolExecutor, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begins, ends) = (begun.clone(), ended.clone());
    let pool = ThreadPoolExecutor::builder()
        .max_workers(workers)
        .initializer(move || drop_usize(begins.fetch_add(1, Ordering::SeqCst)))
        .on_exit(move || drop_usize(ends.fetch_add(1, Ordering::SeqCst)))
        .build()
        .unwrap();
    (pool, begun, ended)
}

fn drop_usize(_: usize) {}

#[track_caller]
fn is_shut_down<T: std::fmt::Debug>(outcome: Result<T, TaskError>) {
    assert!(matches!(outcome, Err(TaskError::Rejected(Rejected::ShutDown))), "{outcome:?}");
}

fn sum(futures: Vec<Future<usize>>) -> usize {
    futures.into_iter().map(|future| future.result().unwrap()).sum()
}

#[test]
fn join_runs_everything_and_ends_the_threads() {
    limit(LIMIT, || {
        let (pool, begun, ended) = counted(3);
        let gate = Gate::new();
        let blocked: Vec<_> = (0..3)
            .map(|_| {
                let gate = gate.clone();
                pool.spawn(move || gate.wait())
            })
            .collect();
        eventually(|| begun.load(Ordering::SeqCst) == 3);
        assert_eq!(pool.stats().workers, 3);
        gate.open();
        pool.join();
        assert!(blocked.iter().all(|future| future.is_done()));
        assert_eq!((pool.stats().workers, ended.load(Ordering::SeqCst)), (0, 3));
        pool.join(); // again: at once
        is_shut_down(pool.spawn(|| 1).result());
    });
}

#[test]
fn dropping_the_pool_drains_and_joins() {
    limit(LIMIT, || {
        let (pool, begun, ended) = counted(5);
        let futures: Vec<_> = (0..50).map(|n| pool.spawn(move || n)).collect();
        drop(pool);
        assert!(futures.iter().all(|future| future.is_done()));
        assert_eq!(ended.load(Ordering::SeqCst), begun.load(Ordering::SeqCst), "the threads are gone");
        assert_eq!(sum(futures), (0..50).sum::<usize>());
    });
}

#[test]
fn shutdown_returns_at_once_and_what_is_queued_runs() {
    limit(LIMIT, || {
        let (pool, begun, ended) = counted(2);
        let held = hold(&pool);
        let futures: Vec<_> = (0..20).map(|n| pool.spawn(move || n)).collect();
        pool.shutdown(Shutdown::Drain); // a task is running: this doesn't wait for it
        is_shut_down(pool.spawn(|| 1).result());
        held.release();
        assert_eq!(sum(futures), (0..20).sum::<usize>());
        eventually(|| ended.load(Ordering::SeqCst) == begun.load(Ordering::SeqCst));
    });
}

#[test]
fn cancel_queued_cancels_all_that_waits_and_tells_everybody() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let futures: Vec<_> = (0..50).map(|n| pool.spawn(move || n)).collect();
        std::thread::scope(|s| {
            // Waits that began before the end hear of it, all kinds.
            let all = s.spawn(|| wait(&futures, ReturnWhen::AllCompleted).not_done.len());
            let each = s.spawn(|| as_completed(&futures).count());
            pool.shutdown(Shutdown::CancelQueued);
            assert_eq!((all.join().unwrap(), each.join().unwrap()), (0, 50));
        });
        assert!(futures.iter().all(Future::is_cancelled));
        assert!(held.future.is_running(), "what runs is not interrupted");
        held.release();
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.finished, stats.queued), (50, 1, 0));
    });
}

#[test]
fn cancel_queued_after_drain_cancels_the_rest() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let queued = pool.spawn(|| 1);
        pool.shutdown(Shutdown::Drain);
        assert!(!queued.is_done());
        pool.shutdown(Shutdown::CancelQueued);
        assert!(queued.is_cancelled());
        pool.shutdown(Shutdown::Drain); // no way back
        is_shut_down(pool.spawn(|| 1).result());
        held.release();
    });
}

#[test]
fn some_of_fifty_run_and_the_rest_is_cancelled() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(5);
        let gate = Gate::new();
        let begun = Arc::new(AtomicUsize::new(0));
        let futures: Vec<_> = (0..50)
            .map(|_| {
                let (gate, begun) = (gate.clone(), begun.clone());
                pool.spawn(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    gate.wait();
                })
            })
            .collect();
        eventually(|| begun.load(Ordering::SeqCst) == 5);
        pool.shutdown(Shutdown::CancelQueued);
        gate.open();
        pool.join();
        let cancelled = futures.iter().filter(|future| future.is_cancelled()).count();
        assert_eq!(cancelled, 45);
        assert_eq!(futures.into_iter().filter(|future| future.exception().is_none()).count(), 5);
    });
}

#[test]
fn a_cancelled_task_in_the_queue_does_not_stop_the_end() {
    limit(LIMIT, || {
        for _ in 0..200 {
            let pool = ThreadPoolExecutor::new(1);
            let future = pool.spawn(|| 1);
            future.cancel();
            pool.shutdown(Shutdown::Drain);
            pool.join_timeout(SOON).unwrap();
        }
    });
}

#[test]
fn join_timeout_says_who_is_still_busy() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("late").build().unwrap();
        let (gate, begun) = (Gate::new(), Gate::new());
        let (inner, begins) = (gate.clone(), begun.clone());
        let slow = move |()| {
            begins.open();
            inner.wait();
        };
        let running = pool.submit_with(TaskOptions::new().label("2017-03-23"), slow, ());
        let queued = [pool.spawn(|| 1), pool.spawn(|| 2)];
        begun.wait();
        let busy = pool.join_timeout(Duration::from_millis(5)).unwrap_err();
        assert_eq!(busy.queued, 2);
        let [worker] = &busy.workers[..] else { panic!("{busy:?}") };
        assert_eq!(
            (&*worker.name, worker.task, worker.label.as_deref()),
            ("late_0", running.id(), Some("2017-03-23"))
        );
        assert_eq!(busy.to_string(), "1 worker still busy: late_0 with task `2017-03-23`; 2 tasks queued");
        gate.open();
        pool.join_timeout(SOON).unwrap();
        assert_eq!(queued.map(|future| future.result().unwrap()), [1, 2]);
    });
}

/// Hooks and destructors that wait for what comes after the join.
#[test]
fn join_timeout_does_not_wait_for_what_follows_the_last_task() {
    limit(LIMIT, || {
        struct Waits(Gate);
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.wait();
            }
        }
        thread_local!(static AT_END: RefCell<Option<Waits>> = const { RefCell::new(None) });
        for by_hook in [true, false] {
            let gate = Gate::new();
            let opened = gate.clone();
            let on_exit = move || {
                if by_hook {
                    opened.wait()
                }
            };
            let pool = ThreadPoolExecutor::builder().max_workers(2).on_exit(on_exit).build().unwrap();
            let waits = (!by_hook).then(|| Waits(gate.clone()));
            pool.spawn(move || AT_END.set(waits)).result().unwrap();
            pool.shutdown(Shutdown::Drain);
            eventually(|| pool.stats().workers == 0);
            for _ in 0..2 {
                let busy = pool.join_timeout(Duration::from_millis(5)).unwrap_err();
                assert_eq!((busy.workers.len(), busy.queued), (0, 0));
                let said = "no worker holds a task, but not all have ended; 0 tasks queued";
                assert_eq!(busy.to_string(), said);
            }
            gate.open();
            pool.join_timeout(SOON).unwrap();
            pool.join_timeout(Duration::ZERO).unwrap();
            pool.join();
        }
    });
}

#[test]
fn detach_gives_the_pool_up_without_waiting() {
    limit(LIMIT, || {
        let (pool, begun, ended) = counted(2);
        let held = hold(&pool);
        let futures: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
        pool.detach(); // a task is running: this doesn't wait for it
        held.release();
        assert_eq!(sum(futures), 45);
        eventually(|| ended.load(Ordering::SeqCst) == begun.load(Ordering::SeqCst));
    });
}

#[test]
fn from_one_of_its_own_tasks() {
    limit(LIMIT, || {
        for mode in [Shutdown::Drain, Shutdown::CancelQueued] {
            let pool = Arc::new(ThreadPoolExecutor::new(1));
            let held = hold(&pool);
            let inner = pool.clone();
            let ends = pool.spawn(move || {
                inner.shutdown(mode);
                inner.join(); // a worker can't wait for its own end, and says so by returning
                assert!(inner.join_timeout(SOON).is_err());
                inner.spawn(|| 1).result()
            });
            let later = pool.spawn(|| 2);
            held.release();
            is_shut_down(ends.result().unwrap());
            match mode {
                Shutdown::Drain => assert_eq!(later.result().unwrap(), 2),
                _ => assert!(matches!(later.result(), Err(TaskError::Cancelled))),
            }
            pool.join();
        }
    });
}

#[test]
fn from_a_callback() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let held = hold(&pool);
        let first = pool.spawn(|| 1);
        let (inner, told) = (pool.clone(), Gate::new());
        let tells = told.clone();
        first.add_done_callback(move |_| {
            inner.shutdown(Shutdown::CancelQueued);
            inner.join();
            tells.open();
        });
        let second = pool.spawn(|| 2);
        held.release();
        told.wait();
        assert_eq!(first.result().unwrap(), 1);
        assert!(matches!(second.result(), Err(TaskError::Cancelled)));
        pool.join();
    });
}

#[test]
fn the_last_handle_dropped_on_its_own_worker() {
    limit(LIMIT, || {
        let (pool, begun, ended) = counted(2);
        let pool = Arc::new(pool);
        let (gate, inner) = (Gate::new(), pool.clone());
        let opened = gate.clone();
        let last = pool.spawn(move || {
            opened.wait();
            drop(inner); // the last: closes the door, and can't join itself
            7
        });
        let queued: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
        drop(pool);
        gate.open();
        assert_eq!(last.result().unwrap(), 7);
        assert_eq!(sum(queued), 45);
        eventually(|| ended.load(Ordering::SeqCst) == begun.load(Ordering::SeqCst));
    });
}

#[test]
fn a_pool_made_and_dropped_inside_a_task() {
    limit(LIMIT, || {
        let outer = ThreadPoolExecutor::new(1);
        let total = outer.spawn(|| {
            let inner = ThreadPoolExecutor::new(2);
            let results = inner.map(|n: u32| n, 0..10);
            drop(inner);
            results.map(Result::unwrap).sum::<u32>()
        });
        assert_eq!(total.result().unwrap(), 45);
    });
}

#[test]
fn while_its_thread_panics_what_is_queued_is_cancelled() {
    limit(LIMIT, || {
        let (sender, receiver) = mpsc::channel();
        let gate = Gate::new();
        let opened = gate.clone();
        let caught = catch_unwind(AssertUnwindSafe(move || {
            let pool = ThreadPoolExecutor::new(1);
            let held = hold(&pool);
            let queued: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
            for future in &queued {
                // Opens the gate only when the drop of the pool has cancelled: else its join would wait for ever.
                let gate = held.gate.clone();
                future.add_done_callback(move |_| gate.open());
            }
            sender.send((queued, held.future)).unwrap();
            let _ = &opened;
            let _pool = pool;
            panic!("the program goes wrong");
        }));
        assert!(caught.is_err());
        let (queued, running) = receiver.recv().unwrap();
        assert!(queued.iter().all(Future::is_cancelled));
        assert!(running.is_done(), "it was joined");
    });
}

#[test]
fn while_many_submit() {
    limit(LIMIT, || {
        for round in 0..50 {
            let pool = ThreadPoolExecutor::new(2);
            let mode = if round % 2 == 0 { Shutdown::Drain } else { Shutdown::CancelQueued };
            let (ran, total) = (AtomicUsize::new(0), AtomicUsize::new(0));
            std::thread::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        loop {
                            total.fetch_add(1, Ordering::SeqCst);
                            match pool.spawn(|| 1).result() {
                                Ok(_) => drop_usize(ran.fetch_add(1, Ordering::SeqCst)),
                                Err(TaskError::Cancelled) => {}
                                Err(error) => break is_shut_down::<()>(Err(error)),
                            }
                        }
                    });
                }
                eventually(|| total.load(Ordering::SeqCst) > 20);
                pool.shutdown(mode);
            });
            pool.join();
            assert_eq!(pool.stats().finished, ran.load(Ordering::SeqCst) as u64);
        }
    });
}

#[test]
fn two_joins_at_once() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let held = hold(&pool);
        std::thread::scope(|s| {
            let joiners = [s.spawn(|| pool.join()), s.spawn(|| pool.join())];
            held.release();
            for joiner in joiners {
                joiner.join().unwrap();
            }
        });
        assert_eq!(pool.stats().workers, 0);
    });
}

/// Of a worker, when its thread ends.
struct Last(Arc<AtomicUsize>, Gate);
impl Drop for Last {
    fn drop(&mut self) {
        self.1.wait();
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Nobody comes back from a join while a thread of the pool still runs destructors, whoever waits for its end.
#[test]
fn both_of_two_joins_wait_for_the_threads_themselves() {
    limit(LIMIT, || {
        for _ in 0..50 {
            // One worker: a second note on the same thread would replace the first.
            let pool = ThreadPoolExecutor::new(1);
            let (gone, gate) = (Arc::new(AtomicUsize::new(0)), Gate::new());
            let last = Last(gone.clone(), gate.clone());
            pool.spawn(move || LAST.set(Some(last))).result().unwrap();
            std::thread::scope(|s| {
                let joins = || {
                    pool.join();
                    gone.load(Ordering::SeqCst)
                };
                let joiners = [s.spawn(joins), s.spawn(joins)];
                eventually(|| pool.stats().workers == 0);
                gate.open();
                for joiner in joiners {
                    assert_eq!(joiner.join().unwrap(), 1);
                }
            });
        }
    });
}

#[test]
fn a_pool_that_never_ran_anything() {
    limit(LIMIT, || {
        let (pool, begun, _) = counted(4);
        pool.shutdown(Shutdown::Drain);
        pool.join();
        drop(pool);
        assert_eq!(begun.load(Ordering::SeqCst), 0, "no thread was ever started");
        drop(ThreadPoolExecutor::new(4));
    });
}

#[test]
fn one_pool_ends_and_others_do_not_care() {
    limit(LIMIT, || {
        let (one, other) = (ThreadPoolExecutor::new(1), ThreadPoolExecutor::new(1));
        one.join();
        assert_eq!(other.spawn(|| 1).result().unwrap(), 1);
        assert_eq!(ThreadPoolExecutor::new(1).spawn(|| 2).result().unwrap(), 2);
    });
}
