//! Iterating over futures as they complete: the time per future must not grow with their number.

use std::time::Duration;

use concurrent_futures::{Future, Promise, ThreadPoolExecutor, as_completed, promise};
use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Watch, resolve and yield on one thread: no wake-up, no other core.
fn one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("as_completed, promises of one thread");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(10);
    group.sampling_mode(SamplingMode::Flat);
    for size in SIZES {
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            let make = || (0..size).map(|_| promise()).unzip();
            let go_through = |(promises, futures): (Vec<Promise<u64>>, Vec<Future<u64>>)| {
                let completed = as_completed(futures);
                for promise in promises {
                    promise.set_result(1);
                }
                assert_eq!(completed.count() as u64, size);
            };
            b.iter_batched(make, go_through, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Submit, run and yield.
fn tasks(c: &mut Criterion) {
    let mut group = c.benchmark_group("as_completed, tasks of 2 workers");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(10);
    group.sampling_mode(SamplingMode::Flat);
    let pool = ThreadPoolExecutor::new(2);
    for size in SIZES {
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                let futures = (0..size).map(|i| pool.submit(|i| i + 1, i));
                assert_eq!(as_completed(futures).count() as u64, size);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, one_thread, tasks);
criterion_main!(benches);
