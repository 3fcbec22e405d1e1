//! What a pool costs that has nothing to do: processor time, in milliseconds, of a process that holds a pool of two
//! workers and sleeps for ten seconds, from the moment at which its last result is there.
//!
//! The floor: two bare threads that wait on a condition variable.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use concurrent_futures::ThreadPoolExecutor;

use super::Case;
use crate::processor;

pub(super) const CASES: &[Case] = &[Case { name: "2 workers, 10 s after some work", unit: "ms" }];

const WORKERS: usize = 2;
const TASKS: u64 = 10_000;

/// Of ours.
pub(super) fn measure(quick: bool) -> f64 {
    let pool = ThreadPoolExecutor::new(WORKERS);
    let futures: Vec<_> = (0..TASKS).map(|i| pool.spawn(move || i)).collect();
    let sum: u64 = futures.into_iter().map(|future| future.result().expect("the task does not fail")).sum();
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    spent(quick)
}

pub(super) fn floor(quick: bool) -> f64 {
    let over = Arc::new(Barrier::new(WORKERS + 1));
    let threads: Vec<_> = (0..WORKERS)
        .map(|_| {
            let over = over.clone();
            thread::spawn(move || over.wait())
        })
        .collect();
    let spent = spent(quick);
    over.wait();
    threads.into_iter().for_each(|thread| drop(thread.join()));
    spent
}

fn spent(quick: bool) -> f64 {
    let before = processor::own();
    thread::sleep(Duration::from_secs(if quick { 2 } else { 10 }));
    (processor::own() - before).as_secs_f64() * 1e3
}
