//! `as_completed`: order, limits, feeding, and what it holds on to.

use crate::support::{Gate, LIMIT, Live, SOON, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{AsCompleted, Future, Promise, TaskError, Waitable, Watch, promise};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn yields_each_kind_once() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let held = hold(&pool);
        let (_promise, cancelled) = promise::<i32>();
        cancelled.cancel();
        let mixture = vec![
            ("cancelled", cancelled),
            ("failed", Future::ready(Err(TaskError::Abandoned))),
            ("ready", Future::ready(Ok(1))),
            ("soon", pool.spawn(|| 2)),
            ("bad", pool.spawn(|| panic!("bad"))),
        ];
        let mut names: Vec<_> = as_completed(mixture).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["bad", "cancelled", "failed", "ready", "soon"]);
        held.release();
    });
}

#[test]
fn in_the_order_of_completion() {
    limit(LIMIT, || {
        let ends: Vec<_> = (0..50).map(|_| promise::<usize>()).collect();
        let (promises, futures): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let mut all = as_completed(futures.into_iter().enumerate());
        // Shuffled: 37 and 50 have no common factor.
        let order: Vec<usize> = (0..50).map(|n| n * 37 % 50).collect();
        let mut promises: Vec<_> = promises.into_iter().map(Some).collect();
        for &n in &order {
            promises[n].take().unwrap().set_result(n);
        }
        assert_eq!(all.by_ref().map(|(n, _)| n).collect::<Vec<_>>(), order);
        assert!(all.next().is_none());
    });
}

/// A future that counts how often it is looked at. The first look after `ends_next` was set ends the next one's task.
struct Counted {
    future: Future<usize>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    looks: AtomicUsize,
    ends_next: AtomicBool,
    promises: Mutex<VecDeque<Promise<usize>>>,
}

impl Waitable for Counted {
    fn watch(&self) -> Watch<'_> {
        self.shared.looks.fetch_add(1, Ordering::SeqCst);
        if self.shared.ends_next.swap(false, Ordering::SeqCst) {
            let next = self.shared.promises.lock().unwrap().pop_front();
            let _ = next.map(|promise| promise.set_result(1));
        }
        self.future.watch()
    }
}

/// Each `next` has to wait, in a worker that asks for two pools: for what was broadcast to its own, and for its tasks.
#[test]
fn each_is_looked_at_a_few_times_however_many_wait() {
    limit(LIMIT, || {
        const MANY: usize = 1000;
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let own = pool.clone();
        let looks = pool.spawn(move || {
            own.broadcast(|()| (), ()).into_iter().for_each(Future::detach);
            let shared = Arc::new(Shared::default());
            let mut all = as_completed((0..MANY).map(|_| {
                let (promise, future) = promise();
                shared.promises.lock().unwrap().push_back(promise);
                Counted { future, shared: shared.clone() }
            }));
            for _ in 0..MANY {
                shared.ends_next.store(true, Ordering::SeqCst);
                assert!(all.next().unwrap().future.is_done());
            }
            shared.looks.load(Ordering::SeqCst)
        });
        let looks = looks.result().unwrap();
        assert!(looks < 10 * MANY, "{looks}");
    });
}

#[test]
fn those_done_come_first_even_without_time() {
    limit(LIMIT, || {
        let (_promise, never) = promise::<i32>();
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let futures = [&never, &Future::ready(Ok(1)), &Future::ready(Err(TaskError::Abandoned))];
            let mut all = as_completed(futures).timeout(timeout);
            assert!(all.next().unwrap().unwrap().is_done());
            assert!(all.next().unwrap().unwrap().is_done());
            assert!(all.next().unwrap().is_err());
            assert!(all.next().is_none() && all.next().is_none());
        }
    });
}

#[test]
fn the_limit_counts_from_the_call() {
    limit(LIMIT, || {
        let (_promise, never) = promise::<i32>();
        let before = Instant::now();
        let mut all = as_completed([&never]).timeout(Duration::from_millis(100));
        // Idling before the first `next` counts; Python's clock would only start there.
        while before.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        let asked = Instant::now();
        assert!(all.next().unwrap().is_err());
        assert!(asked.elapsed() < Duration::from_millis(90), "{:?}", asked.elapsed());
    });
}

#[test]
fn what_is_done_is_handed_out_after_the_deadline() {
    limit(LIMIT, || {
        let (one, two, _open) = (promise(), promise(), promise::<i32>());
        let mut all = as_completed([&one.1, &two.1, &_open.1]).timeout(Duration::from_millis(1));
        let before = Instant::now();
        while before.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        one.0.set_result(1);
        two.0.set_result(2);
        assert!(all.next().unwrap().is_ok());
        assert!(all.next().unwrap().is_ok());
        assert!(all.next().unwrap().is_err());
    });
}

