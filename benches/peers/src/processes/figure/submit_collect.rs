//! Submit tasks that add one to a number, one by one, keep every handle, then collect every result: nanoseconds per
//! task. The pool exists and has run a twentieth of the work before. No chunksize is given anywhere.
//!
//! A pool that can't hold so many at once (procspawn keeps three descriptors per task) does it in windows of as many as
//! it can. CPython has a tenth of the tasks.

use std::time::Instant;

use super::{Case, WORKERS, amount};
use crate::processes::subject::Pool;

pub(super) const CASES: &[Case] = &[Case { name: "small tasks", unit: "ns per task" }];

const TASKS: usize = 100_000;

fn increment(i: u64) -> u64 {
    i + 1
}

pub(super) fn measure<P: Pool>(quick: bool) -> f64 {
    let pool = P::new(WORKERS);
    let tasks = amount(TASKS, quick).min(P::MOST_TASKS);
    submit_and_collect(&pool, tasks / 20);
    let start = Instant::now();
    submit_and_collect(&pool, tasks);
    start.elapsed().as_nanos() as f64 / tasks as f64
}

fn submit_and_collect<P: Pool>(pool: &P, tasks: usize) {
    let mut sum = 0;
    let numbers: Vec<u64> = (0..tasks as u64).collect();
    for window in numbers.chunks(P::WINDOW) {
        let handles: Vec<_> = window.iter().map(|i| pool.submit(increment, *i)).collect();
        sum += handles.into_iter().map(|handle| pool.wait(handle)).sum::<u64>();
    }
    let n = tasks as u64;
    assert_eq!(sum, n * (n + 1) / 2, "results lost or mixed up");
}
