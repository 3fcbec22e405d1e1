//! One future: its states, every way to read it, cancelling, and what its `Debug` tells.

use crate::support::{Gate, LIMIT, Live, SOON, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Promise, State, TaskError, promise};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A future in each state, as Python's tests have them; the promises keep the unfinished ones so.
struct Each {
    queued: Future<i32>,
    running: Future<i32>,
    cancelled: Future<i32>,
    failed: Future<i32>,
    finished: Future<i32>,
    _open: Vec<Promise<i32>>,
}

fn each() -> Each {
    let ((queued_end, queued), (running_end, running)) = (promise(), promise());
    let ((cancelled_end, cancelled), (failed_end, failed), (finished_end, finished)) =
        (promise(), promise(), promise());
    assert!(running_end.start());
    assert!(cancelled.cancel());
    assert!(!cancelled_end.start(), "python's set_running_or_notify_cancel says no");
    assert!(failed_end.set_exception(TaskError::Failed(concurrent_futures::Failed::new("disk"))));
    assert!(finished_end.set_result(42));
    Each { queued, running, cancelled, failed, finished, _open: vec![queued_end, running_end, cancelled_end] }
}

impl Each {
    fn all(&self) -> [&Future<i32>; 5] {
        [&self.queued, &self.running, &self.cancelled, &self.failed, &self.finished]
    }
}

#[test]
fn predicates_per_state() {
    limit(LIMIT, || {
        let each = each();
        let states = each.all().map(Future::state);
        let expected = [State::Queued, State::Running, State::Cancelled, State::Finished, State::Finished];
        assert_eq!(states, expected);
        assert_eq!(each.all().map(Future::is_done), [false, false, true, true, true]);
        assert_eq!(each.all().map(Future::is_running), [false, true, false, false, false]);
        assert_eq!(each.all().map(Future::is_cancelled), [false, false, true, false, false]);
    });
}

#[test]
fn cancel_per_state() {
    limit(LIMIT, || {
        let each = each();
        assert_eq!(each.all().map(Future::cancel), [true, false, true, false, false]);
        assert_eq!(each.all().map(Future::cancel), [true, false, true, false, false]);
        let states = each.all().map(Future::state);
        let expected = [State::Cancelled, State::Running, State::Cancelled, State::Finished, State::Finished];
        assert_eq!(states, expected);
    });
}

#[test]
fn result_without_waiting_per_state() {
    limit(LIMIT, || {
        let each = each();
        let back = each.queued.result_timeout(Duration::ZERO).unwrap_err();
        assert_eq!((back.unfinished(), back.total(), back.future.state()), (1, 1, State::Queued));
        assert!(each.running.result_timeout(Duration::ZERO).is_err());
        assert!(matches!(each.cancelled.result_timeout(Duration::ZERO), Ok(Err(TaskError::Cancelled))));
        assert!(matches!(each.failed.result_timeout(Duration::ZERO), Ok(Err(TaskError::Failed(_)))));
        assert!(matches!(each.finished.result_timeout(Duration::ZERO), Ok(Ok(42))));
    });
}

#[test]
fn exception_without_waiting_per_state() {
    limit(LIMIT, || {
        let each = each();
        let now = Duration::ZERO;
        assert!(each.queued.exception_timeout(now).is_err() && each.running.exception_timeout(now).is_err());
        assert!(matches!(each.cancelled.exception_timeout(now), Ok(Some(TaskError::Cancelled))));
        assert!(matches!(each.failed.exception_timeout(now), Ok(Some(TaskError::Failed(_)))));
        assert!(matches!(each.finished.exception_timeout(now), Ok(None)));
        // Asking takes nothing away.
        assert_eq!(each.finished.result().unwrap(), 42);
        assert_eq!(each.failed.exception().unwrap().to_string(), "disk");
        assert_eq!(each.failed.result().unwrap_err().to_string(), "disk");
    });
}

#[test]
fn debug_names_the_state_and_never_the_value() {
    limit(LIMIT, || {
        let each = each();
        let texts = each.all().map(|future| format!("{future:?}"));
        let words = ["Queued", "Running", "Cancelled", "Finished", "Finished"];
        for (text, word) in texts.iter().zip(words) {
            assert!(text.starts_with("Future") && text.contains(word), "{text}");
        }
        assert!(texts[4].contains("i32") && !texts[4].contains("42"), "{}", texts[4]);
        assert!(texts[3].contains("disk"), "an error may be shown: {}", texts[3]);
        let (promise, shared) = promise::<String>();
        let shared = shared.shared();
        promise.set_result("secret".into());
        assert!(!format!("{shared:?} {shared:#?}").contains("secret"));
        assert!(format!("{shared:?}").starts_with("SharedFuture"));
    });
}

/// Starts a thread that waits by `read`, and gives what it sees once `then` was done.
fn waiter<T: Send + 'static>(
    future: Future<i32>,
    read: impl FnOnce(Future<i32>) -> T + Send + 'static,
    then: impl FnOnce(),
) -> T {
    let (here, waits) = mpsc::channel();
    let reader = thread::spawn(move || {
        here.send(()).unwrap();
        read(future)
    });
    waits.recv().unwrap();
    then();
    reader.join().unwrap()
}

