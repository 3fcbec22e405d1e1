//! Drops: when the user's values go, and what a drop that panics can't do.

use crate::support::{Bomb, Gate, LIMIT, Live, eventually, hold, keep_log, limit, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::{Shutdown, TaskError, promise};
use std::sync::Arc;

/// A pool of one worker that does `harm` and must be as good as new after it.
fn survives(harm: impl Fn(&ThreadPoolExecutor)) {
    let pool = ThreadPoolExecutor::new(1);
    let worker = pool.spawn(|| std::thread::current().id()).result().unwrap();
    for _ in 0..10 {
        harm(&pool);
        assert_eq!(pool.spawn(|| std::thread::current().id()).result().unwrap(), worker, "the worker died");
    }
    assert_eq!(pool.stats().workers, 1);
}

#[test]
fn a_closure_that_panics_when_dropped() {
    limit(LIMIT, || {
        survives(|pool| {
            let bomb = Bomb;
            // Run: its captures are dropped by the run.
            let future = pool.spawn(move || {
                let _kept = &bomb;
                5
            });
            future.wait();
        });
        survives(|pool| {
            let held = hold(pool);
            let bomb = Bomb;
            let future = pool.spawn(move || drop(bomb));
            assert!(future.cancel(), "the panic of the drop does not reach whoever cancels");
            assert!(matches!(future.result(), Err(TaskError::Cancelled)));
            held.release();
        });
    });
}

#[test]
fn an_argument_that_panics_when_dropped() {
    limit(LIMIT, || {
        survives(|pool| {
            let error = pool.submit(|bomb: Bomb| drop(bomb), Bomb).result().unwrap_err();
            assert!(matches!(error, TaskError::Panicked(panic) if panic.message() == "a bomb was dropped"));
        });
        survives(|pool| {
            let held = hold(pool);
            assert!(pool.submit(|bomb: Bomb| drop(bomb), Bomb).cancel());
            held.release();
        });
    });
}

#[test]
fn a_result_nobody_wants_that_panics_when_dropped() {
    limit(LIMIT, || {
        keep_log();
        survives(|pool| {
            let held = hold(pool);
            pool.spawn(|| Bomb).detach();
            held.release();
            pool.spawn(|| ()).result().unwrap();
        });
        assert!(was_logged(&["ERROR", "a drop panicked", "a bomb was dropped"]));
    });
}

#[test]
fn a_result_dropped_by_its_owner_panics_there() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let future = pool.spawn(|| Bomb);
        future.wait();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(future))).is_err());
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_panic_payload_that_panics_when_dropped() {
    limit(LIMIT, || {
        survives(|pool| {
            let error = pool.spawn(|| std::panic::panic_any(Bomb)).result().unwrap_err();
            drop(error); // and the payload with it, contained
        });
        survives(|pool| {
            let held = hold(pool);
            pool.spawn(|| std::panic::panic_any(Bomb)).detach();
            held.release();
        });
    });
}

#[test]
fn a_tasks_error_that_panics_when_dropped() {
    limit(LIMIT, || {
        #[derive(Debug, thiserror::Error)]
        #[error("a bomb")]
        struct Explosive(Bomb);
        survives(|pool| {
            let held = hold(pool);
            pool.try_spawn(|| Err::<(), _>(Explosive(Bomb))).detach();
            held.release();
        });
    });
}

#[test]
fn an_error_goes_with_its_future_and_not_with_the_pool() {
    limit(LIMIT, || {
        #[derive(thiserror::Error)]
        #[error("it holds something")]
        struct Holds(crate::support::Token, bool);
        impl std::fmt::Debug for Holds {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("Holds")
            }
        }
        impl Drop for Holds {
            fn drop(&mut self) {
                assert!(!self.1 || std::thread::panicking(), "an error was dropped");
            }
        }
        let (pool, live) = (Arc::new(ThreadPoolExecutor::new(1)), Live::new());
        // Run in place, so that its entry in the queue outlives it.
        let (inner, counted) = (pool.clone(), live.clone());
        let left = pool.spawn(move || {
            let fails = |explodes| {
                let token = counted.token();
                inner.try_spawn(move || Err::<(), _>(Holds(token, explodes)))
            };
            let (read, unread) = (fails(false), fails(false));
            drop(read.result());
            unread.wait();
            drop(unread);
            let explosive = fails(true).result();
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(explosive))).is_err());
            counted.count()
        });
        assert_eq!(left.result().unwrap(), 0);
        // Its worker has looked through the queue, and lives.
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
        assert_eq!(pool.stats().workers, 1);
        // A callback is told of an error that its owner has taken meanwhile.
        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, opened) = (begun.clone(), gate.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        let (promise, future) = promise::<()>();
        future.add_done_callback(move |_| {
            begins.open();
            opened.wait();
        });
        future.add_done_callback(move |done| sender.send(done.error().map(ToString::to_string)).unwrap());
        std::thread::scope(|s| {
            s.spawn(|| promise.set_exception(TaskError::Failed(concurrent_futures::Failed::new("taken"))));
            begun.wait();
            drop(future.result());
            gate.open();
        });
        assert_eq!(receiver.recv().unwrap().as_deref(), Some("taken"));
    });
}