#[test]
fn the_error_counts_what_is_unfinished() {
    limit(LIMIT, || {
        let open: Vec<_> = (0..2).map(|_| promise::<i32>()).collect();
        let done = [Future::ready(Ok(1)), Future::ready(Ok(2))];
        let mut all =
            as_completed(open.iter().map(|(_, f)| f).chain(&done)).timeout(Duration::from_millis(1));
        let error = all.find_map(Result::err).unwrap();
        assert_eq!((error.unfinished(), error.total()), (2, 4));
        assert_eq!(error.to_string(), "the wait timed out: 2 of 4 futures unfinished");
        assert_eq!(all.into_remaining().count(), 2);
    });
}

#[test]
fn every_item_given_comes_once() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let shared = pool.spawn(|| 1).shared();
        // Differs from Python, which yields a future once however often it was given: the items may carry keys.
        let keys: Vec<_> =
            as_completed((0..3).map(|key| (key, shared.clone()))).map(|(key, _)| key).collect();
        assert_eq!(keys.len(), 3);
        let (promise, future) = promise();
        let mut twice = as_completed([(1, &future), (2, &future)]);
        promise.set_result(());
        assert_eq!(twice.by_ref().map(|(key, _)| key).sum::<i32>(), 3);
    });
}

#[test]
fn keeps_nothing_it_has_yielded() {
    limit(LIMIT, || {
        let live = Live::new();
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let ready: Vec<_> = (0..3).map(|_| Future::ready(Ok(live.token()))).collect();
        let tokens: Vec<_> = (0..3).map(|_| live.token()).collect();
        let pending: Vec<_> = tokens.into_iter().map(|token| pool.spawn(move || token)).collect();
        let mut all = as_completed(ready.into_iter().chain(pending));
        for left in (3..6).rev() {
            drop(all.next().unwrap());
            assert_eq!(live.count(), left);
        }
        held.release();
        for left in (0..3).rev() {
            drop(all.next().unwrap());
            assert_eq!(live.count(), left);
        }
        assert!(all.next().is_none());
    });
}

#[test]
fn dropped_early_it_cancels_nothing() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let futures: Vec<_> = (0..5).map(|n| pool.spawn(move || n)).collect();
        drop(as_completed(&futures));
        drop(as_completed(&futures).timeout(SOON));
        assert!(futures.iter().all(|future| !future.is_done()));
        held.release();
        assert_eq!(futures.into_iter().map(|future| future.result().unwrap()).sum::<i32>(), 10);
    });
}

#[test]
fn may_be_fed_while_it_runs() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let mut all = AsCompleted::new();
        assert!(all.next().is_none(), "empty, and not over for good");
        all.add((0, pool.spawn(|| 0)));
        let mut seen = 0;
        while let Some((depth, future)) = all.next() {
            assert_eq!(future.result().unwrap(), depth);
            seen += 1;
            if depth < 9 {
                all.extend((0..2).map(|_| (depth + 1, pool.spawn(move || depth + 1))));
            }
        }
        assert_eq!(seen, (1 << 10) - 1);
        assert_eq!((all.len(), all.size_hint()), (0, (0, Some(0))));
    });
}

#[test]
fn a_short_wait_for_the_next_may_be_repeated() {
    limit(LIMIT, || {
        let (promise, future) = promise();
        let mut all = as_completed([future]);
        for _ in 0..3 {
            let error = all.next_timeout(Duration::from_millis(1)).unwrap_err();
            assert_eq!((error.unfinished(), error.total()), (1, 1));
        }
        promise.set_result(1);
        assert_eq!(all.next_timeout(SOON).unwrap().unwrap().result().unwrap(), 1);
        assert!(all.next_timeout(Duration::ZERO).unwrap().is_none());
    });
}

#[test]
fn remaining_ones_come_back_without_waiting() {
    limit(LIMIT, || {
        let ends: Vec<_> = (0..4).map(|_| promise::<u8>()).collect();
        let (promises, futures): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let mut all = as_completed(futures.into_iter().enumerate());
        let mut promises = promises.into_iter();
        promises.next().unwrap().set_result(0);
        assert_eq!(all.next().unwrap().0, 0);
        let mut rest: Vec<_> = all.into_remaining().map(|(n, _)| n).collect();
        rest.sort_unstable();
        assert_eq!(rest, [1, 2, 3]);
    });
}

#[test]
fn two_at_once_on_the_same_futures() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(4);
        for _ in 0..50 {
            let gate = Gate::new();
            let futures: Vec<_> = (0..40)
                .map(|_| {
                    let gate = gate.clone();
                    pool.spawn(move || gate.wait())
                })
                .collect();
            std::thread::scope(|s| {
                let there = s.spawn(|| as_completed(futures.iter().rev()).count());
                let here = as_completed(&futures);
                gate.open();
                assert_eq!((here.count(), there.join().unwrap()), (40, 40));
            });
        }
    });
}

#[test]
fn a_hundred_thousand_cost_the_same_each() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let futures: Vec<_> = (0..100_000u32).map(|n| pool.spawn(move || n)).collect();
        let sum: u64 = as_completed(futures).map(|future| u64::from(future.result().unwrap())).sum();
        assert_eq!(sum, (0..100_000).sum::<u64>());
    });
}
