//! Done-callbacks: when, where, in which order, and what a bad one can't do.

use crate::support::{Gate, LIMIT, Live, hold, keep_log, limit, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::{Completion, Failed, Promise, Shutdown, TaskError, promise};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

fn told(sender: &Sender<Completion>) -> impl FnOnce(&Completion) + Send + use<> {
    let sender = sender.clone();
    move |done| sender.send(done.clone()).unwrap()
}

#[test]
fn told_of_a_result() {
    limit(LIMIT, || {
        let (sender, receiver) = mpsc::channel();
        let (promise, future) = promise();
        future.add_done_callback(told(&sender));
        promise.set_result(5);
        let done = receiver.try_recv().unwrap();
        assert!(done.id() == future.id() && done.error().is_none() && !done.is_cancelled());
        assert_eq!(future.result().unwrap(), 5);
    });
}

#[test]
fn told_of_a_failure() {
    limit(LIMIT, || {
        let (sender, receiver) = mpsc::channel();
        let (promise, future) = promise::<i32>();
        future.add_done_callback(told(&sender));
        promise.set_exception(TaskError::Failed(Failed::new("test")));
        let done = receiver.try_recv().unwrap();
        assert_eq!(done.error().unwrap().to_string(), "test");
        assert!(!done.is_cancelled());
    });
}

#[test]
fn told_of_a_cancel_before_cancel_returns() {
    limit(LIMIT, || {
        let (sender, receiver) = mpsc::channel();
        let (_promise, future) = promise::<i32>();
        future.add_done_callback(told(&sender));
        assert!(future.cancel());
        assert!(receiver.try_recv().unwrap().is_cancelled());
        assert!(future.cancel());
        assert!(receiver.try_recv().is_err(), "once, not at each cancel");
    });
}

#[test]
fn told_at_once_when_it_is_done_already() {
    limit(LIMIT, || {
        let (sender, receiver) = mpsc::channel();
        let (ok, failed, cancelled) = (promise(), promise(), promise::<i32>());
        ok.0.set_result(5);
        failed.0.set_exception(TaskError::Abandoned);
        cancelled.1.cancel();
        for future in [&ok.1, &failed.1, &cancelled.1] {
            future.add_done_callback(told(&sender));
            let done = receiver.try_recv().expect("before add_done_callback returned");
            assert_eq!(done.id(), future.id());
            assert_eq!(done.error().map(ToString::to_string), future.exception().map(|e| e.to_string()));
        }
    });
}

#[test]
fn in_the_order_added_and_the_same_one_twice() {
    limit(LIMIT, || {
        for cancel in [false, true] {
            let calls = Arc::new(Mutex::new(Vec::new()));
            let (promise, future) = promise();
            for n in [0, 1, 1, 2, 3, 4] {
                let calls = calls.clone();
                future.add_done_callback(move |_| calls.lock().unwrap().push(n));
            }
            if cancel {
                future.cancel();
            } else {
                promise.set_result(());
            }
            assert_eq!(*calls.lock().unwrap(), [0, 1, 1, 2, 3, 4]);
        }
    });
}

#[test]
fn on_the_thread_that_ends_the_task() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("ends").build().unwrap();
        let (sender, receiver) = mpsc::channel();
        let whoami = || {
            let sender = sender.clone();
            move |_: &Completion| sender.send(thread::current().name().map(str::to_owned)).unwrap()
        };
        let gate = Gate::new();
        let inner = gate.clone();
        let future = pool.spawn(move || inner.wait());
        future.add_done_callback(whoami());
        gate.open();
        assert_eq!(receiver.recv().unwrap().as_deref(), Some("ends_0"));
        let held = hold(&pool);
        let queued = pool.spawn(|| ());
        queued.add_done_callback(whoami());
        thread::scope(|s| {
            let canceller = thread::Builder::new().name("canceller".into());
            canceller.spawn_scoped(s, || queued.cancel()).unwrap();
        });
        assert_eq!(receiver.try_recv().unwrap().as_deref(), Some("canceller"));
        queued.add_done_callback(whoami());
        assert_eq!(receiver.try_recv().unwrap().as_deref(), thread::current().name());
        held.release();
    });
}

#[test]
fn one_that_panics_is_logged_and_the_next_runs() {
    limit(LIMIT, || {
        keep_log();
        let (sender, receiver) = mpsc::channel();
        let (promise, future) = promise();
        future.add_done_callback(|_| panic!("callback 5417 broke"));
        future.add_done_callback(told(&sender));
        assert!(promise.set_result(()), "the panic does not reach whoever sets the result");
        assert!(receiver.try_recv().is_ok());
        assert!(was_logged(&["ERROR", "done-callback", "callbacks.rs", "callback 5417 broke"]));
    });
}

#[test]
fn one_that_panics_at_once_is_logged_and_goes_no_further() {
    limit(LIMIT, || {
        keep_log();
        let (promise, future) = promise();
        promise.set_result(());
        future.add_done_callback(|_| panic!("callback 5418 broke"));
        assert!(was_logged(&["ERROR", "callback 5418 broke"]));
    });
}

#[test]
fn one_that_panics_costs_no_worker() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        for _ in 0..20 {
            let gate = Gate::new();
            let inner = gate.clone();
            let future = pool.spawn(move || inner.wait());
            // What no handler for ordinary errors would catch, in any language.
            future.add_done_callback(|_| std::panic::panic_any(crate::support::Bomb));
            gate.open();
            future.result().unwrap();
        }
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
        assert_eq!(pool.stats().workers, 1);
    });
}

