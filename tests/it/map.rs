//! What `map` does on threads beyond the stamped suite: deadlines, drops, bad input, a pool that goes away.

use crate::support::{Gate, LIMIT, Live, SOON, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, Rejected, Shutdown, TaskError, TaskOptions};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts its runs.
fn counting() -> (Arc<AtomicUsize>, impl Fn(usize) -> usize + Send + Sync + Clone + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    (runs, move |n| {
        counted.fetch_add(1, Ordering::SeqCst);
        n
    })
}

#[test]
fn all_is_submitted_by_the_call() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let (runs, f) = counting();
        let results = pool.map(f, 0..10);
        assert_eq!((results.len(), results.size_hint()), (10, (10, Some(10))));
        pool.join();
        assert_eq!(runs.load(Ordering::SeqCst), 10);
        assert_eq!(results.map(Result::unwrap).sum::<usize>(), 45);
    });
}

#[test]
fn the_deadline_cancels_the_awaited_and_the_rest() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let (runs, f) = counting();
        let mut eager = pool.map(f.clone(), 0..2).timeout(Duration::ZERO);
        assert!(eager.next().unwrap().is_err());
        assert!(eager.next().is_none() && eager.next().is_none());
        let mut lazy = pool.map_with(MapOptions::new().buffersize(2), f.clone(), 0..).timeout(Duration::ZERO);
        let error = lazy.next().unwrap().unwrap_err();
        assert_eq!((error.unfinished(), error.total()), (2, 2));
        assert!(lazy.next().is_none());
        let unordered = MapOptions::new().unordered().buffersize(3);
        let mut lazy = pool.map_with(unordered, f, 0..).timeout(Duration::ZERO);
        assert!(lazy.next().unwrap().is_err() && lazy.next().is_none());
        assert_eq!(pool.stats().cancelled, 7);
        held.release();
        pool.join();
        assert_eq!(runs.load(Ordering::SeqCst), 0, "none of them began");
    });
}

#[test]
fn the_deadline_is_one_for_the_whole_iteration() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let gate = Gate::new();
        let inner = gate.clone();
        let wait_at = move |n| {
            if n == 2 {
                inner.wait();
            }
            n
        };
        let mut items = pool.map(wait_at, 0..4).timeout(Duration::from_millis(300));
        assert_eq!(items.next().unwrap().unwrap().unwrap(), 0);
        assert_eq!(items.next().unwrap().unwrap().unwrap(), 1);
        let error = items.next().unwrap().unwrap_err();
        assert_eq!(error.unfinished(), 2);
        assert!(items.next().is_none());
        gate.open();
    });
}

#[test]
fn what_is_done_is_handed_out_after_the_deadline() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let results = pool.map(|n| n, 0..5).timeout(Duration::ZERO);
        pool.join();
        assert_eq!(results.map(|item| item.unwrap().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn dropping_it_cancels_what_has_not_begun() {
    limit(LIMIT, || {
        // One rule, whether anybody iterated or not, eager or lazy.
        let pool = ThreadPoolExecutor::new(1);
        for iterate in [false, true] {
            let (runs, f) = counting();
            let mut eager = pool.map(f.clone(), 0..10);
            let mut lazy = pool.map_with(MapOptions::new().buffersize(4), f.clone(), 0..);
            let mut unordered = pool.map_with(MapOptions::new().buffersize(4).unordered(), f.clone(), 0..);
            if iterate {
                eager.next().unwrap().unwrap();
                lazy.next().unwrap().unwrap();
                unordered.next().unwrap().unwrap();
            }
            let held = hold(&pool); // everything before it has run
            let ran = runs.load(Ordering::SeqCst);
            let cancelled = pool.stats().cancelled;
            let more =
                (pool.map(f.clone(), 0..10), pool.map_with(MapOptions::new().buffersize(4), f.clone(), 0..));
            let third = pool.map_with(MapOptions::new().buffersize(4).unordered().chunksize(2), f, 0..);
            drop((eager, lazy, unordered, more, third));
            assert_eq!(pool.stats().cancelled - cancelled, 10 + 4 + 2);
            held.release();
            assert_eq!(runs.load(Ordering::SeqCst), ran, "iterated: {iterate}");
        }
    });
}

#[test]
fn a_yielded_result_is_the_consumers_alone() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let live = Live::new();
        let counted = live.clone();
        let make = move |_: usize| counted.token();
        let mut eager = pool.map(make.clone(), 0..10);
        pool.join();
        for left in (0..10).rev() {
            drop(eager.next().unwrap().unwrap());
            assert_eq!(live.count(), left);
        }
        let pool = ThreadPoolExecutor::new(2);
        let mut lazy = pool.map_with(MapOptions::new().chunksize(5).buffersize(10), make, 0..10);
        for item in lazy.by_ref() {
            drop(item.unwrap());
        }
        assert_eq!(live.count(), 0, "although the iterator still lives");
        assert!(lazy.next().is_none());
    });
}

