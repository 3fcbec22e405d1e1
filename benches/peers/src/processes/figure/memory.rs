//! How much the parent's resident memory grows between the hundred-thousandth and the last of a million items that are
//! mapped with a `buffersize` of 1000, in KiB. It should not grow. CPython has no `buffersize` before 3.14.

use std::fs;

use concurrent_futures::{ExecutorExt, MapOptions, ProcessPoolExecutor};

use super::{Case, WORKERS, amount};

pub(super) const CASES: &[Case] = &[Case { name: "growth over 1 M items, buffersize 1000", unit: "KiB" }];

const ITEMS: usize = 1_000_000;

fn increment(i: u64) -> u64 {
    i + 1
}

pub(super) fn measure(quick: bool) -> f64 {
    let pool = ProcessPoolExecutor::new(WORKERS);
    let items = amount(ITEMS, quick);
    let mut before = None;
    let results = pool.map_with(MapOptions::new().buffersize(1000), increment, 0..items as u64);
    for (at, result) in results.enumerate() {
        assert_eq!(result.ok(), Some(at as u64 + 1));
        if at == items / 10 {
            before = resident();
        }
    }
    match (before, resident()) {
        (Some(before), Some(after)) => after - before,
        _ => f64::NAN,
    }
}

fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
