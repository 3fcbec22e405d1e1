//! Options of one task: what threads honour, and what they refuse with a reason.

use crate::support::{LIMIT, Live, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, MapOptions, Rejected, TaskError, TaskOptions};
use std::time::Duration;

#[track_caller]
fn is_refused<T: std::fmt::Debug>(outcome: Result<T, TaskError>) {
    let error = outcome.unwrap_err();
    assert!(matches!(&error, TaskError::Rejected(Rejected::Unsupported(_))), "{error:?}");
    assert!(error.to_string().contains("result_timeout"), "it says what to do instead: {error}");
}

#[test]
fn a_time_limit_is_refused_by_threads() {
    limit(LIMIT, || {
        let (pool, inline) = (ThreadPoolExecutor::new(1), InlineExecutor::new());
        let limited = || TaskOptions::new().timeout(Duration::from_secs(1));
        let live = Live::new();
        let token = live.token();
        let refused = pool.submit_with(limited(), |token| drop(token), token);
        assert_eq!((refused.is_done(), live.count()), (true, 0), "nothing of it is kept");
        is_refused(refused.result());
        is_refused(pool.try_submit_with(limited(), |()| Ok::<_, String>(()), ()).result());
        is_refused(inline.submit_with(limited(), |()| (), ()).result());
        for executor in [&pool as &dyn Executor, &inline] {
            is_refused(executor.submit_with(limited(), |n: u8| n, 1).result());
            let options = MapOptions::new().tasks(limited()).chunksize(2);
            executor.map_with(options, |n: u8| n, 0..3).for_each(is_refused);
        }
        pool.map_with(MapOptions::new().tasks(limited()), |n: u8| n, 0..3).for_each(is_refused);
        assert_eq!(pool.stats().submitted(), 0);
    });
}

#[test]
fn retries_have_no_effect_on_threads() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let options = || TaskOptions::new().retries(3);
        assert_eq!(pool.submit_with(options(), |n: u8| n, 1).result().unwrap(), 1);
        let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = runs.clone();
        let fails = move |()| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Err::<(), _>("its own error")
        };
        assert!(pool.try_submit_with(options(), fails, ()).result().is_err());
        assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 1);
    });
}

#[test]
fn what_was_asked_can_be_read() {
    limit(LIMIT, || {
        let options = TaskOptions::new().label("a").retries(2).timeout(Duration::from_secs(3));
        assert_eq!(options.get_label().map(|label| &**label), Some("a"));
        assert_eq!((options.get_retries(), options.get_timeout()), (2, Some(Duration::from_secs(3))));
        let (task, _future) = concurrent_futures::Task::local(|| ());
        assert_eq!(*task.options(), TaskOptions::new());
        let task = task.with_options(options.clone()).with_options(TaskOptions::new());
        assert_eq!(*task.options(), options, "given once");
    });
}

#[test]
fn labels_of_a_map_reach_its_tasks() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = crate::support::hold(&pool);
        let options = MapOptions::new().tasks(TaskOptions::new().label("thumbnails")).buffersize(2);
        let map = pool.map_with(options, |n: u8| n, 0..2);
        held.release();
        assert_eq!(map.map(Result::unwrap).collect::<Vec<_>>(), [0, 1]);
    });
}
