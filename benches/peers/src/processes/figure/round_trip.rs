//! Submit one task that adds one to a number and wait for its result, one trip after the other for half a second: the
//! median trip, in nanoseconds.
//!
//! The floor: 64 bytes to another process over a socketpair and back, both ends blocking. The chain: the same through a
//! thread that stands where a driver would, rung by an eventfd and asleep in poll, as any pool must have one that
//! watches its workers.

use std::time::{Duration, Instant};

use super::{Case, WORKERS, amount, median};
use crate::processes::floor::{Chain, Echo};
use crate::processes::subject::Pool;

pub(super) const CASES: &[Case] = &[Case { name: "small task", unit: "ns" }];

/// About a small task's frame.
const BYTES: usize = 64;

fn increment(i: u64) -> u64 {
    i + 1
}

pub(super) fn measure<P: Pool>(quick: bool) -> f64 {
    let pool = P::new(WORKERS);
    // Both workers have started before the first trip that counts.
    let handles: Vec<_> = (0..50).map(|i| pool.submit(increment, i)).collect();
    handles.into_iter().for_each(|handle| _ = pool.wait(handle));
    trips(quick, |i| assert_eq!(pool.wait(pool.submit(increment, i)), i + 1))
}

pub(super) fn floor(quick: bool) -> f64 {
    let mut echo = Echo::start(BYTES);
    trips(quick, |_| echo.trip())
}

pub(super) fn chain(quick: bool) -> f64 {
    let chain = Chain::start(BYTES);
    trips(quick, |_| chain.trip())
}

fn trips(quick: bool, mut trip: impl FnMut(u64)) -> f64 {
    let mut times = Vec::new();
    let end = Instant::now() + Duration::from_millis(amount(500, quick) as u64);
    for i in 0.. {
        let start = Instant::now();
        trip(i);
        let back = Instant::now();
        times.push((back - start).as_nanos() as f64);
        if back >= end {
            break;
        }
    }
    median(times)
}
