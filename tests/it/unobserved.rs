//! Failures that nobody saw: told once through the hook, or the log; failures that somebody saw: not at all.

use crate::support::{LIMIT, hold, keep_log, limit, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::{FutureId, TaskError, promise};

/// Whether the log has it. The hook itself is for the whole process, and has its test in its documentation.
fn reported(id: FutureId) -> bool {
    was_logged(&["ERROR", &format!("task {id} failed and nobody asked")])
}

#[test]
fn dropped_before_or_after_the_end_it_is_told() {
    limit(LIMIT, || {
        keep_log();
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let early = pool.try_spawn(|| Err::<(), _>("early"));
        let id = early.id();
        early.detach();
        held.release();
        pool.spawn(|| ()).result().unwrap();
        assert!(reported(id) && was_logged(&[&id.to_string(), "early"]));
        let late = pool.spawn(|| -> () { panic!("late 9125") });
        late.wait();
        let id = late.id();
        assert!(!reported(id), "somebody may still ask");
        drop(late);
        assert!(reported(id) && was_logged(&["late 9125", "unobserved.rs"]));
        let lazily = pool.map(|n: u8| assert_eq!(n, 0), [1]);
        pool.join();
        drop(lazily);
        assert!(was_logged(&["nobody asked", "left: 1"]));
    });
}

#[test]
fn whoever_saw_it_silences_it() {
    limit(LIMIT, || {
        keep_log();
        let pool = ThreadPoolExecutor::new(1);
        let fails = || pool.try_spawn(|| Err::<(), _>("seen"));
        let mut ids = Vec::new();
        let mut note = |future: &concurrent_futures::Future<()>| ids.push(future.id());
        let by_result = fails();
        note(&by_result);
        assert!(by_result.result().is_err());
        let by_exception = fails();
        note(&by_exception);
        assert!(by_exception.exception().is_some());
        drop(by_exception);
        let by_callback = fails();
        note(&by_callback);
        by_callback.add_done_callback(|done| assert!(done.error().is_some()));
        by_callback.wait();
        let held = hold(&pool); // the callback ran before this began
        drop(by_callback);
        held.release();
        let by_as_completed = fails();
        note(&by_as_completed);
        as_completed([by_as_completed]).for_each(drop);
        let by_shared = fails();
        note(&by_shared);
        let shared = by_shared.shared();
        assert!(shared.clone().result().is_err());
        drop(shared);
        pool.join();
        assert!(!ids.into_iter().any(reported));
    });
}

#[test]
fn a_cancel_is_no_failure() {
    limit(LIMIT, || {
        keep_log();
        let (kept, cancelled) = promise::<()>();
        let id = cancelled.id();
        cancelled.cancel();
        drop(cancelled);
        drop(kept);
        let (promise, unwanted) = promise::<()>();
        let given_up = unwanted.id();
        drop(unwanted);
        drop(promise); // both ends given up: nobody lost anything
        assert!(!reported(id) && !reported(given_up));
        let (promise, unwanted) = self::promise::<()>();
        let id = unwanted.id();
        drop(unwanted);
        promise.set_exception(TaskError::Failed(concurrent_futures::Failed::new("lost")));
        assert!(reported(id));
    });
}