#[test]
fn a_waiter_is_woken_by_the_result() {
    limit(LIMIT, || {
        let (end, future) = promise();
        let read = waiter(future, |f| f.result_timeout(SOON).unwrap(), || assert!(end.set_result(42)));
        assert_eq!(read.unwrap(), 42);
        let (end, future) = promise();
        assert_eq!(waiter(future, Future::result, || assert!(end.set_result(43))).unwrap(), 43);
        let (end, future) = promise();
        assert!(waiter(future, |f| f.wait_timeout(SOON), || assert!(end.set_result(44))));
    });
}

#[test]
fn a_waiter_is_woken_by_cancel_and_not_as_timed_out() {
    limit(LIMIT, || {
        let (_end, future) = promise();
        let handle = future.cancel_handle();
        let read = waiter(future, |f| f.result_timeout(SOON), || assert!(handle.cancel()));
        assert!(matches!(read, Ok(Err(TaskError::Cancelled))));
    });
}

#[test]
fn a_waiter_for_the_exception_is_woken() {
    limit(LIMIT, || {
        let (end, future) = promise();
        let error = TaskError::Failed(concurrent_futures::Failed::new("late"));
        let read = waiter(future, |f| f.exception_timeout(SOON), || assert!(end.set_exception(error)));
        assert_eq!(read.unwrap().unwrap().to_string(), "late");
        let (end, future) = promise();
        assert!(waiter(future, |f| f.exception(), || assert!(end.set_result(1))).is_none());
    });
}

#[test]
fn a_time_limit_is_kept_and_gives_the_future_back() {
    limit(LIMIT, || {
        let (end, mut future) = promise();
        let id = future.id();
        for _ in 0..3 {
            let before = Instant::now();
            future = future.result_timeout(Duration::from_millis(10)).unwrap_err().future;
            assert!(before.elapsed() >= Duration::from_millis(10));
        }
        assert_eq!(future.id(), id);
        assert!(!future.wait_timeout(Duration::from_millis(1)));
        end.set_result(5);
        assert_eq!(future.result_timeout(Duration::ZERO).unwrap().unwrap(), 5);
        // Longer than any clock can say: as no limit.
        let (end, future) = promise();
        end.set_result(6);
        assert_eq!(future.result_timeout(Duration::MAX).unwrap().unwrap(), 6);
    });
}

#[test]
fn only_the_first_outcome_counts() {
    limit(LIMIT, || {
        // A second set doesn't compile (see the documentation of `Promise`); a set against a cancel can happen.
        let (end, future) = promise();
        assert!(future.cancel());
        assert!(end.is_cancelled());
        assert!(!end.set_result(2));
        assert!(matches!(future.result(), Err(TaskError::Cancelled)));
        let (end, future) = promise::<i32>();
        future.cancel();
        assert!(!end.set_exception(TaskError::Abandoned));
        assert!(matches!(future.result(), Err(TaskError::Cancelled)));
        let (end, future) = promise();
        assert!(end.set_result(1));
        assert!(!future.cancel());
        assert_eq!(future.result().unwrap(), 1);
    });
}

#[test]
fn a_result_may_be_set_without_start() {
    limit(LIMIT, || {
        let (end, future) = promise();
        assert_eq!(future.state(), State::Queued);
        end.set_result(1);
        assert_eq!(future.state(), State::Finished);
        // start is a question that may be asked again.
        let (end, future) = promise::<i32>();
        assert!(end.start() && end.start());
        assert!(!future.cancel());
        drop(end);
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
    });
}

#[test]
fn a_dropped_promise_or_task_resolves_its_future() {
    limit(LIMIT, || {
        let (end, future) = promise::<i32>();
        drop(end);
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
        let live = Live::new();
        let token = live.token();
        let (task, future) = concurrent_futures::Task::local(move || drop(token));
        drop(task);
        assert_eq!(live.count(), 0);
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
    });
}

#[test]
fn a_task_is_run_failed_or_found_cancelled() {
    limit(LIMIT, || {
        use concurrent_futures::{Broken, Task};
        let (task, future) = Task::new(|n: u32| n + 1, 1);
        assert!(task.is_portable() && !task.is_cancelled() && task.id() == future.id());
        assert!(task.start() && future.is_running());
        task.run();
        assert_eq!(future.result().unwrap(), 2);
        let (task, future) = Task::local(|| 1);
        assert!(!task.is_portable());
        assert!(task.fail(TaskError::Broken(Broken::new("no power"))));
        assert!(future.result().unwrap_err().to_string().contains("no power"));
        let (task, future) = Task::local(|| -> u32 { panic!("a cancelled task ran") });
        future.cancel();
        assert!(task.is_cancelled() && !task.start());
        task.run();
        let (task, cancelled) = Task::local(|| 1);
        cancelled.cancel();
        assert!(!task.fail(TaskError::Abandoned));
        assert!(matches!(cancelled.result(), Err(TaskError::Cancelled)));
        drop(future);
        let (task, future) = Task::fallible(|s: String| s.parse::<u8>(), "256".into());
        task.run();
        assert!(matches!(future.result(), Err(TaskError::Failed(_))));
        // By an executor of one's own that cancels: cancelled for everybody.
        let (task, future) = Task::local(|| 1);
        task.fail(TaskError::Cancelled);
        assert!(future.is_cancelled());
    });
}

