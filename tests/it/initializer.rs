//! The initializer: before each worker's first task, or the pool is broken and everybody is told why.

use crate::support::{Gate, LIMIT, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Panicked, TaskError};
use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local!(static STATE: Cell<&'static str> = const { Cell::new("uninitialized") });

#[test]
fn runs_in_each_worker_before_its_first_task() {
    limit(LIMIT, || {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(2)
            .initializer(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                STATE.set("initialized");
            })
            .build()
            .unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 0, "not before there is a worker");
        let states: Result<Vec<_>, _> = pool.map(|_| STATE.get(), 0..100).collect();
        assert!(states.unwrap().iter().all(|state| *state == "initialized"));
        // A second worker may still be on its way when the first has done all.
        crate::support::eventually(|| count.load(Ordering::SeqCst) == pool.stats().workers);
        assert!((1..=2).contains(&count.load(Ordering::SeqCst)));
    });
}

#[test]
fn a_failing_one_is_told_to_every_future_and_every_later_submit() {
    limit(LIMIT, || {
        let gate = Gate::new();
        let opened = gate.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(2)
            .try_initializer(move || {
                opened.wait();
                Err("no licence".into())
            })
            .build()
            .unwrap();
        let queued: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
        gate.open();
        let mut errors: Vec<_> = queued.into_iter().map(|future| future.result().unwrap_err()).collect();
        errors.push(pool.spawn(|| 0).result().unwrap_err());
        errors.extend(pool.map(|n| n, 0..2).map(Result::unwrap_err));
        errors.push((&pool as &dyn Executor).submit(|n: u8| n, 0).result().unwrap_err());
        for error in errors {
            let TaskError::Broken(broken) = &error else { panic!("{error:?}") };
            assert_eq!(broken.reason(), "its initializer failed");
            assert_eq!(broken.cause().unwrap().to_string(), "no licence");
            // The chain prints each cause once: the message has it, so `source` goes on behind it.
            assert!(error.to_string().ends_with("no licence") && error.source().is_none(), "{error}");
        }
        assert_eq!(pool.stats().finished, 0);
        pool.join();
    });
}

#[test]
fn a_panicking_one_breaks_the_pool_with_its_panic() {
    limit(LIMIT, || {
        let pool =
            ThreadPoolExecutor::builder().max_workers(1).initializer(|| panic!("no model")).build().unwrap();
        let error = pool.spawn(|| 1).result().unwrap_err();
        let TaskError::Broken(broken) = &error else { panic!("{error:?}") };
        let panic = broken.cause().unwrap().downcast_ref::<Panicked>().unwrap();
        assert_eq!(panic.message(), "no model");
        assert!(panic.location().unwrap().contains("initializer.rs"));
    });
}

#[test]
fn broken_is_said_before_shut_down() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().try_initializer(|| Err("bad".into())).build().unwrap();
        assert!(pool.spawn(|| 1).result().is_err());
        pool.join();
        assert!(matches!(pool.spawn(|| 1).result(), Err(TaskError::Broken(_))));
    });
}

#[test]
fn waits_of_all_kinds_end_when_the_pool_breaks() {
    limit(LIMIT, || {
        let gate = Gate::new();
        let opened = gate.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(1)
            .try_initializer(move || {
                opened.wait();
                Err("bad".into())
            })
            .build()
            .unwrap();
        let futures: Vec<_> = (0..20).map(|n| pool.spawn(move || n)).collect();
        std::thread::scope(|s| {
            let all = s.spawn(|| wait(&futures, ReturnWhen::AllCompleted).not_done.len());
            let first = s.spawn(|| wait(&futures, ReturnWhen::FirstException).done.is_empty());
            let each = s.spawn(|| as_completed(&futures).count());
            gate.open();
            assert_eq!((all.join().unwrap(), first.join().unwrap(), each.join().unwrap()), (0, false, 20));
        });
        assert_eq!((pool.stats().failed, pool.stats().submitted()), (20, 20));
    });
}

#[test]
fn one_that_fails_in_a_second_worker_leaves_running_tasks_alone() {
    limit(LIMIT, || {
        let count = AtomicUsize::new(0);
        let pool = ThreadPoolExecutor::builder()
            .max_workers(2)
            .try_initializer(move || match count.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(()),
                _ => Err("only one licence".into()),
            })
            .build()
            .unwrap();
        let held = crate::support::hold(&pool);
        let second = pool.spawn(|| 2);
        assert!(matches!(second.result(), Err(TaskError::Broken(_))));
        assert!(held.future.is_running());
        held.release();
        pool.join();
    });
}

#[test]
fn it_may_use_the_pool_it_belongs_to() {
    limit(LIMIT, || {
        let pool: Arc<std::sync::OnceLock<ThreadPoolExecutor>> = Arc::default();
        let inner = pool.clone();
        let built = ThreadPoolExecutor::builder()
            .max_workers(2)
            .initializer(move || {
                let _ = inner.get().map(|pool| pool.stats());
            })
            .build()
            .unwrap();
        let built = pool.get_or_init(|| built);
        assert_eq!(built.spawn(|| 1).result().unwrap(), 1);
        built.join();
    });
}

#[test]
fn nothing_is_left_after_a_failure() {
    limit(LIMIT, || {
        let live = crate::support::Live::new();
        let (kept, token) = (live.token(), live.token());
        let pool = ThreadPoolExecutor::builder()
            .max_workers(3)
            .try_initializer(move || {
                let _ = &kept;
                Err("bad".into())
            })
            .build()
            .unwrap();
        let future = pool.spawn(move || drop(token));
        assert!(future.result().is_err());
        pool.join();
        assert_eq!(
            (pool.stats().workers, live.count()),
            (0, 1),
            "the closure is gone, the initializer is the pool's"
        );
        drop(pool);
        crate::support::eventually(|| live.count() == 0);
    });
}
