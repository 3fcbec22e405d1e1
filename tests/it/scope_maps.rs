//! Lazy maps of a scope, which borrow; and maps that say which item a result is of.

use crate::support::{Gate, LIMIT, Live, Token, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, MapOptions, Rejected, TaskError, TaskOptions};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Some of every kind: bounded or not, in chunks or not.
fn options() -> Vec<MapOptions> {
    let new = MapOptions::new;
    vec![
        new(),
        new().buffersize(1),
        new().buffersize(7),
        new().chunksize(3),
        new().chunksize(3).buffersize(7),
        new().tasks(TaskOptions::new().label("of a map")),
    ]
}

#[test]
fn items_closures_and_results_may_borrow() {
    limit(LIMIT, || {
        for workers in [1, 4] {
            let pool = ThreadPoolExecutor::new(workers);
            let words: Vec<String> = (0..100).map(|n| n.to_string()).collect();
            let texts: [String; 2] = ["1".into(), "x".into()];
            let calls = AtomicUsize::new(0);
            for options in options() {
                let shout = |word: &String| -> usize {
                    calls.fetch_add(1, Ordering::Relaxed);
                    word.len()
                };
                let lengths: Vec<usize> =
                    pool.scope(|s| s.map_with(options.clone(), shout, &words).map(Result::unwrap).collect());
                assert_eq!(lengths, words.iter().map(String::len).collect::<Vec<_>>());
                let lent: Vec<&str> = pool.scope(|s| {
                    let map = s.map_with(options.clone().unordered(), |word: &String| &word[..], &words);
                    map.map(Result::unwrap).collect()
                });
                let mut sorted = lent.clone();
                sorted.sort_by_key(|word| word.parse::<u32>().unwrap());
                assert_eq!(sorted, words.iter().map(|word| &word[..]).collect::<Vec<_>>());
                let failed = pool.scope(|s| {
                    let map = s.try_map_with(options.clone(), |word: &String| word.parse::<u8>(), &texts);
                    map.map(|result| result.is_err()).collect::<Vec<_>>()
                });
                assert_eq!(failed, [false, true]);
            }
            assert_eq!(calls.into_inner(), 600);
        }
    });
}

#[test]
fn no_more_is_in_the_air_than_the_buffer() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let (taken, given) = (Cell::new(0), Cell::new(0));
        pool.scope(|s| {
            let input = std::iter::from_fn(|| {
                taken.set(taken.get() + 1);
                assert!(taken.get() - given.get() <= 3);
                Some(taken.get())
            });
            let mut map = s.map_with(MapOptions::new().buffersize(3), |n: u32| n, input);
            for n in 1..=50 {
                given.set(n);
                assert_eq!(map.next().unwrap().unwrap(), n);
            }
        });
    });
}

#[test]
fn inside_a_worker_of_its_pool() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let inner = pool.clone();
        let sum = pool.spawn(move || {
            let numbers: Vec<u64> = (1..=100).collect();
            inner.scope(|s| {
                s.map_with(MapOptions::new(), |n: &u64| *n, &numbers).map(Result::unwrap).sum::<u64>()
            })
        });
        assert_eq!(sum.result().unwrap(), 5050);
    });
}

/// However a map ends, nothing of its items and results is left when its scope ends.
#[test]
fn nothing_is_left_when_the_scope_ends() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        for options in options() {
            for take in [0, 1, 5, 100] {
                for forget in [false, true] {
                    let live = Live::new();
                    let tokens = (0..20).map(|_| live.token());
                    pool.scope(|s| {
                        let map = s.map_with(options.clone(), |token: Token| token, tokens);
                        let mut map = map.take(take);
                        assert!(map.by_ref().all(|result| result.is_ok()));
                        if forget && take == 100 {
                            std::mem::forget(map); // it has given out everything
                        }
                    });
                    assert_eq!(live.count(), 0, "{options:?}, {take} taken");
                }
            }
            // A panic of the body cancels what has not begun.
            let live = Live::new();
            let gate = Gate::new();
            let body = AssertUnwindSafe(|| {
                pool.scope(|s| {
                    let wait = |token: Token| {
                        gate.wait();
                        token
                    };
                    let _map = s.map_with(options.clone(), wait, (0..20).map(|_| live.token()));
                    gate.open();
                    panic!("on purpose");
                })
            });
            assert!(catch_unwind(body).is_err());
            assert_eq!(live.count(), 0, "{options:?}");
        }
    });
}

#[test]
fn a_cancelled_scope_ends_its_map() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let results: Vec<bool> = pool.scope(|s| {
            let item = move |n: u32| {
                if n == 2 {
                    s.cancel()
                }
            };
            let map = s.map_with(MapOptions::new().buffersize(2), item, 0..10);
            map.map(|result| matches!(result, Err(TaskError::Cancelled))).collect()
        });
        assert_eq!(results, [vec![false; 3], vec![true; 7]].concat());
    });
}

