//! The cell's memory: who may touch the body, and who frees it. loom looks at each use of a body and of the watchers, and
//! the last pointer is compared with what each other one noted when it went.

use crate::support::{Counted, count, pool, thread};
use concurrent_futures::internals::{PortableTask, see_counts};
use concurrent_futures::{TaskError, promise};

/// With the counts of pointers where they are, in the words; other models have them apart.
fn explore(name: &'static str, preemptions: usize, program: impl Fn() + Sync + Send + 'static) {
    see_counts(true);
    crate::support::explore(name, preemptions, program);
    see_counts(false);
}

/// The worker publishes and lets go in one step, while a wait marks the word. Breaks if the step overlooks the mark (nobody
/// wakes the waiter), if it is no Release (the value is not there yet), or if the worker touches the cell after it.
#[test]
fn finished_against_watch() {
    explore("finished against watch", 2, || {
        let (value, drops) = Counted::new();
        let pool = pool(1);
        let future = pool.spawn(move || value);
        drop(future.result().expect("it ran"));
        assert_eq!(count(&drops), 1);
    });
}

/// The same against the drop of the future. Breaks if the step overlooks that mark: then the value stays in the cell, and
/// goes with it, or with whatever keeps that.
#[test]
fn finished_against_drop_of_the_future() {
    explore("finished against drop of the future", 2, || {
        let (value, drops) = Counted::new();
        let pool = pool(1);
        let future = pool.spawn(move || value);
        // Keeps the cell: the value must go all the same.
        let handle = future.cancel_handle();
        drop(future);
        pool.join();
        assert_eq!(count(&drops), 1);
        drop(handle);
    });
}

/// The same against a handle that cancels or comes too late, and goes: the count changes while the worker's step is made.
#[test]
fn finished_against_a_cancel_handle() {
    explore("finished against a cancel handle", 2, || {
        let (value, drops) = Counted::new();
        let pool = pool(1);
        let future = pool.spawn(move || value);
        let handle = future.cancel_handle();
        let cancelled = handle.cancel();
        drop(handle);
        let outcome = future.result();
        assert_eq!(outcome.is_err(), cancelled);
        drop(outcome);
        assert_eq!(count(&drops), 1);
    });
}

/// Three threads let go of one cell. Breaks if a pointer goes without Release, or if the one that finds itself the last,
/// by a look or by its own exchange, frees the cell without Acquire.
#[test]
fn the_last_pointer_goes_after_all_others() {
    explore("the last pointer goes after all others", 3, || {
        let (promise, future) = promise::<u32>();
        let (one, two) = (future.cancel_handle(), future.cancel_handle());
        drop(promise);
        drop(future);
        let one = thread(move || drop(one));
        drop(two);
        one.join().expect("no panic");
    });
}

/// A pointer is made from another while a third goes: the look for the last one must not mistake one for none.
#[test]
fn a_clone_against_the_last() {
    explore("a clone against the last", 3, || {
        let (promise, future) = promise::<u32>();
        let handle = future.cancel_handle();
        let other = thread(move || {
            let clone = handle.clone();
            drop(handle);
            clone.cancel()
        });
        let resolved = promise.set_result(7);
        assert_eq!(future.result().is_ok(), resolved);
        assert_eq!(other.join().expect("no panic"), !resolved);
    });
}

/// Two readers of one shared future, and the end of its task. Breaks if asking for the failure looks at a value that the
/// other reader is taking.
#[test]
fn a_value_against_exception() {
    explore("a value against exception", 2, || {
        let (promise, future) = promise::<u32>();
        let future = future.shared();
        let other = future.clone();
        let reader = thread(move || other.exception().is_none());
        assert!(promise.set_result(7));
        assert_eq!(future.result().copied().expect("a result"), 7);
        assert!(reader.join().expect("no panic"));
    });
}

/// The same of a failure: both read it where it is.
#[test]
fn a_failure_against_exception() {
    explore("a failure against exception", 2, || {
        let (promise, future) = promise::<u32>();
        let future = future.shared();
        let other = future.clone();
        let reader = thread(move || other.exception().is_some());
        assert!(promise.set_exception(TaskError::Abandoned));
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
        assert!(reader.join().expect("no panic"));
    });
}

/// Breaks if the text of a future looks at the outcome of a task that is not done.
#[test]
fn the_end_against_debug() {
    explore("the end against debug", 3, || {
        let (promise, future) = promise::<u32>();
        let resolver = thread(move || promise.set_exception(TaskError::Abandoned));
        let text = format!("{future:?}");
        // The two are looked at one after the other, in this order.
        assert!(text.contains("error") || !text.contains("Finished"), "{text}");
        assert!(resolver.join().expect("no panic"));
        assert!(future.result().is_err());
    });
}

/// Breaks if one of the two comes to the work without the lock, or if encoding asks whether the task is over before it
/// has the lock: the work is dropped twice or never, or put into the place of the outcome.
#[test]
fn encode_against_cancel() {
    explore("encode against cancel", 3, || {
        let (value, drops) = Counted::new();
        let (task, future) = PortableTask::new(value);
        let encoder = thread(move || {
            task.encode();
            task
        });
        assert!(future.cancel());
        assert!(matches!(future.result(), Err(TaskError::Cancelled)));
        let task = encoder.join().expect("no panic");
        assert_eq!(count(&drops), 1);
        assert!(!task.encode());
    });
}

/// The work is out while it is encoded, and back when the task is run.
#[test]
fn encode_then_run_against_wait() {
    explore("encode, then run against wait", 2, || {
        let (value, drops) = Counted::new();
        let (task, future) = PortableTask::new(value);
        let worker = thread(move || {
            assert!(task.encode());
            task.run();
        });
        drop(future.result().expect("a result"));
        worker.join().expect("no panic");
        assert_eq!(count(&drops), 1);
    });
}
