//! Go through n futures as they finish: nanoseconds per future, from the call of `as_completed` until the last one is
//! yielded. A thread that stands ready resolves them in order meanwhile. What is asked: does the cost of one future grow
//! with their number? A thousand futures are gone through a thousand times, and the figure is the median.
//!
//! The floor: the same number of keys sent by the other thread through `std::sync::mpsc`.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use concurrent_futures::{as_completed, promise};

use super::{Case, amount, median};

pub(super) const CASES: &[Case] = &[
    Case { name: "10^3 futures", unit: "ns per future" },
    Case { name: "10^6 futures", unit: "ns per future" },
];

fn shape(case: usize, quick: bool) -> (usize, usize) {
    if case == 0 { (1_000, amount(1_000, quick)) } else { (amount(1_000_000, quick), 1) }
}

/// Of ours: the futures of promises, so that no pool's queue is in the figure.
pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let (futures, goes) = shape(case, quick);
    let times = (0..goes).map(|_| {
        let (promises, futures): (Vec<_>, Vec<_>) = (0..futures).map(|_| promise::<u64>()).unzip();
        let resolve = || promises.into_iter().for_each(|promise| assert!(promise.set_result(1)));
        per_item(futures.len(), resolve, || as_completed(futures).map(black_box).count())
    });
    median(times.collect())
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let (keys, goes) = shape(case, quick);
    let times = (0..goes).map(|_| {
        let (sender, receiver) = mpsc::channel();
        let send = move || (0..keys as u64).for_each(|key| sender.send(key).expect("the receiver waits"));
        per_item(keys, send, || receiver.iter().map(black_box).count())
    });
    median(times.collect())
}

/// Times `consume` while a thread that is already awake runs `resolve`; `consume` says how many it got.
fn per_item(items: usize, resolve: impl FnOnce() + Send, consume: impl FnOnce() -> usize) -> f64 {
    let ready = AtomicBool::new(false);
    let go = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            ready.store(true, SeqCst);
            spin_until(&go);
            resolve();
        });
        spin_until(&ready);
        let start = Instant::now();
        go.store(true, SeqCst);
        assert_eq!(consume(), items);
        start.elapsed().as_nanos() as f64 / items as f64
    })
}

fn spin_until(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        spin_loop();
    }
}
