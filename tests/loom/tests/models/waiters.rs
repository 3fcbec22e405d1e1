//! Many futures: what one hub is told while it is put in, taken out, slept on.

use crate::support::{explore, thread};
use concurrent_futures::{ReturnWhen, TaskError, as_completed, promise, wait};

/// Breaks if a future that completes while the wait registers is counted twice or not at all.
#[test]
fn wait_for_all() {
    explore("wait for all", 3, || {
        let (first, a) = promise();
        let (second, b) = promise();
        let resolver = thread(move || second.set_result(2));
        let other = thread(move || first.set_result(1));
        let waited = wait([&a, &b], ReturnWhen::AllCompleted);
        assert_eq!((waited.done.len(), waited.not_done.len()), (2, 0));
        assert!(resolver.join().expect("no panic") && other.join().expect("no panic"));
    });
}

/// Breaks if the first completion is told to a wait that has not registered yet.
#[test]
fn wait_for_the_first() {
    explore("wait for the first", 3, || {
        let (first, a) = promise();
        let (second, b) = promise::<u32>();
        let resolver = thread(move || first.set_result(1));
        let waited = wait([&b, &a], ReturnWhen::FirstCompleted);
        assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
        assert!(resolver.join().expect("no panic"));
        assert!(second.set_result(2) && b.result().is_ok());
    });
}

/// Breaks if a failure during the registration goes unseen, or if a success rings.
#[test]
fn wait_for_the_first_exception() {
    explore("wait for the first exception", 3, || {
        let (good, a) = promise::<u32>();
        let (bad, b) = promise::<u32>();
        let (never, c) = promise::<u32>();
        let resolver = thread(move || {
            good.set_result(1);
            bad.set_exception(TaskError::Abandoned)
        });
        let waited = wait([&a, &b, &c], ReturnWhen::FirstException);
        assert_eq!((waited.done.len(), waited.not_done.len()), (2, 1));
        assert!(resolver.join().expect("no panic"));
        drop(never);
        assert!(matches!(b.result(), Err(TaskError::Abandoned)));
    });
}

/// No failure comes: it ends with the last of them. A cancelled one is done, and has not failed.
#[test]
fn wait_for_an_exception_that_does_not_come() {
    explore("wait for an exception that does not come", 3, || {
        let (good, a) = promise::<u32>();
        let (_kept, b) = promise::<u32>();
        let handle = b.cancel_handle();
        let canceller = thread(move || handle.cancel());
        let resolver = thread(move || good.set_result(1));
        assert_eq!(wait([&a, &b], ReturnWhen::FirstException).done.len(), 2);
        assert!(resolver.join().expect("no panic") && canceller.join().expect("no panic"));
    });
}

/// Two waits for the same two futures: each future has two entries.
#[test]
fn two_waits_for_the_same() {
    explore("two waits for the same", 1, || {
        let (first, a) = promise();
        let (second, b) = promise();
        let (a, b) = (a.shared(), b.shared());
        let (a2, b2) = (a.clone(), b.clone());
        let other = thread(move || wait([&a2, &b2], ReturnWhen::AllCompleted).done.len());
        let resolver = thread(move || first.set_result(1) && second.set_result(2));
        assert!(!wait([&a, &b], ReturnWhen::FirstCompleted).done.is_empty());
        assert_eq!(other.join().expect("no panic"), 2);
        assert!(resolver.join().expect("no panic"));
    });
}

/// Breaks if a completion comes twice or never: told while it was added, and handed out as done already.
#[test]
fn as_completed_gives_each_once() {
    explore("as_completed gives each once", 3, || {
        let (first, a) = promise();
        let (second, b) = promise();
        let one = thread(move || first.set_result(1));
        let two = thread(move || second.set_result(2));
        let mut values: Vec<u32> =
            as_completed([a, b]).map(|future| future.result().expect("a result")).collect();
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
        assert!(one.join().expect("no panic") && two.join().expect("no panic"));
    });
}

/// Grows while completions come; a slot that was handed out is used again.
#[test]
fn as_completed_grows() {
    explore("as_completed grows", 3, || {
        let (first, a) = promise();
        let (second, b) = promise();
        let resolver = thread(move || first.set_result(1) && second.set_result(2));
        let mut futures = as_completed([a]);
        let mut late = Some(b);
        let mut sum = 0;
        while let Some(future) = futures.next() {
            sum += future.result().expect("a result");
            if let Some(b) = late.take() {
                futures.add(b);
            }
        }
        assert_eq!(sum, 3);
        assert!(resolver.join().expect("no panic"));
    });
}

/// Dropped early: whoever completes later tells nobody.
#[test]
fn as_completed_is_dropped_early() {
    explore("as_completed is dropped early", 3, || {
        let (first, a) = promise();
        let (second, b) = promise();
        let resolver = thread(move || first.set_result(1) && second.set_result(2));
        let mut futures = as_completed([&a, &b]);
        assert!(futures.next().is_some());
        drop(futures);
        assert_eq!((a.result().expect("a"), b.result().expect("b")), (1, 2));
        assert!(resolver.join().expect("no panic"));
    });
}
