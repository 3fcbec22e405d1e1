//! What every executor does, stamped over each that `for_each_executor!` has a line for.
//!
//! The cases know nothing but `&dyn Executor`: functions and serde types, no closures that capture, no shared memory.

use crate::support::{LIMIT, SOON, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    MapOptions, Rejected, Shared, SharedBytes, Shutdown, TaskError, TaskOptions, promise, wait_timeout,
};
use std::collections::HashSet;
use std::future::Future as _;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A test of each case for one executor, which is made anew for each.
macro_rules! executor_suite {
    ($name:ident, $make:expr) => {
        executor_suite! { $name, $make;
            submit_gives_the_result
            arguments_reach_the_call
            a_failure_keeps_its_type
            a_panic_is_told_and_costs_nothing
            errors_are_independent_values
            ids_are_unique
            map_is_in_the_order_of_the_input
            map_runs_all_without_iteration
            map_passes_failures_at_their_place
            map_of_nothing_is_empty
            map_with_any_buffer_gives_the_same
            map_with_takes_endless_input
            map_with_never_has_more_in_the_air_than_its_buffer
            map_with_unordered_gives_the_same_set
            map_in_time_gives_all
            a_dropped_map_leaves_the_executor_usable
            as_completed_yields_what_it_was_given
            as_completed_of_nothing_ends
            wait_for_all
            wait_for_the_first
            wait_for_the_first_failure
            waits_mix_executors_and_promises
            a_done_future_ignores_the_limit
            cancel_and_outcome_agree
            every_callback_runs_once
            a_callback_of_a_done_future_runs_at_once
            shared_results_are_read_by_many
            awaiting_needs_no_runtime
            a_dropped_future_lets_its_task_run
            shutdown_rejects_what_comes_later
            shutdown_runs_what_came_before
            shutdown_by_cancelling_leaves_nobody_waiting
            shutdown_may_be_called_again
            dropping_the_executor_runs_what_came_before
            labels_are_in_the_error
            many_tasks_from_many_threads
            large_values_travel
            shared_data_travels
            maps_bounded_by_weight_give_the_same
            trait_objects_and_generics_take_it
        }
    };
    ($name:ident, $make:expr; $($case:ident)*) => {
        mod $name {
            use super::*;

            $(
                #[test]
                fn $case() {
                    limit(LIMIT, || super::$case($make));
                }
            )*
        }
    };
}

// Defined by whoever includes this file, with a line for each executor.
for_each_executor!(executor_suite);

type Exec = Box<dyn Executor>;

fn square(n: u64) -> u64 {
    n * n
}

fn parse(text: String) -> Result<i32, ParseIntError> {
    text.parse()
}

fn explode(n: u32) -> u32 {
    if n.is_multiple_of(3) { panic!("number {n}") } else { n }
}

fn append((path, n): (PathBuf, u32)) {
    use std::io::Write;
    let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{n}\n").as_bytes()).unwrap(); // one write, so that lines stay whole
}

