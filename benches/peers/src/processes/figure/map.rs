//! Map over items that each cost so much: nanoseconds per item, by chunksize. "eager" is plain `map`; with a chunksize,
//! `map_with` and everything submitted at once, so that a hand-picked chunk is seen at its best. "lazy" is `map_with` as
//! it comes: it pulls its input while it is consumed.
//!
//! Ten microseconds are so many steps of a loop as take that long on this machine: each reading asks it first.
//!
//! The floor: the same work in a loop, divided by the number of workers.

use std::hint::black_box;
use std::time::Instant;

use concurrent_futures::{ExecutorExt, MapOptions, ProcessPoolExecutor};

use super::{Case, WORKERS, amount};

const UNIT: &str = "ns per item";

pub(super) const CASES: &[Case] = &[
    Case { name: "0 us, eager", unit: UNIT },
    Case { name: "0 us, chunksize 100", unit: UNIT },
    Case { name: "10 us, lazy", unit: UNIT },
    Case { name: "10 us, eager", unit: UNIT },
    Case { name: "10 us, chunksize 1", unit: UNIT },
    Case { name: "10 us, chunksize 10", unit: UNIT },
    Case { name: "10 us, chunksize 100", unit: UNIT },
    Case { name: "10 us, chunksize 1000", unit: UNIT },
    Case { name: "100 us, eager", unit: UNIT },
    Case { name: "100 us, chunksize 1", unit: UNIT },
    Case { name: "100 us, chunksize 10", unit: UNIT },
    Case { name: "100 us, chunksize 100", unit: UNIT },
];

/// The cases of tasks of equal size: eager, one by one, and the hand-picked.
pub(in crate::processes) const CHUNKS: [(usize, usize, &[usize]); 2] =
    [(3, 4, &[5, 6, 7]), (8, 9, &[10, 11])];

#[derive(Clone, Copy)]
enum Chunk {
    Eager,
    Of(usize),
    Lazy,
}

fn shape(case: usize, quick: bool) -> (u64, u64, Chunk) {
    use Chunk::{Eager, Lazy, Of};
    let (micros, items, chunk) = [
        (0, 50_000, Eager),
        (0, 50_000, Of(100)),
        (10, 20_000, Lazy),
        (10, 20_000, Eager),
        (10, 20_000, Of(1)),
        (10, 20_000, Of(10)),
        (10, 20_000, Of(100)),
        (10, 20_000, Of(1000)),
        (100, 4_000, Eager),
        (100, 4_000, Of(1)),
        (100, 4_000, Of(10)),
        (100, 4_000, Of(100)),
    ][case];
    (micros, amount(items, quick) as u64, chunk)
}

/// Work, not time: a task that is interrupted has as much left to do as before.
fn work(steps: u64) -> u64 {
    (0..steps).fold(steps, |x, step| black_box(x.wrapping_mul(31) ^ step))
}

/// How many steps last so long here while nobody interrupts: short probes, the fastest of which was left alone.
fn steps(micros: u64) -> u64 {
    const PROBE: u64 = 20_000;
    const PROBES: usize = 200;
    let probe = || {
        let start = Instant::now();
        black_box(work(black_box(PROBE)));
        start.elapsed().as_nanos() as u64
    };
    let fastest = (0..PROBES).map(|_| probe()).min().unwrap_or(1).max(1);
    micros * 1000 * PROBE / fastest
}

pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let (micros, items, chunk) = shape(case, quick);
    let steps = steps(micros);
    let pool = ProcessPoolExecutor::new(WORKERS);
    go(&pool, steps, items / 20, chunk);
    let start = Instant::now();
    go(&pool, steps, items, chunk);
    start.elapsed().as_nanos() as f64 / items as f64
}

fn go(pool: &ProcessPoolExecutor, steps: u64, items: u64, chunk: Chunk) {
    let input = (0..items).map(move |_| steps);
    let options = MapOptions::new();
    let done = match chunk {
        Chunk::Eager => pool.map(work, input).filter(Result::is_ok).count(),
        Chunk::Lazy => pool.map_with(options, work, input).filter(Result::is_ok).count(),
        Chunk::Of(n) => {
            let options = options.chunksize(n).buffersize(items.max(1) as usize);
            pool.map_with(options, work, input).filter(Result::is_ok).count()
        }
    };
    assert_eq!(done as u64, items, "results lost");
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let (micros, items, _) = shape(case, quick);
    let steps = steps(micros);
    let start = Instant::now();
    for _ in 0..items {
        black_box(work(black_box(steps)));
    }
    start.elapsed().as_nanos() as f64 / (items as f64 * WORKERS as f64)
}
