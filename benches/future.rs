//! The cost of one future without any pool: the cell, its two ends, and what may be attached to it.

use std::hint::black_box;
use std::time::Duration;

use concurrent_futures::{Future, promise};
use criterion::{Criterion, criterion_group, criterion_main};

fn future(c: &mut Criterion) {
    let mut group = c.benchmark_group("future");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);

    group.bench_function("promise, set, result", |b| {
        b.iter(|| {
            let (promise, future) = promise();
            promise.set_result(black_box(1u64));
            future.result()
        });
    });
    group.bench_function("ready, result", |b| b.iter(|| Future::ready(Ok(black_box(1u64))).result()));
    group.bench_function("promise, shared, set, result of a clone", |b| {
        b.iter(|| {
            let (promise, future) = promise();
            let shared = future.shared();
            promise.set_result(black_box(1u64));
            shared.clone().result().copied()
        });
    });
    group.bench_function("promise, callback, set", |b| {
        b.iter(|| {
            let (promise, future) = promise();
            future.add_done_callback(|completion| {
                black_box(completion.id());
            });
            promise.set_result(black_box(1u64));
            future
        });
    });
    group.finish();
}

criterion_group!(benches, future);
criterion_main!(benches);
