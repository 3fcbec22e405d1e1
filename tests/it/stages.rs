//! Maps over the results of other maps.

use crate::support::{Gate, LIMIT, eventually, hold, limit, pass};
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, MapOptions, TaskError, TaskOptions};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

fn executors() -> Vec<Box<dyn Executor>> {
    vec![
        Box::new(ThreadPoolExecutor::new(2)),
        Box::new(InlineExecutor::new()),
        #[cfg(feature = "process")]
        Box::new(ProcessPoolExecutor::new(2)),
    ]
}

/// What stage `stage` makes of it: each fails on a third of what it gets.
fn step(stage: u32, n: u32) -> Result<u32, String> {
    if n % 9 % 3 == stage { Err(format!("{n} in stage {stage}")) } else { Ok(n) }
}

fn text(outcome: Result<u32, TaskError>) -> Result<u32, String> {
    outcome.map_err(|error| error.to_string())
}

#[test]
fn an_error_of_any_stage_comes_in_its_place() {
    limit(LIMIT, || {
        let (first, second) = (executors(), executors());
        for (a, b) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
            for options in [
                MapOptions::new(),
                MapOptions::new().buffersize(1),
                MapOptions::new().chunksize(4),
                MapOptions::new().chunksize(3).buffersize(7),
            ] {
                let one = a.try_map_with(options.clone(), |n: u32| step(0, n), 0..100);
                let two = b.try_then_map_with(options.clone(), |n: u32| step(1, n), one);
                let three = a.then_map_with(options.clone(), |n: u32| n, two);
                assert_eq!(three.size_hint(), (100, Some(100)));
                let expected = (0..100).map(|n| step(0, n).and_then(|n| step(1, n)));
                assert!(three.map(text).eq(expected), "{options:?}");

                let one = a.try_map_with(options.clone(), |n: u32| step(0, n), 0..100);
                let two = b.try_then_map_with(options.clone().unordered(), |n: u32| step(1, n), one);
                let mut all: Vec<_> = two.map(text).collect();
                let mut expected: Vec<_> = (0..100).map(|n| step(0, n).and_then(|n| step(1, n))).collect();
                all.sort();
                expected.sort();
                assert_eq!(all, expected, "{options:?}");
            }
        }
    });
}

/// The stage before says how many results come, and not that they are there: what has come must not wait for the others.
#[test]
fn an_item_runs_whatever_the_stage_before_does_next() {
    limit(LIMIT, || {
        let (first, second) = (ThreadPoolExecutor::new(2), ThreadPoolExecutor::new(2));
        let ran = Arc::new(AtomicUsize::new(0));
        let (counted, seen) = (ran.clone(), ran);
        let one = first.map_with(
            MapOptions::new(),
            move |n: usize| {
                // Short ones first; then one that needs the second stage to have run all before it.
                if n == 5000 {
                    eventually(|| seen.load(Ordering::SeqCst) == 5000);
                }
                n
            },
            0..6000,
        );
        let two = second.then_map_with(
            MapOptions::new(),
            move |n: usize| {
                counted.fetch_add(1, Ordering::SeqCst);
                n
            },
            one,
        );
        assert!(two.map(Result::unwrap).eq(0..6000));
    });
}

#[test]
fn an_error_costs_no_task() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let input = (0..30).map(|n| if n % 3 == 0 { Err(TaskError::Cancelled) } else { Ok(n) });
        let map = pool.then_map_with(MapOptions::new().chunksize(1), |n: u32| n, input);
        assert_eq!(map.filter(|outcome| matches!(outcome, Err(TaskError::Cancelled))).count(), 10);
        assert_eq!(pool.stats().finished, 20);
    });
}

#[test]
fn an_error_names_the_stage_that_it_is_from() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let options = |label| MapOptions::new().chunksize(1).tasks(TaskOptions::new().label(label));
        let fetch = |n: u32| if n % 2 == 1 { panic!("odd") } else { n };
        let pages = pool.map_with(options("fetch"), fetch, 0..4).skip(1);
        let decode = |n: u32| if n == 2 { panic!("two") } else { n };
        let all: Vec<_> = pool.then_map_with(options("decode"), decode, pages).collect();
        let told = |outcome: &Result<u32, TaskError>| match outcome {
            Err(TaskError::Panicked(panic)) => (panic.label().unwrap().to_owned(), panic.item().unwrap()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            all.iter().map(told).collect::<Vec<_>>(),
            [("fetch".into(), 1), ("decode".into(), 1), ("fetch".into(), 3)]
        );
    });
}

