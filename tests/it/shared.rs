//! The handle that can be cloned: one value, read in place by many.

use crate::support::{LIMIT, Live, SOON, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{TaskError, promise};
use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn clones_are_the_same_future() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (one, other) = (pool.spawn(|| 1).shared(), pool.spawn(|| 1).shared());
        assert_eq!(one, one.clone());
        assert_ne!(one, other);
        assert_eq!(HashSet::from([one.clone(), one.clone(), other]).len(), 2);
        assert_eq!(one.id(), one.clone().id());
    });
}

#[test]
fn every_read_lends_the_same_value() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let shared = pool.spawn(|| vec![1, 2]).shared();
        let (first, again) = (shared.result().unwrap(), shared.result().unwrap());
        assert!(std::ptr::eq(first, again));
        assert!(std::ptr::eq(first, shared.clone().result_timeout(Duration::ZERO).unwrap().unwrap()));
    });
}

#[test]
fn every_read_gives_the_error() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let shared = pool.spawn(|| -> u8 { panic!("no value") }).shared();
        for _ in 0..3 {
            let error = shared.clone().result().unwrap_err();
            assert!(matches!(&error, TaskError::Panicked(panic) if panic.message() == "no value"));
            assert!(shared.exception().is_some());
        }
    });
}

#[test]
fn cancel_through_one_is_cancelled_for_all() {
    limit(LIMIT, || {
        let (_promise, future) = promise::<u8>();
        let shared = future.shared();
        let other = shared.clone();
        assert!(shared.exception_timeout(Duration::ZERO).is_err());
        assert!(other.cancel() && shared.is_cancelled() && shared.is_done());
        assert!(matches!(shared.result(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn a_callback_gets_the_future_and_reads_its_value() {
    limit(LIMIT, || {
        let (promise, future) = promise();
        let shared = future.shared();
        let (sender, receiver) = mpsc::channel();
        let early = sender.clone();
        shared.add_done_callback(move |future| early.send(*future.result().unwrap()).unwrap());
        promise.set_result(5);
        assert_eq!(receiver.recv().unwrap(), 5);
        shared.add_done_callback(move |future| sender.send(*future.result().unwrap() + 1).unwrap());
        assert_eq!(receiver.try_recv().unwrap(), 6, "at once, since it is done");
    });
}

#[test]
fn a_pending_callback_does_not_keep_it_for_ever() {
    limit(LIMIT, || {
        let live = Live::new();
        let (promise, future) = promise();
        let shared = future.shared();
        shared.add_done_callback(|future| assert!(future.result().is_ok()));
        let token = live.token();
        promise.set_result(token);
        assert_eq!(live.count(), 1);
        drop(shared);
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn the_last_clone_drops_the_value() {
    limit(LIMIT, || {
        let (live, pool) = (Live::new(), ThreadPoolExecutor::new(1));
        for read in [false, true] {
            let token = live.token();
            let shared = pool.spawn(move || token).shared();
            let clones: Vec<_> = (0..5).map(|_| shared.clone()).collect();
            if read {
                assert!(shared.result().is_ok());
            } else {
                shared.wait();
            }
            drop(clones);
            assert_eq!(live.count(), 1);
            drop(shared);
            assert_eq!(live.count(), 0);
        }
    });
}

#[test]
fn waits_take_clones_as_what_they_are() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let shared = pool.spawn(|| 1).shared();
        // Python collapses duplicates; here each item given comes back, since it may carry a key.
        let waited = wait([shared.clone(), shared.clone()], ReturnWhen::AllCompleted);
        assert_eq!((waited.done.len(), waited.not_done.len()), (2, 0));
        let keys: Vec<_> =
            as_completed([("a", shared.clone()), ("b", shared.clone())]).map(|(k, _)| k).collect();
        assert_eq!(keys.len(), 2);
        assert!(shared.wait_timeout(SOON));
    });
}