/// A file of this test's own, that tasks in any process can write to.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Scratch(std::env::temp_dir().join(format!("concurrent-futures-{}-{n}", std::process::id())))
    }

    fn lines(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let mut lines: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        lines.sort_unstable();
        lines
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

// ---- submit ----------------------------------------------------------------------------------------

fn submit_gives_the_result(executor: Exec) {
    assert_eq!(executor.submit(|(base, power): (u32, u32)| base.pow(power), (2, 8)).result().unwrap(), 256);
}

/// An argument of many parts.
type Assorted = (u8, String, Vec<Option<f64>>, (char, [i64; 2]));

fn arguments_reach_the_call(executor: Exec) {
    let arg = (1u8, String::from("two"), vec![Some(3.5), None], ('4', [5i64; 2]));
    assert_eq!(executor.submit(|all: Assorted| all, arg.clone()).result().unwrap(), arg);
    executor.submit(|()| (), ()).result().unwrap();
}

fn a_failure_keeps_its_type(executor: Exec) {
    assert_eq!(executor.try_submit(parse, "17".into()).result().unwrap(), 17);
    let error = executor.try_submit(parse, "seventeen".into()).result().unwrap_err();
    let TaskError::Failed(failed) = &error else { panic!("{error:?}") };
    assert_eq!(failed.type_name(), std::any::type_name::<ParseIntError>());
    assert_eq!(error.to_string(), "invalid digit found in string");
}

fn a_panic_is_told_and_costs_nothing(executor: Exec) {
    for _ in 0..5 {
        let error = executor.submit(explode, 3).result().unwrap_err();
        let TaskError::Panicked(panic) = &error else { panic!("{error:?}") };
        assert_eq!(panic.message(), "number 3");
        assert!(panic.location().unwrap().contains("suite.rs"), "{error}");
        assert_eq!(executor.submit(explode, 4).result().unwrap(), 4);
    }
}

fn errors_are_independent_values(executor: Exec) {
    let futures: Vec<_> = (0..3).map(|n| executor.submit(explode, 3 * n)).collect();
    let texts: Vec<_> = futures.iter().map(|future| future.exception().unwrap().to_string()).collect();
    let results: Vec<_> =
        futures.into_iter().map(|future| future.result().unwrap_err().to_string()).collect();
    assert_eq!(texts, results);
    assert!(
        texts[0].ends_with("number 0") && texts[1].ends_with("number 3") && texts[2].ends_with("number 6")
    );
}

fn ids_are_unique(executor: Exec) {
    let futures: Vec<_> = (0..100).map(|n| executor.submit(square, n)).collect();
    let ids: HashSet<_> = futures.iter().map(|future| future.id()).collect();
    assert_eq!(ids.len(), 100);
}

fn labels_are_in_the_error(executor: Exec) {
    let error = executor.submit_with(TaskOptions::new().label("day 3"), explode, 3).result().unwrap_err();
    assert!(error.to_string().starts_with("task `day 3`"), "{error}");
    assert!(executor.try_submit_with(TaskOptions::new().label("day 4"), parse, "x".into()).result().is_err());
}

fn many_tasks_from_many_threads(executor: Exec) {
    let executor = &*executor;
    let total: u64 = std::thread::scope(|s| {
        let submitters: Vec<_> = (0..4u64)
            .map(|k| {
                s.spawn(move || {
                    let futures: Vec<_> =
                        (0..500).map(|n| executor.submit(|n: u64| n + 1, k * 500 + n)).collect();
                    futures.into_iter().map(|future| future.result().unwrap()).sum::<u64>()
                })
            })
            .collect();
        submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum()
    });
    assert_eq!(total, (1..=2000).sum::<u64>());
}

fn large_values_travel(executor: Exec) {
    let bytes: Vec<u32> = (0..500_000).collect();
    let futures: Vec<_> = (0..6)
        .map(|_| executor.submit(|v: Vec<u32>| v.iter().rev().copied().collect::<Vec<_>>(), bytes.clone()))
        .collect();
    for future in futures {
        let back = future.result().unwrap();
        assert_eq!((back.len(), back[0], back[499_999]), (500_000, 499_999, 0));
    }
}

fn shared_data_travels(executor: Exec) {
    let table = Shared::new((0..50_000).collect::<Vec<u64>>());
    let bytes = SharedBytes::with(200_000, |bytes| bytes[199_999] = 7).unwrap();
    let task = |(table, bytes, n): (Shared<Vec<u64>>, SharedBytes, usize)| {
        (table[n] + u64::from(bytes[199_999]), bytes.slice(199_990..), table)
    };
    for (n, result) in executor.map(task, (0..20).map(|n| (table.clone(), bytes.clone(), n))).enumerate() {
        let (sum, part, back) = result.unwrap();
        assert_eq!((sum, &*part, back[n]), (n as u64 + 7, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], n as u64));
    }
    drop((table, bytes));
    assert_eq!(executor.submit(square, 3).result().unwrap(), 9);
}

fn maps_bounded_by_weight_give_the_same(executor: Exec) {
    let expected: Vec<u64> = (0..100).map(square).collect();
    for limit in [1, 30, 1000] {
        let options =
            MapOptions::new().buffersize(20).weigh(limit, |n: &u64| *n as usize).buffer_bytes(limit);
        let squares: Result<Vec<u64>, _> = executor.map_with(options, square, 0..100).collect();
        assert_eq!(squares.unwrap(), expected);
    }
}

