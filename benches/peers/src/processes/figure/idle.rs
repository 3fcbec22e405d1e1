//! What a pool costs that has nothing to do: processor time, in milliseconds, of this process with its drivers and of the
//! two workers, over ten seconds from the moment at which the last result is there.
//!
//! The floor: two processes that wait for a message.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};

use super::{Case, WORKERS};
use crate::processes::floor::Echo;
use crate::processor;

pub(super) const CASES: &[Case] = &[Case { name: "2 workers, 10 s after some work", unit: "ms" }];

const TASKS: usize = 10_000;

fn pid((): ()) -> u32 {
    std::process::id()
}

pub(super) fn measure(quick: bool) -> f64 {
    let pool = ProcessPoolExecutor::new(WORKERS);
    let results = pool.map(pid, [(); TASKS]);
    let workers: BTreeSet<u32> = results.map(|pid| pid.expect("the task does not fail")).collect();
    spent(&workers, quick)
}

pub(super) fn floor(quick: bool) -> f64 {
    let mut others = [Echo::start(64), Echo::start(64)];
    others.iter_mut().for_each(Echo::trip);
    spent(&others.iter().map(Echo::pid).collect(), quick)
}

fn spent(workers: &BTreeSet<u32>, quick: bool) -> f64 {
    let before = of_all(workers);
    thread::sleep(Duration::from_secs(if quick { 2 } else { 10 }));
    match (before, of_all(workers)) {
        (Some(before), Some(after)) => (after - before).as_secs_f64() * 1e3,
        _ => f64::NAN,
    }
}

fn of_all(workers: &BTreeSet<u32>) -> Option<Duration> {
    let workers: Option<Duration> = workers.iter().map(|pid| processor::of(*pid)).sum();
    workers.map(|workers| workers + processor::own())
}