#[test]
fn a_panic_in_the_input_leaves_the_pool_usable() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let (runs, f) = counting();
        let bad = || (0..10).inspect(|n| assert!(*n < 5, "bad input"));
        // Eager: it leaves the call; what was submitted before runs, as in Python.
        assert!(catch_unwind(AssertUnwindSafe(|| pool.map(f.clone(), bad()))).is_err());
        held.release();
        pool.spawn(|| ()).result().unwrap(); // behind them in the queue
        assert_eq!(runs.load(Ordering::SeqCst), 5);
        // Lazy: it leaves `next`, and what is in the air is still there to be read.
        let mut lazy = pool.map_with(MapOptions::new().buffersize(3), f, bad());
        let mut items = Vec::new();
        let mut panics = 0;
        for _ in 0..12 {
            match catch_unwind(AssertUnwindSafe(|| lazy.next())) {
                Ok(Some(item)) => items.push(item.unwrap()),
                Ok(None) => break,
                Err(_) => panics += 1,
            }
        }
        assert_eq!(
            (items, panics),
            (vec![0, 1, 2, 3, 4], 5),
            "each bad item once, and none of the good ones lost"
        );
        drop(lazy);
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_shut_down_pool_gives_buffered_results_first_then_errors() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let mut lazy = pool.map_with(MapOptions::new().buffersize(3), |n| n, 0..6);
        pool.shutdown(Shutdown::Drain);
        let items: Vec<_> = lazy.by_ref().collect();
        assert_eq!(items.len(), 6, "nothing is lost and nothing ends silently");
        assert!(items[..3].iter().map(|item| item.as_ref().unwrap()).eq(&[0, 1, 2]));
        assert!(items[3..].iter().all(|item| matches!(item, Err(TaskError::Rejected(Rejected::ShutDown)))));
    });
}

#[test]
fn it_outlives_the_pool() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let eager = pool.map(|n| n, 0..5);
        let mut lazy = pool.map_with(MapOptions::new().buffersize(2), |n| n, 0..4);
        drop(pool);
        assert_eq!(eager.map(Result::unwrap).sum::<i32>(), 10);
        assert_eq!(lazy.next().unwrap().unwrap(), 0);
        assert_eq!(lazy.next().unwrap().unwrap(), 1);
        assert!(lazy.next().unwrap().is_err(), "an explicit error, not the end");
    });
}

#[test]
fn input_is_taken_on_the_consumers_thread_and_no_further_than_the_buffer() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let here = std::thread::current().id();
        let mut source = (0..).inspect(|_| assert_eq!(std::thread::current().id(), here));
        let lazy = pool.map_with(MapOptions::new().buffersize(2), |n| n, source.by_ref());
        pool.join();
        drop(lazy);
        assert_eq!(source.next(), Some(2));
        // By default a few for each worker at first.
        let mut source = 0..;
        drop(ThreadPoolExecutor::new(3).map_with(MapOptions::new(), |n: u64| n, source.by_ref()));
        assert_eq!(source.next(), Some(12));
    });
}

/// By default: four chunks a worker of a channel's items, which nobody knows of before they come, however short they are;
/// of others more, but each result takes two at most from the input.
#[test]
fn short_items_are_taken_ahead_where_the_input_knows_of_them() {
    limit(LIMIT, || {
        let plain = MapOptions::new;
        for (options, chunk) in [(plain(), 1), (plain().unordered(), 1), (plain().chunksize(2), 2)] {
            let pool = ThreadPoolExecutor::new(2);
            let taken = Cell::new(0_usize);
            let unknown = std::iter::from_fn(|| Some(taken.replace(taken.get() + 1)));
            let mut results = pool.map_with(options.clone(), |n: usize| n, unknown);
            for yielded in 1..=5000 {
                results.next().unwrap().unwrap();
                assert!(taken.get() <= yielded + 8 * chunk, "{} taken, {yielded} yielded", taken.get());
            }
            drop(results);
            let taken = Cell::new(0_usize);
            let known = (0..1_000_000_usize).inspect(|_| taken.set(taken.get() + 1));
            let mut results = pool.map_with(options, |n: usize| n, known);
            let mut ahead = 0;
            for yielded in 1..=5000 {
                results.next().unwrap().unwrap();
                assert!(taken.get() <= 2 * yielded + 8 * chunk, "{} taken, {yielded} yielded", taken.get());
                ahead = ahead.max(taken.get() - yielded);
            }
            assert!(ahead > 8 * chunk, "{ahead}");
            assert!(ahead <= 2 * 2048 + 8, "{ahead}");
        }
    });
}