fn trait_objects_and_generics_take_it(executor: Exec) {
    fn generic<E: Executor + ?Sized>(executor: &E) -> u64 {
        executor.submit(square, 3).result().unwrap()
    }
    assert_eq!(generic(&*executor), 9);
    assert_eq!(generic(&executor), 9);
    let shared: std::sync::Arc<dyn Executor> = std::sync::Arc::from(executor);
    assert_eq!(generic(&shared), 9);
    assert_ne!(shared.max_workers(), Some(0));
}

// ---- map -------------------------------------------------------------------------------------------

fn map_is_in_the_order_of_the_input(executor: Exec) {
    let expected: Vec<u64> = (0..10).map(|n| n * (n + 1)).collect();
    let rows = || (0..10u64).zip(1..11);
    let eager: Result<Vec<u64>, _> = executor.map(|(a, b)| a * b, rows()).collect();
    assert_eq!(eager.unwrap(), expected);
    for chunksize in [1, 3, 6, 40, 50] {
        let options = MapOptions::new().chunksize(chunksize).buffersize(50);
        let lazy: Result<Vec<u64>, _> = executor.map_with(options, |(a, b)| a * b, rows()).collect();
        assert_eq!(lazy.unwrap(), expected, "chunksize {chunksize}");
    }
    // One shorter than the other: the shortest ends it.
    assert_eq!(executor.map(|(a, b): (u64, u64)| a + b, (0..3).zip(0..9)).len(), 3);
}

fn map_runs_all_without_iteration(executor: Exec) {
    let scratch = Scratch::new();
    let rows = executor.map(append, (0..10).map(|n| (scratch.0.clone(), n)));
    executor.shutdown(Shutdown::Drain);
    eventually(|| scratch.lines().len() == 10);
    assert_eq!(scratch.lines(), (0..10).collect::<Vec<_>>());
    assert_eq!(rows.len(), 10);
}