#[test]
fn both_pools_are_busy_at_once() {
    limit(LIMIT, || {
        let (first, second) = (ThreadPoolExecutor::new(1), ThreadPoolExecutor::new(1));
        let both = Arc::new(Barrier::new(2));
        let other = both.clone();
        let one = first.map_with(
            MapOptions::new().buffersize(2),
            move |n: u32| {
                if n > 0 {
                    both.wait();
                }
                n
            },
            0..10,
        );
        let two = second.then_map_with(
            MapOptions::new().buffersize(2),
            move |n: u32| {
                if n < 9 {
                    other.wait();
                }
                n
            },
            one,
        );
        assert!(two.map(Result::unwrap).eq(0..10));
    });
}

#[test]
fn no_more_is_there_than_the_buffers_hold() {
    limit(LIMIT, || {
        struct Item(Arc<AtomicUsize>);
        impl Drop for Item {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let (first, second) = (ThreadPoolExecutor::new(2), ThreadPoolExecutor::new(2));
        let here = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let input = (0..500).map(|_| {
            most.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            Item(here.clone())
        });
        let one = first.map_with(MapOptions::new().buffersize(5), |item: Item| item, input);
        let two = second.then_map_with(MapOptions::new().buffersize(3), |item: Item| item, one);
        assert_eq!(two.map(Result::unwrap).count(), 500);
        // And one that is being handed out.
        assert!(most.load(Ordering::SeqCst) <= 5 + 3 + 1, "{most:?}");
        assert_eq!(here.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn dropping_the_last_map_cancels_every_stage() {
    limit(LIMIT, || {
        let (first, second) = (ThreadPoolExecutor::new(1), ThreadPoolExecutor::new(1));
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = ran.clone();
        let one = first.map_with(MapOptions::new().buffersize(4), |n: u32| n, 0..100);
        let held = hold(&second);
        let mut two = second.then_map_with(
            MapOptions::new().buffersize(3),
            move |n: u32| {
                counted.fetch_add(1, Ordering::SeqCst);
                n
            },
            one,
        );
        // Its first stage is held as well, with what it has in the air.
        let also = hold(&first);
        assert!(two.by_ref().size_hint().0 > 0);
        drop(two);
        also.release();
        held.release();
        let last = (first.submit(|()| (), ()), second.submit(|()| (), ()));
        last.0.result().unwrap();
        last.1.result().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        eventually(|| first.stats().queued == 0 && second.stats().queued == 0);
    });
}

#[test]
fn a_result_is_handed_out_before_a_slow_input_has_filled_the_buffer() {
    limit(LIMIT, || {
        for is_unordered in [false, true] {
            let pool = ThreadPoolExecutor::new(2);
            let (ran, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (counted, asked) = (ran.clone(), taken.clone());
            // Each item comes once all before it have been run, and a while later.
            let input = (0..100_usize).inspect(|n| {
                eventually(|| ran.load(Ordering::SeqCst) == *n);
                pass(Duration::from_millis(1));
                asked.fetch_add(1, Ordering::SeqCst);
            });
            // Four a worker may be in flight.
            let options = MapOptions::new().chunksize(1);
            let options = if is_unordered { options.unordered() } else { options };
            let mut map = pool.map_with(
                options,
                move |n: usize| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    n
                },
                input,
            );
            assert!(taken.load(Ordering::SeqCst) < 6, "{taken:?} were taken before the call returned");
            let first = map.next().unwrap().unwrap();
            // The worker that has run the first one may be the later to say so.
            assert!(first == 0 || (is_unordered && first < 8), "{first}");
            assert!(taken.load(Ordering::SeqCst) < 8, "{taken:?} were taken before the first result");
            assert_eq!(map.map(Result::unwrap).count(), 99);
        }
    });
}

#[test]
fn what_a_stage_is_given_can_be_weighed() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let gate = Gate::new();
        let waits = gate.clone();
        let taken = Arc::new(AtomicUsize::new(0));
        let asked = taken.clone();
        let input = (0..10_u64).map(move |n| {
            asked.fetch_add(1, Ordering::SeqCst);
            if n == 1 { Err(TaskError::Abandoned) } else { Ok(n) }
        });
        let options = MapOptions::new().buffersize(10).weigh(3, |_: &u64| 1);
        let map = pool.then_map_with(
            options,
            move |n: u64| {
                waits.wait();
                n
            },
            input,
        );
        // Three that weigh one each, the error between them that weighs nothing, and one for which there is no room.
        assert_eq!(taken.load(Ordering::SeqCst), 5);
        gate.open();
        assert_eq!(map.filter_map(Result::ok).sum::<u64>(), 44);
    });
}
