//! `wait`, in its three modes.

use crate::support::{LIMIT, SOON, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, FutureId, Promise, TaskError, Waited, promise, wait_timeout};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const MODES: [ReturnWhen; 3] =
    [ReturnWhen::AllCompleted, ReturnWhen::FirstCompleted, ReturnWhen::FirstException];

fn finished() -> Future<u32> {
    Future::ready(Ok(1))
}

fn failed() -> Future<u32> {
    Future::ready(Err(TaskError::Abandoned))
}

fn cancelled() -> Future<u32> {
    let (_promise, future) = promise();
    future.cancel();
    future
}

/// Waits on another thread; `then` is done once that has been started, and may end the wait.
fn waiting<'f>(
    futures: &'f [Future<u32>],
    until: ReturnWhen,
    then: impl FnOnce(),
) -> Waited<&'f Future<u32>> {
    thread::scope(|s| {
        let (here, waits) = mpsc::channel();
        let waiter = s.spawn(move || {
            here.send(()).unwrap();
            wait_timeout(futures, until, SOON)
        });
        waits.recv().unwrap();
        then();
        waiter.join().unwrap()
    })
}

fn pending<const N: usize>() -> ([Promise<u32>; N], [Future<u32>; N]) {
    let (mut promises, mut futures) = (Vec::new(), Vec::new());
    for _ in 0..N {
        let (promise, future) = promise();
        promises.push(promise);
        futures.push(future);
    }
    (promises.try_into().unwrap(), futures.try_into().unwrap())
}

fn ids(futures: &[&Future<u32>]) -> Vec<FutureId> {
    futures.iter().map(|future| future.id()).collect()
}

#[test]
fn of_nothing_returns_at_once() {
    limit(LIMIT, || {
        for mode in MODES {
            let waited = wait(Vec::<Future<u32>>::new(), mode);
            assert!(waited.done.is_empty() && waited.not_done.is_empty());
        }
    });
}

#[test]
fn duplicates_do_not_hang() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let future = pool.spawn(|| 1);
        for mode in MODES {
            let waited = wait([&future, &future], mode);
            // Differs from Python, whose result is a set: what was given comes back.
            assert_eq!((waited.done.len(), waited.not_done.len()), (2, 0));
        }
        let ([promise], [future]) = pending();
        let both = [&future, &future];
        let waited = thread::scope(|s| {
            let waiter = s.spawn(|| wait(both, ReturnWhen::AllCompleted));
            promise.set_result(1);
            waiter.join().unwrap()
        });
        assert_eq!(waited.done.len(), 2);
    });
}

#[test]
fn first_completed() {
    limit(LIMIT, || {
        let ([one, _two], [first, second]) = pending();
        let futures = [second, first];
        let waited = waiting(&futures, ReturnWhen::FirstCompleted, || assert!(one.set_result(1)));
        assert_eq!(ids(&waited.done), [futures[1].id()]);
        assert_eq!(ids(&waited.not_done), [futures[0].id()]);
        // A cancelled one is done like any other.
        let (_promises, [a, b]) = pending::<2>();
        let futures = [a, b];
        let waited = waiting(&futures, ReturnWhen::FirstCompleted, || assert!(futures[1].cancel()));
        assert_eq!(ids(&waited.done), [futures[1].id()]);
    });
}

#[test]
fn first_completed_when_some_are_done_already() {
    limit(LIMIT, || {
        let (_promises, [open]) = pending::<1>();
        let futures = [cancelled(), failed(), open, finished()];
        let waited = wait(&futures, ReturnWhen::FirstCompleted);
        assert_eq!(ids(&waited.done), [&futures[0], &futures[1], &futures[3]].map(|f| f.id()));
        assert_eq!(ids(&waited.not_done), [futures[2].id()]);
    });
}

#[test]
fn first_exception() {
    limit(LIMIT, || {
        let ([good, bad, _open], [first, second, third]) = pending();
        let futures = [first, second, third];
        let waited = waiting(&futures, ReturnWhen::FirstException, || {
            good.set_result(1);
            bad.set_exception(TaskError::Abandoned);
        });
        assert_eq!(ids(&waited.done), [&futures[0], &futures[1]].map(|f| f.id()));
        assert_eq!(ids(&waited.not_done), [futures[2].id()]);
    });
}

#[test]
fn first_exception_ignores_good_and_cancelled_ones() {
    limit(LIMIT, || {
        let ([bad, _open, _another], [first, second, third]) = pending();
        let futures = [finished(), cancelled(), first, second, third];
        let waited = waiting(&futures, ReturnWhen::FirstException, || {
            assert!(futures[4].cancel(), "a cancel while it waits does not end it either");
            assert!(!futures[2].is_done());
            bad.set_exception(TaskError::Abandoned);
        });
        assert_eq!(ids(&waited.not_done), [futures[3].id()]);
    });
}

