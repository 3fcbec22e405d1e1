//! Small tasks on processes: one at a time, there and back; and many, submitted one by one and then collected.

use std::time::Duration;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const TASKS: u64 = 20_000;

fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("process round trip");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for workers in [1, 2, 8] {
        let pool = ProcessPoolExecutor::new(workers);
        group.bench_function(format!("pool of {workers}"), |b| b.iter(|| pool.submit(increment, 1).result()));
    }
    group.finish();
}

fn submit_and_collect(c: &mut Criterion) {
    let mut group = c.benchmark_group("process submit and collect, by workers");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    group.throughput(Throughput::Elements(TASKS));
    for workers in [1, 2, 8] {
        let pool = ProcessPoolExecutor::new(workers);
        group.bench_function(BenchmarkId::from_parameter(workers), |b| {
            b.iter(|| {
                let futures: Vec<_> = (0..TASKS).map(|i| pool.submit(increment, i)).collect();
                let results = futures.into_iter().map(|future| future.result().expect("it does not fail"));
                assert_eq!(results.sum::<u64>(), TASKS * (TASKS + 1) / 2);
            });
        });
    }
    group.finish();
}

fn increment(i: u64) -> u64 {
    i + 1
}

criterion_group!(benches, round_trip, submit_and_collect);
criterion_main!(benches);
