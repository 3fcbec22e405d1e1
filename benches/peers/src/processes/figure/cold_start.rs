//! From nothing to a first result: build a pool of at most two workers, submit one task, wait for it; microseconds, the
//! median of the goes in one process. Ending the pool is outside the clock. Once in a small process, once in one that has
//! 2 GiB resident, which a fork has to copy the tables of.
//!
//! The floor: `posix_spawn` of this same program, which leaves as soon as it is in `main`, and its end awaited.

use std::hint::black_box;
use std::time::Instant;

use super::{Case, WORKERS, amount, median};
use crate::processes::floor;
use crate::processes::subject::Pool;

pub(super) const CASES: &[Case] =
    &[Case { name: "pool to first result", unit: "us" }, Case { name: "the same beside 2 GiB", unit: "us" }];

const GOES: usize = 40;

const RESIDENT: [usize; 2] = [0, 2 << 30];

fn increment(i: u64) -> u64 {
    i + 1
}

pub(super) fn measure<P: Pool>(case: usize, quick: bool) -> f64 {
    goes(case, quick, || {
        let pool = P::new(WORKERS);
        assert_eq!(pool.wait(pool.submit(increment, 1)), 2);
        pool
    })
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    goes(case, quick, floor::spawn_and_exit)
}

fn goes<L>(case: usize, quick: bool, go: impl Fn() -> L) -> f64 {
    let ballast = vec![1_u8; RESIDENT[case]];
    let times = (0..amount(GOES, quick) + 1).map(|_| {
        let start = Instant::now();
        let leftover = go();
        let taken = start.elapsed();
        drop(leftover);
        taken.as_nanos() as f64 / 1e3
    });
    let figure = median(times.skip(1).collect());
    black_box(&ballast);
    figure
}