#[test]
fn first_exception_when_one_has_failed_already() {
    limit(LIMIT, || {
        let (_promises, [open]) = pending::<1>();
        let futures = [open, failed()];
        let waited = wait(&futures, ReturnWhen::FirstException);
        assert_eq!(
            (ids(&waited.done), ids(&waited.not_done)),
            (vec![futures[1].id()], vec![futures[0].id()])
        );
    });
}

#[test]
fn first_exception_without_one_waits_for_all() {
    limit(LIMIT, || {
        let ([one, two, _three], [first, second, third]) = pending();
        let futures = [first, second, third];
        let waited = waiting(&futures, ReturnWhen::FirstException, || {
            one.set_result(1);
            two.set_result(2);
            futures[2].cancel();
        });
        assert!(waited.not_done.is_empty());
        assert!(wait([finished(), cancelled()], ReturnWhen::FirstException).not_done.is_empty());
    });
}

#[test]
fn all_completed_gathers_every_kind() {
    limit(LIMIT, || {
        let ([one, two, _three], [first, second, third]) = pending();
        let futures = [cancelled(), failed(), finished(), first, second, third];
        let waited = waiting(&futures, ReturnWhen::AllCompleted, || {
            futures[5].cancel();
            two.set_exception(TaskError::Abandoned);
            one.set_result(1);
        });
        assert_eq!((waited.done.len(), waited.not_done.len()), (6, 0));
    });
}

#[test]
fn running_out_of_time_is_no_error() {
    limit(LIMIT, || {
        let (_promises, [open]) = pending::<1>();
        let futures = [finished(), open];
        for mode in [ReturnWhen::AllCompleted, ReturnWhen::FirstException] {
            let before = Instant::now();
            let waited = wait_timeout(&futures, mode, Duration::from_millis(50));
            assert!(before.elapsed() >= Duration::from_millis(50));
            assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
        }
        let looked = wait_timeout(&futures, ReturnWhen::AllCompleted, Duration::ZERO);
        assert_eq!((looked.done.len(), looked.not_done.len()), (1, 1));
    });
}

#[test]
fn gives_back_what_it_was_given() {
    limit(LIMIT, || {
        // Owned, borrowed, keyed, boxed; the order stays.
        let waited = wait([("a", finished()), ("b", failed())], ReturnWhen::AllCompleted);
        assert_eq!(waited.done.iter().map(|(key, _)| *key).collect::<String>(), "ab");
        let mut futures = vec![finished(), finished()];
        assert_eq!(wait(&mut futures, ReturnWhen::AllCompleted).done.len(), 2);
        assert_eq!(wait(futures.iter().map(Box::new), ReturnWhen::AllCompleted).done.len(), 2);
        assert_eq!(wait(std::iter::once(finished()), ReturnWhen::FirstCompleted).done.len(), 1);
    });
}

#[test]
fn never_cancels() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let queued = pool.spawn(|| 3);
        for mode in MODES {
            assert_eq!(wait_timeout([&queued], mode, Duration::from_millis(2)).not_done.len(), 1);
        }
        held.release();
        assert_eq!(queued.result().unwrap(), 3);
    });
}

#[test]
fn a_hundred_ending_together_strand_nobody() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(4);
        for round in 0..200 {
            let gate = crate::support::Gate::new();
            let futures: Vec<_> = (0..100)
                .map(|n| {
                    let gate = gate.clone();
                    pool.spawn(move || {
                        gate.wait();
                        n
                    })
                })
                .collect();
            thread::scope(|s| {
                // Two waits on the same futures, in different orders.
                let backwards = s.spawn(|| wait(futures.iter().rev(), ReturnWhen::AllCompleted).done.len());
                gate.open();
                assert_eq!(wait(&futures, ReturnWhen::AllCompleted).done.len(), 100, "round {round}");
                assert_eq!(backwards.join().unwrap(), 100);
            });
        }
    });
}

#[test]
fn many_short_waits_on_one_future_do_not_slow_down() {
    limit(LIMIT, || {
        let ([promise], [future]) = pending();
        let round = || {
            let before = Instant::now();
            for _ in 0..50_000 {
                assert_eq!(wait_timeout([&future], ReturnWhen::AllCompleted, Duration::ZERO).done.len(), 0);
                assert!(future.exception_timeout(Duration::ZERO).is_err());
                drop(as_completed([&future]));
            }
            before.elapsed()
        };
        let first = round();
        let later = (0..5).map(|_| round()).min().unwrap();
        // Were an entry left by each, the last of 900 000 would have hundreds of thousands to look through.
        assert!(later < 5 * first, "{first:?} at first, {later:?} later");
        promise.set_result(1);
    });
}
