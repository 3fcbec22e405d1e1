//! A lazy, bounded, ordered map of calls that each take 20 ns: nanoseconds per item, ten million items, never more than
//! ten thousand of them in the air, each result consumed by itself on the calling thread. Ours is `map_with` with a
//! `buffersize`; in the first case no chunksize is given, which is how one writes it.
//!
//! rayon's parallel iterators are neither lazy nor bounded, so it is done by hand as one would: a window of ten thousand
//! items is collected, mapped by `par_chunks` in the pool's `install`, and its results consumed; then the next one.
//! Several sizes of chunks are tried in each reading, and the best counts.
//!
//! The floor: the same calls in a loop, divided by the number of workers.

use std::hint::black_box;
use std::time::Instant;

use concurrent_futures::{MapOptions, ThreadPoolExecutor};
use rayon::prelude::*;

use super::{Case, amount};
use crate::work::{steps, work};

pub(super) const CASES: &[Case] = &[
    Case { name: "20 ns a call, no chunksize", unit: "ns per item" },
    Case { name: "20 ns a call, chunksize 500", unit: "ns per item" },
];

const NANOS: u64 = 20;
const ITEMS: usize = 10_000_000;
const BUFFERSIZE: usize = 10_000;
const WORKERS: usize = 2;
const CHUNKSIZE: usize = 500;

/// What rayon is given, by hand.
const HAND_PICKED: [usize; 4] = [100, 500, 2_500, 5_000];

pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let steps = steps(NANOS);
    let pool = ThreadPoolExecutor::new(WORKERS);
    let go = |items: usize| {
        let options = MapOptions::new().buffersize(BUFFERSIZE);
        let options = if case == 0 { options } else { options.chunksize(CHUNKSIZE) };
        let results = pool.map_with(options, move |item| call(item, steps), 0..items as u64);
        results.map(|result| result.expect("the call does not fail")).fold(0, u64::wrapping_add)
    };
    timed(amount(ITEMS, quick), steps, go)
}

pub(super) fn rayon(quick: bool) -> f64 {
    let steps = steps(NANOS);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("rayon starts its threads");
    let of = |chunk: usize| timed(amount(ITEMS, quick), steps, |items| windows(&pool, items, chunk, steps));
    HAND_PICKED.into_iter().map(of).fold(f64::INFINITY, f64::min)
}

fn windows(pool: &rayon::ThreadPool, items: usize, chunk: usize, steps: u64) -> u64 {
    let mut input = 0..items as u64;
    let mut window = Vec::with_capacity(BUFFERSIZE);
    let mut results = vec![0; BUFFERSIZE];
    let mut sum = 0_u64;
    loop {
        window.clear();
        window.extend(input.by_ref().take(BUFFERSIZE));
        if window.is_empty() {
            return sum;
        }
        pool.install(|| {
            let chunks = results[..window.len()].par_chunks_mut(chunk).zip(window.par_chunks(chunk));
            chunks.for_each(|(results, items)| {
                results.iter_mut().zip(items).for_each(|(result, item)| *result = call(*item, steps));
            });
        });
        sum = results[..window.len()].iter().fold(sum, |sum, result| sum.wrapping_add(black_box(*result)));
    }
}

pub(super) fn floor(quick: bool) -> f64 {
    let steps = steps(NANOS);
    let go = |items: usize| (0..items as u64).map(|item| call(item, steps)).fold(0, u64::wrapping_add);
    timed(amount(ITEMS, quick), steps, go) / WORKERS as f64
}

/// Its result depends on the item, so that one lost or taken twice shows in the sum.
fn call(item: u64, steps: u64) -> u64 {
    work(black_box(steps)).wrapping_add(item)
}

fn timed(items: usize, steps: u64, go: impl Fn(usize) -> u64) -> f64 {
    black_box(go(items / 20));
    let start = Instant::now();
    let sum = go(items);
    let taken = start.elapsed();
    let n = items as u64;
    assert_eq!(sum, work(steps).wrapping_mul(n).wrapping_add(n * (n - 1) / 2), "results lost or mixed up");
    taken.as_nanos() as f64 / items as f64
}