fn map_passes_failures_at_their_place(executor: Exec) {
    let good =
        |outcomes: Vec<Result<u32, TaskError>>| outcomes.into_iter().map(Result::ok).collect::<Vec<_>>();
    let expected = [None, Some(1), Some(2), None, Some(4)];
    let mut eager = executor.map(explode, 0..5);
    assert_eq!(good(eager.by_ref().collect()), expected);
    assert!(eager.next().is_none() && eager.next().is_none());
    for chunksize in [1, 2, 3, 5] {
        let options = MapOptions::new().chunksize(chunksize);
        let mut lazy = executor.map_with(options, explode, 0..5);
        assert_eq!(good(lazy.by_ref().collect()), expected, "chunksize {chunksize}");
        assert!(lazy.next().is_none() && lazy.next().is_none());
    }
    let words = || ["1", "x", "3"].map(String::from);
    let kinds = |item: Result<i32, TaskError>| match item {
        Ok(n) => n,
        Err(TaskError::Failed(_)) => -1,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(executor.try_map(parse, words()).map(kinds).collect::<Vec<_>>(), [1, -1, 3]);
    let options = MapOptions::new().chunksize(2);
    assert_eq!(executor.try_map_with(options, parse, words()).map(kinds).collect::<Vec<_>>(), [1, -1, 3]);
}

fn map_of_nothing_is_empty(executor: Exec) {
    assert!(executor.map(square, []).next().is_none());
    assert!(executor.map_with(MapOptions::new().buffersize(2), square, []).next().is_none());
    assert!(executor.map_with(MapOptions::new().unordered(), square, []).next().is_none());
    executor.shutdown(Shutdown::Drain);
    assert!(executor.map(square, []).next().is_none());
}

fn map_with_any_buffer_gives_the_same(executor: Exec) {
    for buffersize in [1, 2, 10, 20] {
        let options = MapOptions::new().buffersize(buffersize);
        let sums: Result<Vec<u64>, _> =
            executor.map_with(options, |(a, b): (u64, u64)| a + b, (0..10).zip(0..10)).collect();
        assert_eq!(sums.unwrap(), (0..10).map(|n| 2 * n).collect::<Vec<_>>(), "buffersize {buffersize}");
    }
}

fn map_with_takes_endless_input(executor: Exec) {
    let options = MapOptions::new().buffersize(2);
    let firsts: Result<Vec<u64>, _> = executor.map_with(options.clone(), square, 0..).take(3).collect();
    assert_eq!(firsts.unwrap(), [0, 1, 4]);
    let firsts: Result<Vec<u64>, _> =
        executor.map_with(options, |(a, b): (u64, u64)| a + b, (0..).zip(0..)).take(3).collect();
    assert_eq!(firsts.unwrap(), [0, 2, 4]);
}

fn map_with_never_has_more_in_the_air_than_its_buffer(executor: Exec) {
    for (buffersize, chunksize, unordered) in [(2, 1, false), (5, 2, false), (3, 8, false), (4, 1, true)] {
        let taken = std::cell::Cell::new(0);
        let source = (0..40u64).inspect(|_| taken.set(taken.get() + 1));
        let mut options = MapOptions::new().buffersize(buffersize).chunksize(chunksize);
        if unordered {
            options = options.unordered();
        }
        let results = executor.map_with(options, square, source);
        // At the call: whole chunks, as many as fit.
        let chunk = chunksize.min(buffersize);
        assert_eq!(taken.get(), buffersize / chunk * chunk);
        let mut yielded = 0;
        for item in results {
            item.unwrap();
            // The item that was just yielded is the consumer's, and no more than the buffer is in the air.
            assert!(taken.get() <= yielded + buffersize, "{} taken, {yielded} yielded", taken.get());
            yielded += 1;
        }
        assert_eq!((yielded, taken.get()), (40, 40));
    }
}

fn map_with_unordered_gives_the_same_set(executor: Exec) {
    for chunksize in [1, 3] {
        let options = MapOptions::new().unordered().chunksize(chunksize).buffersize(7);
        let mut squares: Vec<u64> = executor.map_with(options, square, 0..50).map(Result::unwrap).collect();
        squares.sort_unstable();
        assert_eq!(squares, (0..50).map(|n| n * n).collect::<Vec<_>>());
    }
}

fn map_in_time_gives_all(executor: Exec) {
    let results: Vec<_> =
        executor.map(square, 0..3).timeout(SOON).map(|item| item.unwrap().unwrap()).collect();
    assert_eq!(results, [0, 1, 4]);
    let failing: Vec<_> = executor.try_map(parse, ["x".to_string()]).timeout(SOON).collect();
    // The task's own error is inside, never the wait's.
    assert!(matches!(failing[..], [Ok(Err(TaskError::Failed(_)))]));
}

fn a_dropped_map_leaves_the_executor_usable(executor: Exec) {
    drop(executor.map(square, 0..100));
    let mut begun = executor.map_with(MapOptions::new().buffersize(8), square, 0..);
    begun.next().unwrap().unwrap();
    drop(begun);
    assert_eq!(executor.submit(square, 5).result().unwrap(), 25);
    executor.shutdown(Shutdown::Drain);
}

// ---- many futures ------------------------------------------------------------------------------------

fn as_completed_yields_what_it_was_given(executor: Exec) {
    let mut seen = HashSet::new();
    for (n, future) in as_completed((0..20).map(|n| (n, executor.submit(square, n)))) {
        assert!(future.is_done());
        assert_eq!(future.result().unwrap(), n * n);
        assert!(seen.insert(n));
    }
    assert_eq!(seen.len(), 20);
    // Those that failed or were cancelled come like any other.
    let (promise, cancelled) = promise::<i32>();
    cancelled.cancel();
    let mixture = [cancelled, executor.try_submit(parse, "x".into()), executor.try_submit(parse, "1".into())];
    let outcomes: Vec<bool> = as_completed(mixture).map(|future| future.result().is_ok()).collect();
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1);
    assert_eq!(outcomes.len(), 3);
    drop(promise);
}