#[test]
fn zero_is_refused_at_the_call() {
    limit(LIMIT, || {
        assert!(catch_unwind(|| MapOptions::new().chunksize(0)).is_err());
        assert!(catch_unwind(|| MapOptions::new().buffersize(0)).is_err());
    });
}

#[test]
fn a_chunk_is_one_task_and_each_item_has_its_own_outcome() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let options = MapOptions::new().chunksize(4).buffersize(8);
        let f = |n: u32| if n % 4 == 1 { panic!("item {n}") } else { n };
        let items: Vec<_> = pool.map_with(options, f, 0..10).collect();
        let failed: Vec<_> = (0..).zip(&items).filter(|(_, item)| item.is_err()).map(|(n, _)| n).collect();
        assert_eq!(failed, [1, 5, 9]);
        let text = items[5].as_ref().unwrap_err().to_string();
        assert!(text.contains("item 5") && text.contains("map.rs"), "{text}");
        assert_eq!(pool.stats().submitted(), 3);
        pool.map_with(MapOptions::new().chunksize(usize::MAX).buffersize(3), |n| n, 0..9)
            .for_each(|n| assert!(n.is_ok()));
    });
}

#[test]
fn short_items_share_tasks_where_nothing_is_said_of_tasks() {
    limit(LIMIT, || {
        let count = |options: MapOptions| {
            let pool = ThreadPoolExecutor::new(2);
            let results = pool.map_with(options, |n: u64| n * 2, 0..20_000);
            assert!(results.map(Result::unwrap).eq((0..20_000).map(|n| n * 2)));
            pool.join();
            pool.stats().submitted()
        };
        let roomy = MapOptions::new().buffersize(1000);
        assert!(count(roomy.clone()) < 10_000);
        assert!(count(MapOptions::new()) < 10_000);
        assert_eq!(count(roomy.clone().chunksize(1)), 20_000);
        assert_eq!(count(MapOptions::new().chunksize(1)), 20_000);
        assert_eq!(count(roomy.tasks(TaskOptions::new().label("own"))), 20_000);
    });
}

#[test]
fn items_that_come_one_by_one_are_tasks_of_their_own() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (feed, fed) = std::sync::mpsc::channel();
        (0..1000).for_each(|n| feed.send(n).unwrap());
        drop(feed);
        assert_eq!(pool.map_with(MapOptions::new().buffersize(100), |n: usize| n, fed).count(), 1000);
        assert_eq!(pool.stats().submitted(), 1000);
    });
}

/// Among many short items, each tenth-thousandth waits for something that would come too late in a batch that is not parted.
#[test]
fn an_item_that_takes_long_holds_up_no_other() {
    limit(LIMIT, || {
        const STEP: usize = 10_007;
        let pool = ThreadPoolExecutor::new(2);
        // For the item behind it.
        let gates: Arc<Vec<Gate>> = Arc::new((0..8).map(|_| Gate::new()).collect());
        let inside = gates.clone();
        let f = move |n: usize| {
            match (n / STEP, n % STEP) {
                (step, 4000) => inside[step].wait(),
                (step, 4001) => inside[step].open(),
                _ => {}
            }
            n
        };
        let options = MapOptions::new().buffersize(4000);
        assert!(pool.map_with(options.clone(), f, 0..8 * STEP).map(Result::unwrap).eq(0..8 * STEP));
        // For its consumer, which waits for the result before it.
        let gates: Arc<Vec<Gate>> = Arc::new((0..8).map(|_| Gate::new()).collect());
        let inside = gates.clone();
        let f = move |n: usize| {
            if n % STEP == 4000 {
                inside[n / STEP].wait();
            }
            n
        };
        for (i, n) in pool.map_with(options, f, 0..8 * STEP).enumerate() {
            assert_eq!(n.unwrap(), i);
            if i % STEP == 3999 {
                gates[i / STEP].open();
            }
        }
        pool.join();
        // On a busy machine a worker that is kept from running looks like an item that takes long.
        assert!(pool.stats().submitted() < 16 * STEP as u64, "{:?}", pool.stats());
    });
}

