//! A pool in a criterion bench.

// Named before the others: see start-late.
extern crate start_late;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use criterion::{Criterion, criterion_group, criterion_main};

fn start(c: &mut Criterion) {
    start::check();
    let pool = ProcessPoolExecutor::builder().max_workers(1).build().expect("a pool");
    c.bench_function("start/task", |b| b.iter(|| pool.submit(|n: u32| n + 1, 1).result()));
}

criterion_group!(benches, start);
criterion_main!(benches);