fn as_completed_of_nothing_ends(executor: Exec) {
    let nothing = || (0..0).map(|n| executor.submit(square, n));
    assert!(as_completed(nothing()).next().is_none());
    assert!(as_completed(nothing()).timeout(Duration::ZERO).next().is_none());
}

fn wait_for_all(executor: Exec) {
    let futures: Vec<_> = (0..20).map(|n| executor.submit(explode, n)).collect();
    let waited = wait(&futures, ReturnWhen::AllCompleted);
    assert_eq!((waited.done.len(), waited.not_done.len()), (20, 0));
    assert!(futures.iter().all(|future| future.is_done()));
}

fn wait_for_the_first(executor: Exec) {
    let (promise, never) = promise::<u64>();
    let futures = [never, executor.submit(square, 2)];
    let waited = wait(&futures, ReturnWhen::FirstCompleted);
    assert_eq!(waited.done.iter().map(|future| future.id()).collect::<Vec<_>>(), [futures[1].id()]);
    assert_eq!(waited.not_done.len(), 1);
    drop(promise);
}

fn wait_for_the_first_failure(executor: Exec) {
    let (promise, never) = promise::<u32>();
    let futures = [executor.submit(explode, 1), never, executor.submit(explode, 3)];
    let waited = wait(&futures, ReturnWhen::FirstException);
    assert!(waited.done.iter().any(|future| future.id() == futures[2].id()));
    assert!(waited.not_done.iter().any(|future| future.id() == futures[1].id()));
    // None fails: as AllCompleted.
    let futures: Vec<_> = [1, 2, 4].map(|n| executor.submit(explode, n)).into();
    assert!(wait(&futures, ReturnWhen::FirstException).not_done.is_empty());
    drop(promise);
}

fn waits_mix_executors_and_promises(executor: Exec) {
    let other = ThreadPoolExecutor::new(1);
    let (promise, promised) = promise::<String>();
    let (here, there) = (executor.submit(square, 4), other.spawn(|| 'x'));
    let all: [&dyn concurrent_futures::Waitable; 3] = [&promised, &here, &there];
    assert_eq!(wait_timeout([all[1], all[2]], ReturnWhen::AllCompleted, SOON).not_done.len(), 0);
    promise.set_result("done".into());
    assert_eq!(as_completed(all).count(), 3);
    assert_eq!(
        (promised.result().unwrap(), here.result().unwrap(), there.result().unwrap()),
        ("done".into(), 16, 'x')
    );
}

// ---- futures -----------------------------------------------------------------------------------------

fn a_done_future_ignores_the_limit(executor: Exec) {
    let future = executor.submit(square, 6);
    future.wait();
    assert!(future.is_done() && !future.is_running() && !future.is_cancelled());
    assert!(future.wait_timeout(Duration::ZERO));
    assert!(future.exception_timeout(Duration::ZERO).unwrap().is_none());
    assert_eq!(future.result_timeout(Duration::ZERO).unwrap().unwrap(), 36);
}

fn cancel_and_outcome_agree(executor: Exec) {
    for n in 0..50 {
        let future = executor.submit(square, n);
        let cancelled = future.cancel();
        assert_eq!(future.is_cancelled(), cancelled);
        assert_eq!(future.cancel(), cancelled);
        assert_eq!(matches!(future.result(), Err(TaskError::Cancelled)), cancelled);
    }
}

/// Those that are there when the task ends run in order (`callbacks`); one that comes just then may overtake them.
fn every_callback_runs_once(executor: Exec) {
    let (sender, receiver) = mpsc::channel();
    let future = executor.submit(explode, 3);
    for n in 0..10 {
        let sender = sender.clone();
        future.add_done_callback(move |done| {
            sender.send((n, done.id(), matches!(done.error(), Some(TaskError::Panicked(_))))).unwrap();
        });
    }
    drop(sender);
    let mut calls: Vec<_> = receiver.iter().collect();
    calls.sort_unstable_by_key(|(n, ..)| *n);
    assert_eq!(calls, (0..10).map(|n| (n, future.id(), true)).collect::<Vec<_>>());
}