#[test]
fn a_running_task_is_seen_running_and_cannot_be_cancelled() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        assert!(held.future.is_running() && !held.future.is_done());
        assert!(!held.future.cancel());
        assert!(!held.future.kill(), "threads can't be ended");
        // What only waits for a worker is not running, however soon its turn comes.
        let queued = [pool.spawn(|| 1), pool.spawn(|| 2), pool.spawn(|| 3)];
        assert!(queued.iter().all(|future| future.state() == State::Queued));
        assert!(queued[1].kill(), "a queued task is cancelled");
        assert!(queued[1].is_cancelled());
        held.release();
        let [first, second, third] = queued;
        assert_eq!((first.result().unwrap(), third.result().unwrap()), (1, 3));
        assert!(matches!(second.result(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn on_kill_ends_what_runs_the_task() {
    limit(LIMIT, || {
        let (task, future) = concurrent_futures::Task::local(|| 1);
        let killed = Gate::new();
        let hook = killed.clone();
        task.on_kill(move || {
            hook.open();
            true
        });
        assert!(task.start());
        assert!(future.kill() && killed.is_open());
        assert!(!future.kill(), "the hook is called once");
        task.fail(TaskError::WorkerDied(concurrent_futures::WorkerDied::new(1)));
        assert!(matches!(future.result(), Err(TaskError::WorkerDied(_))));
    });
}

#[test]
fn cancel_and_run_race_to_one_outcome() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        for n in 0..5_000 {
            let ran = Gate::new();
            let inner = ran.clone();
            let future = pool.spawn(move || {
                inner.open();
                n
            });
            let cancelled = future.cancel();
            match future.result() {
                Ok(value) => assert!(!cancelled && value == n && ran.is_open()),
                Err(error) => assert!(cancelled && matches!(error, TaskError::Cancelled) && !ran.is_open()),
            }
        }
        assert_eq!(pool.stats().submitted(), 5_000);
    });
}

#[test]
fn a_cancelled_future_is_done_for_everybody_at_once() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool); // nobody can reach the cancelled one before the asserts
        let cancelled = pool.spawn(|| 1);
        assert!(cancelled.cancel() && cancelled.is_done());
        assert_eq!(wait([&cancelled], ReturnWhen::AllCompleted).done.len(), 1);
        assert_eq!(wait([&cancelled], ReturnWhen::FirstCompleted).done.len(), 1);
        assert_eq!(as_completed([&cancelled]).count(), 1);
        held.release();
    });
}

#[test]
fn many_threads_read_one_promise() {
    limit(LIMIT, || {
        for _ in 0..200 {
            let (end, future) = promise();
            let shared = future.shared();
            thread::scope(|s| {
                for _ in 0..4 {
                    let shared = shared.clone();
                    s.spawn(move || assert_eq!(*shared.result().unwrap(), 9));
                }
                end.set_result(9);
            });
        }
    });
}

#[test]
fn flat_result_folds_the_tasks_own_error() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let parse = |text: &str| text.parse::<u8>();
        assert_eq!(pool.submit(parse, "8").flat_result().unwrap(), 8);
        assert!(matches!(pool.submit(parse, "x").flat_result(), Err(TaskError::Failed(_))));
        let nested: Result<Result<u8, _>, _> = pool.submit(parse, "x").result();
        assert!(nested.unwrap().is_err(), "to submit, an Err is a value like any other");
    });
}

#[test]
fn the_tasks_own_timeout_is_not_the_waits() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let slow = || Err::<(), _>(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let outcome = pool.try_spawn(slow).result_timeout(SOON).expect("the wait did not run out");
        assert!(matches!(outcome, Err(TaskError::Failed(_))));
        let items: Vec<_> = pool.try_map(move |()| slow(), [(), ()]).timeout(SOON).collect();
        assert!(items.iter().all(|item| matches!(item, Ok(Err(TaskError::Failed(_))))), "{items:?}");
        assert_eq!(items.len(), 2);
    });
}

#[test]
fn what_a_task_did_is_seen_by_whoever_sees_it_done() {
    limit(LIMIT, || {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let pool = ThreadPoolExecutor::new(2);
        for n in 1..2_000 {
            let written = Arc::new(AtomicU64::new(0));
            let inner = written.clone();
            let future = pool.spawn(move || inner.store(n, Relaxed));
            while !future.is_done() {
                std::hint::spin_loop();
            }
            assert_eq!(written.load(Relaxed), n);
        }
    });
}
