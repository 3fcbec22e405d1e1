//! From nothing to a first result: build a pool of at most two workers, submit one task, wait for it. Ending the pool is
//! outside the clock, as is a millisecond's sleep between two goes, by which time the old threads are gone.
//! The figure is the median of the goes in one process.
//!
//! The floor: `std::thread::spawn` and join.

use std::thread;
use std::time::{Duration, Instant};

use super::{Case, amount, median};
use crate::subject::Pool;

pub(super) const CASES: &[Case] = &[Case { name: "pool to first result", unit: "ns" }];

pub(crate) const GOES: usize = 400;

pub(super) fn measure<P: Pool>(quick: bool) -> f64 {
    goes(quick, || {
        let pool = P::new(2);
        let handle = pool.submit(|| 1);
        assert_eq!(pool.wait(handle), 1);
        pool
    })
}

pub(super) fn floor(quick: bool) -> f64 {
    goes(quick, || assert_eq!(thread::spawn(|| 1).join().ok(), Some(1)))
}

fn goes<L>(quick: bool, mut go: impl FnMut() -> L) -> f64 {
    let times = (0..amount(GOES, quick)).map(|_| {
        thread::sleep(Duration::from_millis(1));
        let start = Instant::now();
        let leftover = go();
        let taken = start.elapsed();
        drop(leftover);
        taken.as_nanos() as f64
    });
    median(times.collect())
}