#[test]
fn options_of_single_tasks() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let word = String::from("three");
        pool.scope(|s| {
            let label = || TaskOptions::new().label("borrows");
            assert_eq!(s.submit_with(label(), |word: &str| word.len(), word.as_str()).result().unwrap(), 5);
            let error =
                s.submit_with(label(), |word: &str| assert!(word.is_empty()), &*word).result().unwrap_err();
            assert!(error.to_string().starts_with("task `borrows` in worker "), "{error}");
            assert!(s.try_submit_with(label(), |word: &str| word.parse::<u8>(), &*word).result().is_err());
            let limited = TaskOptions::new().timeout(Duration::from_secs(1));
            let refused = s.submit_with(limited, |word: &str| word.len(), &*word).result();
            assert!(matches!(refused, Err(TaskError::Rejected(Rejected::Unsupported(_)))));
        });
        let weighs = AssertUnwindSafe(|| {
            pool.scope(|s| s.map_with(MapOptions::new().weigh(1, |_: &u8| 1), |n: u8| n, [1]).count())
        });
        assert!(catch_unwind(weighs).is_err());
    });
}

fn at_three(n: usize) -> usize {
    if n % 5 == 3 { panic!("number {n}") } else { n }
}

/// Each result has the place of its item, whatever becomes of the item and in whatever order.
fn check_places(map: impl Iterator<Item = (usize, Result<usize, TaskError>)>, is_ordered: bool) {
    let mut places = Vec::new();
    for (place, result) in map {
        match result {
            Ok(n) => assert_eq!(n, place),
            Err(TaskError::Panicked(panic)) => {
                assert_eq!((place % 5, panic.item()), (3, Some(place)));
                assert_eq!(panic.message(), format!("number {place}"));
            }
            Err(other) => panic!("{other}"),
        }
        places.push(place);
    }
    if !is_ordered {
        places.sort_unstable();
    }
    assert_eq!(places, (0..60).collect::<Vec<_>>());
}

#[test]
fn indexed_says_which_item_it_is() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(3);
        for options in options() {
            check_places(pool.map_with(options.clone(), at_three, 0..60).indexed(), true);
            check_places(pool.map_with(options.clone().unordered(), at_three, 0..60).indexed(), false);
            check_places(InlineExecutor::new().map_with(options.clone(), at_three, 0..60).indexed(), true);
            pool.scope(|s| {
                check_places(s.map_with(options.clone().unordered(), at_three, 0..60).indexed(), false)
            });
            let in_time = pool.map_with(options, at_three, 0..60).indexed().timeout(LIMIT);
            check_places(in_time.map(Result::unwrap), true);
        }
        let mut map = pool.map_with(MapOptions::new(), at_three, 0..4).indexed();
        assert_eq!(map.len(), 4);
        assert!(format!("{map:?}").starts_with("Indexed(MapWith"));
        map.next();
        assert_eq!(map.len(), 3);
        let never = Gate::new();
        let waits = never.clone();
        let mut late =
            pool.map_with(MapOptions::new(), move |_| waits.wait(), 0..2).indexed().timeout(Duration::ZERO);
        assert!(late.next().unwrap().is_err() && late.next().is_none());
        never.open();
    });
}

/// Short items share a task; one that takes long is parted from the others, and all keep their places.
#[test]
fn indexed_where_items_share_tasks() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let gate = Gate::new();
        let waits = gate.clone();
        let item = move |n: usize| {
            if n == 5_000 {
                waits.wait();
            }
            n
        };
        let map = pool.map_with(MapOptions::new(), item, 0..20_000).indexed();
        let mut count = 0;
        for (place, result) in map {
            assert_eq!((result.unwrap(), place), (count, count));
            count += 1;
            if count == 4_000 {
                gate.open();
            }
        }
        assert_eq!(count, 20_000);
    });
}

#[cfg(feature = "process")]
fn dies_at_three(n: usize) -> usize {
    if n == 3 { std::process::abort() } else { at_three(if n == 8 { 7 } else { n }) }
}

#[cfg(feature = "process")]
#[test]
fn indexed_on_processes_and_where_workers_die() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(2);
        for options in options() {
            check_places(pool.map_with(options.clone().unordered(), at_three, 0..60).indexed(), false);
        }
        let map = pool.map_with(MapOptions::new().chunksize(2).unordered(), dies_at_three, 0..8);
        let mut lost: Vec<usize> =
            map.indexed().filter(|(_, result)| result.is_err()).map(|(place, _)| place).collect();
        lost.sort_unstable();
        assert_eq!(lost, [2, 3], "the chunk of the one that died");
    });
}
