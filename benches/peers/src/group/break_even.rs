//! From which length on does a task pay off? Tasks of equal length, handed to two workers in three ways: nanoseconds per task.
//! `submit`: one by one, every handle kept, then every result; `map`: all at once; `map_with`: lazily, as it comes.
//!
//! The floor: the same work in a plain loop, on one thread. Floor over ours is the speed-up.

use std::hint::black_box;
use std::time::Instant;

use concurrent_futures::{MapOptions, ThreadPoolExecutor};

use super::{Case, amount};
use crate::length::{NANOS, per_length, tasks};
use crate::work::{steps, work};

pub(super) const CASES: &[Case] = per_length!(Case, "ns per task", "submit", "map", "map_with");

const WAYS: usize = 3;
const WORKERS: usize = 2;

/// Of ours.
pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let (nanos, way) = (NANOS[case / WAYS], case % WAYS);
    let steps = steps(nanos);
    let tasks = amount(tasks(nanos), quick);
    let pool = ThreadPoolExecutor::new(WORKERS);
    go(&pool, way, steps, tasks / 10);
    let start = Instant::now();
    go(&pool, way, steps, tasks);
    start.elapsed().as_nanos() as f64 / tasks as f64
}

fn go(pool: &ThreadPoolExecutor, way: usize, steps: u64, tasks: usize) {
    let input = (0..tasks).map(move |_| steps);
    let done = match way {
        0 => {
            let futures: Vec<_> = input.map(|steps| pool.submit(work, steps)).collect();
            futures.into_iter().map(|future| future.result()).filter(Result::is_ok).count()
        }
        1 => pool.map(work, input).filter(Result::is_ok).count(),
        _ => pool.map_with(MapOptions::new(), work, input).filter(Result::is_ok).count(),
    };
    assert_eq!(done, tasks, "results lost");
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let nanos = NANOS[case / WAYS];
    let steps = steps(nanos);
    let tasks = amount(tasks(nanos), quick);
    let start = Instant::now();
    for _ in 0..tasks {
        black_box(work(black_box(steps)));
    }
    start.elapsed().as_nanos() as f64 / tasks as f64
}