#[test]
fn waits_are_over_before_callbacks_run() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let (run, done) = (Gate::new(), Gate::new());
        let (running, finish) = (run.clone(), done.clone());
        let slow = pool.spawn(move || running.wait());
        slow.add_done_callback(move |_| finish.wait());
        run.open();
        slow.result().unwrap(); // the callback still runs, and can't end before the gate opens
        // It holds its own thread only.
        assert_eq!(pool.spawn(|| 7).result().unwrap(), 7);
        done.open();
    });
}

#[test]
fn may_do_whatever_they_like() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (sender, receiver) = mpsc::channel();
        let gate = Gate::new();
        let inner = gate.clone();
        let shared = pool.spawn(move || inner.wait()).shared();
        let again = (pool.clone(), sender.clone());
        shared.add_done_callback(move |future| {
            assert!(future.result().is_ok(), "reads its own future");
            let sender = again.1.clone();
            future.add_done_callback(move |_| sender.send("added inside").unwrap());
            // Waits for its own pool, on its only worker.
            let text = again.0.spawn(|| "submitted inside").result().unwrap();
            again.1.send(text).unwrap();
        });
        shared.add_done_callback(move |_| sender.send("added before").unwrap());
        gate.open();
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["added inside", "submitted inside", "added before"]);
    });
}

#[test]
fn may_submit_in_chains() {
    limit(LIMIT, || {
        fn next(pool: Arc<ThreadPoolExecutor>, left: usize, sender: Sender<usize>) {
            sender.send(left).unwrap();
            if left > 0 {
                let clone = pool.clone();
                pool.spawn(|| ()).add_done_callback(move |_| next(clone, left - 1, sender));
            }
        }
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let (sender, receiver) = mpsc::channel();
        next(pool.clone(), 500, sender);
        assert_eq!(receiver.iter().count(), 501);
        // Callbacks hold the pool; the last of them may be its owner now, on its own worker.
        drop(pool);
    });
}

/// `len` promises, each resolved in the callback of the one before it; gives the first, and where the last is told.
fn chain(len: usize, each: impl Fn() + Send + Sync + 'static) -> (Promise<usize>, mpsc::Receiver<usize>) {
    let each = Arc::new(each);
    let (sender, receiver) = mpsc::channel();
    let (first, mut future) = promise::<usize>();
    for n in 1..len {
        let (promise, next) = self::promise();
        let each = each.clone();
        future.add_done_callback(move |_| {
            each();
            promise.set_result(n);
        });
        future = next;
    }
    future.shared().add_done_callback(move |last| sender.send(*last.result().unwrap()).unwrap());
    (first, receiver)
}

#[test]
fn a_chain_of_100_000_does_not_overflow_the_stack() {
    limit(LIMIT, || {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let (first, last) = chain(100_000, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        // Depth is what is tested, so the stack is made small.
        let resolver = thread::Builder::new().stack_size(256 * 1024);
        resolver.spawn(move || first.set_result(0)).unwrap().join().unwrap();
        assert_eq!(last.try_recv().unwrap(), 99_999);
        assert_eq!(count.load(Ordering::Relaxed), 99_999);
    });
}

#[test]
fn a_chain_on_a_worker_leaves_the_worker_alive() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (first, last) = chain(100_000, || ());
        let future = pool.spawn(move || first.set_result(0));
        assert!(future.result().unwrap());
        assert_eq!(last.recv().unwrap(), 99_999);
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_chain_of_cancels_and_of_drops_ends_as_well() {
    limit(LIMIT, || {
        // Each callback drops the next promise unresolved: abandoned, 20 000 times over.
        let (first, mut future) = promise::<()>();
        for _ in 0..20_000 {
            let (promise, next) = promise::<()>();
            future.add_done_callback(move |_| drop(promise));
            future = next;
        }
        drop(first);
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
    });
}

#[test]
fn what_they_capture_is_dropped_whether_they_run_or_not() {
    limit(LIMIT, || {
        let live = Live::new();
        let (promise, future) = promise();
        let token = live.token();
        future.add_done_callback(move |_| drop(token));
        promise.set_result(());
        assert_eq!(live.count(), 0);
        // A promise dropped with both ends: the callback still runs, once.
        let (promise, future) = self::promise::<()>();
        let token = live.token();
        future.add_done_callback(move |done| {
            assert!(matches!(done.error(), Some(TaskError::Abandoned)));
            drop(token);
        });
        drop(future);
        assert_eq!(live.count(), 1);
        drop(promise);
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn run_for_futures_cancelled_by_shutdown() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let (sender, receiver) = mpsc::channel();
        let queued: Vec<_> = (0..5).map(|n| pool.spawn(move || n)).collect();
        queued.iter().for_each(|future| future.add_done_callback(told(&sender)));
        pool.shutdown(Shutdown::CancelQueued);
        drop(sender);
        assert_eq!(receiver.iter().filter(Completion::is_cancelled).count(), 5);
        held.release();
    });
}

#[test]
fn race_with_the_end_and_run_exactly_once() {
    limit(LIMIT, || {
        for n in 0..2_000 {
            let (promise, future) = promise();
            let count = Arc::new(AtomicUsize::new(0));
            thread::scope(|s| {
                let counted = count.clone();
                let future = &future;
                s.spawn(move || {
                    for _ in 0..3 {
                        let counted = counted.clone();
                        future.add_done_callback(move |_| {
                            counted.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
                if n % 2 == 0 {
                    promise.set_result(());
                } else {
                    future.cancel();
                }
            });
            assert_eq!(count.load(Ordering::Relaxed), 3);
        }
    });
}