fn a_callback_of_a_done_future_runs_at_once(executor: Exec) {
    let future = executor.submit(square, 1);
    future.wait();
    let (sender, receiver) = mpsc::channel();
    future.add_done_callback(move |done| {
        sender.send((std::thread::current().id(), done.error().is_none())).unwrap()
    });
    assert_eq!(receiver.try_recv().unwrap(), (std::thread::current().id(), true));
}

fn shared_results_are_read_by_many(executor: Exec) {
    let shared = executor.submit(|n: u64| vec![n; 3], 8).shared();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || std::ptr::from_ref(shared.result().unwrap()).addr())
        })
        .collect();
    let places: HashSet<usize> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_eq!(places.len(), 1, "one value, shared and not copied");
    assert_eq!(shared.result().unwrap(), &[8, 8, 8]);
}

fn awaiting_needs_no_runtime(executor: Exec) {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(executor.submit(square, 7));
    let outcome = loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(outcome.unwrap(), 49);
}

fn a_dropped_future_lets_its_task_run(executor: Exec) {
    let scratch = Scratch::new();
    for n in 0..5 {
        drop(executor.submit(append, (scratch.0.clone(), n)));
    }
    for n in 5..10 {
        executor.submit(append, (scratch.0.clone(), n)).detach();
    }
    eventually(|| scratch.lines().len() == 10);
    assert_eq!(scratch.lines(), (0..10).collect::<Vec<_>>());
}

// ---- the end -----------------------------------------------------------------------------------------

#[track_caller]
fn is_shut_down<T: std::fmt::Debug>(outcome: Result<T, TaskError>) {
    assert!(matches!(outcome, Err(TaskError::Rejected(Rejected::ShutDown))), "{outcome:?}");
}

fn shutdown_rejects_what_comes_later(executor: Exec) {
    executor.submit(square, 1).result().unwrap();
    executor.shutdown(Shutdown::Drain);
    let late = executor.submit(square, 2);
    assert!(late.is_done() && !late.is_cancelled());
    is_shut_down(late.result());
    is_shut_down(executor.try_submit(parse, "1".into()).result());
    is_shut_down(executor.submit_with(TaskOptions::new().label("late"), square, 2).result());
    executor.map(square, 0..3).for_each(is_shut_down);
    let mut lazy = executor.map_with(MapOptions::new().chunksize(2).buffersize(2), square, 0..5);
    for _ in 0..5 {
        is_shut_down(lazy.next().unwrap());
    }
    assert!(lazy.next().is_none());
}

fn shutdown_runs_what_came_before(executor: Exec) {
    let futures: Vec<_> = (0..50).map(|n| executor.submit(square, n)).collect();
    executor.shutdown(Shutdown::Drain);
    let squares: Result<Vec<u64>, _> = futures.into_iter().map(|future| future.result()).collect();
    assert_eq!(squares.unwrap(), (0..50).map(|n| n * n).collect::<Vec<_>>());
}

fn shutdown_by_cancelling_leaves_nobody_waiting(executor: Exec) {
    let futures: Vec<_> = (0..200).map(|n| executor.submit(square, n)).collect();
    executor.shutdown(Shutdown::CancelQueued);
    assert!(wait(&futures, ReturnWhen::AllCompleted).not_done.is_empty());
    for (n, future) in (0..).zip(futures) {
        match future.result() {
            Ok(square) => assert_eq!(square, n * n),
            Err(error) => assert!(matches!(error, TaskError::Cancelled), "{error:?}"),
        }
    }
    is_shut_down(executor.submit(square, 1).result());
}

fn shutdown_may_be_called_again(executor: Exec) {
    for mode in [Shutdown::Drain, Shutdown::Drain, Shutdown::CancelQueued, Shutdown::Drain] {
        executor.shutdown(mode);
    }
    is_shut_down(executor.submit(square, 1).result());
    // Cancelled at once, then shut down.
    let again = executor.submit(square, 1);
    again.cancel();
    assert!(again.result().is_err());
}

fn dropping_the_executor_runs_what_came_before(executor: Exec) {
    let futures: Vec<_> = (0..20).map(|n| executor.submit(square, n)).collect();
    drop(executor);
    for (n, future) in (0..).zip(futures) {
        assert_eq!(future.result().unwrap(), n * n);
    }
}
