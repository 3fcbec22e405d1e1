//! Lazy maps that are bounded by what their items weigh, or by the bytes that they take on their way.

use crate::support::{LIMIT, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, MapOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items that know how much of them is there at once.
struct Load {
    weight: usize,
    here: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Loads {
    here: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Loads {
    fn make(&self, weight: usize) -> Load {
        let now = self.here.fetch_add(weight, Ordering::SeqCst) + weight;
        self.most.fetch_max(now, Ordering::SeqCst);
        Load { weight, here: self.here.clone() }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.here.fetch_sub(self.weight, Ordering::SeqCst);
    }
}

/// Weights of all sizes, some larger than the bound.
fn weights() -> impl Iterator<Item = usize> + Clone {
    (0..400_usize).map(|n| if n % 50 == 49 { 5000 } else { 1 + n * 7919 % 300 })
}

#[test]
fn never_more_is_in_the_air_than_may_be() {
    limit(LIMIT, || {
        const LIMIT: usize = 1000;
        let pool = ThreadPoolExecutor::new(3);
        for (chunksize, is_unordered) in [(1, false), (1, true), (7, false), (7, true)] {
            let loads = Loads::default();
            let weigh = |load: &Load| load.weight;
            let options = MapOptions::new().chunksize(chunksize).buffersize(500).weigh(LIMIT, weigh);
            let options = if is_unordered { options.unordered() } else { options };
            // The load is the result, too: it is in the air until it is yielded, here until it is dropped.
            let map = pool.map_with(options, |load: Load| load, weights().map(|weight| loads.make(weight)));
            assert_eq!(map.size_hint(), (400, Some(400)));
            let mut all: Vec<usize> = map.map(|load| load.unwrap().weight).collect();
            if is_unordered {
                all.sort_unstable();
            }
            let mut expected: Vec<usize> = weights().collect();
            if is_unordered {
                expected.sort_unstable();
            }
            assert_eq!(all, expected);
            // One item goes, however much it weighs, and one that has no room yet was taken from the input.
            assert!((LIMIT / 2..=LIMIT + 5000).contains(&loads.most()), "{} in the air", loads.most());
        }
    });
}

#[test]
fn within_the_bound_it_is_exact_but_for_the_item_that_waits() {
    limit(LIMIT, || {
        let (pool, loads) = (ThreadPoolExecutor::new(3), Loads::default());
        let options = MapOptions::new().buffersize(1000).weigh(1000, |load: &Load| load.weight);
        let input = (0..400).map(|n: usize| loads.make(1 + n * 7919 % 300));
        assert_eq!(
            pool.map_with(options, |load: Load| drop(load), input).filter(|done| done.is_ok()).count(),
            400
        );
        assert!(loads.most() <= 1000 + 300, "{} in the air", loads.most());
    });
}

#[test]
fn one_item_always_goes() {
    limit(LIMIT, || {
        let executors: [Box<dyn Executor>; 3] = [
            Box::new(ThreadPoolExecutor::new(2)),
            Box::new(InlineExecutor::new()),
            #[cfg(feature = "process")]
            Box::new(ProcessPoolExecutor::new(2)),
            #[cfg(not(feature = "process"))]
            Box::new(ThreadPoolExecutor::new(1)),
        ];
        for executor in executors {
            let heaviest = MapOptions::new().buffersize(50).weigh(1, |_: &u64| usize::MAX);
            let fewest = MapOptions::new().buffersize(50).buffer_bytes(1);
            let both = MapOptions::new().chunksize(3).buffer_bytes(1).weigh(1, |_: &u64| 1).unordered();
            for options in [heaviest, fewest, both] {
                let sum: u64 = executor.map_with(options, |n: u64| n, 0..100).map(Result::unwrap).sum();
                assert_eq!(sum, 4950);
            }
        }
    });
}

#[test]
fn what_the_function_panics_on_is_not_lost() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let panics = Arc::new(AtomicUsize::new(0));
        let first = panics.clone();
        let weigh = move |n: &u32| {
            assert!(*n != 3 || first.fetch_add(1, Ordering::SeqCst) > 0, "the first look at 3");
            1
        };
        let mut map = pool.map_with(MapOptions::new().buffersize(2).weigh(10, weigh), |n: u32| n, 0..6);
        let mut all = Vec::new();
        loop {
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| map.next())) {
                Ok(Some(n)) => all.push(n.unwrap()),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        assert_eq!((all, panics.load(Ordering::SeqCst)), (vec![0, 1, 2, 3, 4, 5], 2));
    });
}

#[test]
#[should_panic(expected = "was given a function of `&u64`, and the items of this map are `u32`")]
fn a_function_of_another_type_is_refused() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let _ = pool.map_with(MapOptions::new().weigh(1, |_: &u64| 1), |n: u32| n, [1, 2]);
    });
}

#[cfg(feature = "process")]
#[test]
fn encoded_bytes_bound_a_map_of_processes() {
    limit(LIMIT, || {
        const LIMIT: usize = 1 << 20;
        const LARGEST: usize = 200_000;
        let pool = ProcessPoolExecutor::new(2);
        let (taken, given) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let most = AtomicUsize::new(0);
        let pages = (1..=200_usize).map(|n| {
            let len = n * 7919 % LARGEST;
            let in_air = taken.fetch_add(len, Ordering::SeqCst) + len - given.load(Ordering::SeqCst);
            most.fetch_max(in_air, Ordering::SeqCst);
            "x".repeat(len)
        });
        let options = MapOptions::new().buffersize(200).buffer_bytes(LIMIT);
        for page in pool.map_with(options, |page: String| page, pages) {
            given.fetch_add(page.unwrap().len(), Ordering::SeqCst);
        }
        let most = most.into_inner();
        // Those that are taken next, and what the formats add.
        assert!((LIMIT / 2..=LIMIT + 2 * LARGEST).contains(&most), "{most} bytes in the air");

        // Small items with large results: nobody knows that before the first ones have come, and then it is expected of the others.
        let (in_air, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let sizes = (0..200).inspect(|_| {
            most.fetch_max(in_air.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        });
        let options = MapOptions::new().buffersize(200).buffer_bytes(LIMIT);
        for page in pool.map_with(options, |_: u32| "x".repeat(LARGEST), sizes) {
            assert_eq!(page.unwrap().len(), LARGEST);
            in_air.fetch_sub(1, Ordering::SeqCst);
        }
        // Four a worker, and the one that is taken as they are counted.
        assert!((4..=9).contains(&most.load(Ordering::SeqCst)), "{most:?} in the air");
    });
}