#[test]
fn dropping_it_cancels_what_has_not_begun_of_a_shared_task() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (runs, counted) = counting();
        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, waits) = (begun.clone(), gate.clone());
        let f = move |n: usize| {
            if n == 50_000 {
                begins.open();
                waits.wait();
            }
            counted(n)
        };
        let mut results = pool.map_with(MapOptions::new().buffersize(4000), f, 0..1_000_000);
        // Not up to the one that waits: it is submitted by then.
        assert_eq!(results.by_ref().take(49_000).count(), 49_000);
        begun.wait();
        drop(results);
        gate.open();
        pool.join();
        assert_eq!(runs.load(Ordering::SeqCst), 50_001);
    });
}

#[test]
fn unordered_yields_the_quick_ones_first() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let gate = Gate::new();
        let inner = gate.clone();
        let f = move |n| {
            if n == 0 {
                inner.wait();
            }
            n
        };
        let mut items =
            pool.map_with(MapOptions::new().unordered().buffersize(4), f, 0..20).map(Result::unwrap);
        let quick: Vec<_> = items.by_ref().take(19).collect();
        assert!(!quick.contains(&0));
        gate.open();
        assert_eq!((items.next(), items.next()), (Some(0), None));
    });
}

/// What the errors of a map name of items: in the order of the input, and sorted where results come as they finish.
fn items_named<R>(results: impl Iterator<Item = Result<R, TaskError>>) -> Vec<Option<usize>> {
    let item = |error: TaskError| {
        let TaskError::Panicked(panic) = &error else { panic!("{error}") };
        let task = panic.task().expect("it names its task");
        let named = format!("task {task} (item {} of the map) in worker", panic.item().expect("its item"));
        assert!(error.to_string().starts_with(&named), "{error}");
        panic.item()
    };
    results.filter_map(Result::err).map(item).collect()
}

#[test]
fn a_panic_names_its_item() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let f = |n: u32| assert_ne!(n % 4, 3);
        let odd = [Some(3), Some(7), Some(11)];
        assert_eq!(items_named(pool.map(f, 0..12)), odd);
        let options = MapOptions::new;
        for options in [options(), options().chunksize(5), options().buffersize(7)] {
            assert_eq!(items_named(pool.map_with(options.clone(), f, 0..12)), odd);
            let mut items = items_named(pool.map_with(options.unordered(), f, 0..12));
            items.sort();
            assert_eq!(items, odd);
        }
        let deadline = pool.map_with(options().chunksize(3), f, 0..12).timeout(LIMIT);
        assert_eq!(items_named(deadline.map(Result::unwrap)), odd);
        assert_eq!(items_named(pool.scope(|scope| scope.map(f, 0..12).collect::<Vec<_>>()).into_iter()), odd);
        // A label says more than a number, and both stand there.
        let labelled = options().chunksize(2).tasks(TaskOptions::new().label("thumbs"));
        let error = pool.map_with(labelled, f, [3]).next().unwrap().unwrap_err();
        assert!(error.to_string().starts_with("task `thumbs` (item 0 of the map) in worker"), "{error}");
    });
}

#[test]
fn a_parted_item_names_its_place() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let gate = Gate::new();
        // Short items until one waits for one behind it: that one gets a task of its own, and so do all between them.
        let f = move |n: u32| {
            match n {
                20_000 => gate.wait(),
                20_001 => gate.open(),
                _ => {}
            }
            assert!(n < 20_000 || n % 500 != 2);
        };
        let results = pool.map_with(MapOptions::new().buffersize(4000), f, 0..22_000);
        let places: Vec<_> = (20_002..22_000).step_by(500).map(Some).collect();
        assert_eq!(items_named(results), places);
    });
}

#[test]
fn an_items_panic_keeps_its_payload() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let error = pool.map(|_: u32| std::panic::panic_any(17u8), [0]).next().unwrap().unwrap_err();
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        assert_eq!(*panic.into_payload().unwrap().downcast::<u8>().unwrap(), 17);
    });
}

#[test]
fn many_more_items_than_workers_then_join() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(5);
        drop(pool.map(|n| n, 0..6));
        pool.join();
        let pool = ThreadPoolExecutor::new(5);
        let nap = pool.map(|n: u32| n, 0..50);
        pool.shutdown(Shutdown::Drain);
        assert!(pool.join_timeout(SOON).is_ok());
        assert_eq!(nap.filter(Result::is_ok).count(), 50);
    });
}