#[test]
fn a_callback_that_panics_when_dropped() {
    limit(LIMIT, || {
        survives(|pool| {
            let held = hold(pool);
            let (future, bomb) = (pool.spawn(|| 1), Bomb);
            future.add_done_callback(move |_| {
                let _kept = &bomb;
            });
            held.release();
            future.wait();
        });
    });
}

#[test]
fn a_value_set_too_late_panics_where_it_is_set() {
    limit(LIMIT, || {
        let (promise, future) = promise();
        assert!(future.cancel());
        let late = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| promise.set_result(Bomb)));
        drop(late); // contained or not is the caller's own stack
        assert!(matches!(future.exception(), Some(TaskError::Cancelled)));
    });
}

#[test]
fn queues_full_of_bombs_are_cancelled_by_shutdown() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let futures: Vec<_> = (0..20)
            .map(|_| {
                let bomb = Bomb;
                pool.spawn(move || drop(bomb))
            })
            .collect();
        pool.shutdown(Shutdown::CancelQueued);
        assert!(futures.iter().all(|future| future.is_cancelled()));
        held.release();
        pool.join();
    });
}

#[test]
fn work_is_gone_before_its_end_is_seen() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let live = Live::new();
        for n in 0..2_000 {
            let (captured, argument) = (live.token(), live.token());
            let f = move |argument| {
                let _both = (&captured, &argument);
                assert!(n % 3 != 0 || std::thread::panicking() || n % 2 == 0);
            };
            let future = pool.submit(f, argument);
            future.wait();
            assert_eq!(live.count(), 0);
        }
    });
}

#[test]
fn an_idle_worker_holds_nothing_of_its_last_task() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let data = Arc::new(vec![0u8; 1000]);
        let (captured, weak) = (data.clone(), Arc::downgrade(&data));
        drop(data);
        let copy = pool.spawn(move || captured.clone());
        let kept = copy.result().unwrap();
        assert_eq!(Arc::strong_count(&kept), 1, "the result is moved out, and nothing else is left");
        drop(kept);
        assert!(weak.upgrade().is_none());
    });
}

#[test]
fn a_future_dropped_early_has_its_result_dropped_where_it_is_made() {
    limit(LIMIT, || {
        struct Tell(std::sync::mpsc::Sender<Option<String>>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.send(std::thread::current().name().map(str::to_owned)).unwrap();
            }
        }
        let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("maker").build().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let held = hold(&pool);
        let tell = sender.clone();
        drop(pool.spawn(move || Tell(tell)));
        held.release();
        assert_eq!(receiver.recv().unwrap().as_deref(), Some("maker_0"));
        let done = pool.spawn(move || Tell(sender));
        done.wait();
        drop(done);
        assert_eq!(receiver.recv().unwrap().as_deref(), std::thread::current().name());
    });
}

#[test]
fn cancel_drops_the_closure_there_and_then() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let live = Live::new();
        let tokens: Vec<_> = (0..100).map(|_| live.token()).collect();
        let futures: Vec<_> = tokens.into_iter().map(|token| pool.spawn(move || token)).collect();
        for (cancelled, future) in futures.iter().enumerate() {
            assert!(future.cancel());
            assert_eq!(live.count(), 99 - cancelled);
        }
        held.release();
    });
}

#[test]
fn a_drop_may_use_the_pool() {
    limit(LIMIT, || {
        struct Submits(Arc<ThreadPoolExecutor>, Gate);
        impl Drop for Submits {
            fn drop(&mut self) {
                assert_eq!(self.0.spawn(|| 1).result().unwrap(), 1);
                self.1.open();
            }
        }
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        for _ in 0..10 {
            let (gate, held) = (Gate::new(), hold(&pool));
            let submits = Submits(pool.clone(), gate.clone());
            let unwanted = pool.spawn(move || submits);
            drop(unwanted);
            held.release();
            gate.wait();
        }
        // On the thread that cancels, with no lock of the pool's held.
        let held = hold(&pool);
        struct Looks(Arc<ThreadPoolExecutor>);
        impl Drop for Looks {
            fn drop(&mut self) {
                self.0.spawn(|| 2).detach();
                let _ = self.0.stats();
            }
        }
        let looks = Looks(pool.clone());
        assert!(pool.spawn(move || drop(looks)).cancel());
        held.release();
        eventually(|| pool.stats().queued == 0);
    });
}
