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
use crate::work::{steps, work};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Eager,
    Of(usize),
    Lazy,
}

struct Row {
    name: &'static str,
    nanos: u64,
    items: usize,
    chunk: Chunk,
}

const fn row(name: &'static str, nanos: u64, items: usize, chunk: Chunk) -> Row {
    Row { name, nanos, items, chunk }
}

/// Those of one length follow on each other. CPython has the first and the fourth: subject/cpython.py knows their places.
const ROWS: [Row; 27] = {
    use Chunk::{Eager, Lazy, Of};
    [
        row("0 us, eager", 0, 50_000, Eager),
        row("0 us, chunksize 1", 0, 50_000, Of(1)),
        row("0 us, chunksize 10", 0, 50_000, Of(10)),
        row("0 us, chunksize 100", 0, 50_000, Of(100)),
        row("0 us, chunksize 1000", 0, 50_000, Of(1000)),
        row("1 us, eager", 1_000, 50_000, Eager),
        row("1 us, chunksize 1", 1_000, 50_000, Of(1)),
        row("1 us, chunksize 10", 1_000, 50_000, Of(10)),
        row("1 us, chunksize 100", 1_000, 50_000, Of(100)),
        row("1 us, chunksize 1000", 1_000, 50_000, Of(1000)),
        row("1 us, lazy", 1_000, 50_000, Lazy),
        row("10 us, eager", 10_000, 20_000, Eager),
        row("10 us, chunksize 1", 10_000, 20_000, Of(1)),
        row("10 us, chunksize 10", 10_000, 20_000, Of(10)),
        row("10 us, chunksize 100", 10_000, 20_000, Of(100)),
        row("10 us, chunksize 1000", 10_000, 20_000, Of(1000)),
        row("10 us, lazy", 10_000, 20_000, Lazy),
        row("100 us, eager", 100_000, 4_000, Eager),
        row("100 us, chunksize 1", 100_000, 4_000, Of(1)),
        row("100 us, chunksize 10", 100_000, 4_000, Of(10)),
        row("100 us, chunksize 100", 100_000, 4_000, Of(100)),
        row("100 us, lazy", 100_000, 4_000, Lazy),
        row("10 ms, eager", 10_000_000, 200, Eager),
        row("10 ms, chunksize 1", 10_000_000, 200, Of(1)),
        row("10 ms, chunksize 2", 10_000_000, 200, Of(2)),
        row("10 ms, chunksize 10", 10_000_000, 200, Of(10)),
        row("10 ms, chunksize 25", 10_000_000, 200, Of(25)),
    ]
};

pub(super) const CASES: &[Case] = &cases();

const fn cases() -> [Case; ROWS.len()] {
    let mut cases = [Case { name: "", unit: "ns per item" }; ROWS.len()];
    let mut at = 0;
    while at < ROWS.len() {
        cases[at].name = ROWS[at].name;
        at += 1;
    }
    cases
}

/// The cases of tasks of one length: eager, one by one, hand-picked chunks, and lazy, which not every length has.
pub(crate) struct Length {
    pub(crate) name: &'static str,
    pub(crate) eager: usize,
    pub(crate) ones: usize,
    pub(crate) picked: Vec<usize>,
    pub(crate) lazy: Option<usize>,
}

pub(crate) fn lengths() -> Vec<Length> {
    let mut first = 0;
    let mut lengths = Vec::new();
    for rows in ROWS.chunk_by(|a, b| a.nanos == b.nanos) {
        let place = |chunk| rows.iter().position(|row| row.chunk == chunk).map(|at| first + at);
        let (eager, ones) = (place(Chunk::Eager), place(Chunk::Of(1)));
        let picked =
            |(at, row): (usize, &Row)| matches!(row.chunk, Chunk::Of(n) if n > 1).then_some(first + at);
        lengths.push(Length {
            name: rows[0].name.split_once(',').map_or("", |(length, _)| length),
            eager: eager.expect("each length has it"),
            ones: ones.expect("each length has it"),
            picked: rows.iter().enumerate().filter_map(picked).collect(),
            lazy: place(Chunk::Lazy),
        });
        first += rows.len();
    }
    lengths
}

pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let Row { nanos, items, chunk, .. } = ROWS[case];
    let (steps, items) = (steps(nanos), amount(items, quick) as u64);
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
    let Row { nanos, items, .. } = ROWS[case];
    let (steps, items) = (steps(nanos), amount(items, quick) as u64);
    let start = Instant::now();
    for _ in 0..items {
        black_box(work(black_box(steps)));
    }
    start.elapsed().as_nanos() as f64 / (items as f64 * WORKERS as f64)
}

#[cfg(test)]
mod tests {
    use super::{CASES, lengths};

    #[test]
    fn each_length_has_its_cases() {
        let lengths = lengths();
        let names: Vec<_> = lengths.iter().map(|length| length.name).collect();
        assert_eq!(names, ["0 us", "1 us", "10 us", "100 us", "10 ms"]);
        for length in &lengths {
            let of_this =
                |case: usize, what: &str| assert_eq!(CASES[case].name, format!("{}, {what}", length.name));
            of_this(length.eager, "eager");
            of_this(length.ones, "chunksize 1");
            length.lazy.into_iter().for_each(|lazy| of_this(lazy, "lazy"));
            assert!(length.picked.len() > 1 && length.picked.iter().all(|case| *case > length.ones));
        }
    }

    #[test]
    fn cpython_finds_its_cases() {
        assert_eq!((CASES[0].name, CASES[3].name), ("0 us, eager", "0 us, chunksize 100"));
    }
}
