//! Submit tasks that do nothing and collect their results: by number of workers, and of threads that submit at once.

use std::thread;
use std::time::Duration;

use concurrent_futures::ThreadPoolExecutor;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const TASKS: u64 = 20_000;

fn by_workers(c: &mut Criterion) {
    let mut group = c.benchmark_group("submit and collect, by workers");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    group.throughput(Throughput::Elements(TASKS));
    for workers in [1, 2, 8, 64] {
        let pool = ThreadPoolExecutor::new(workers);
        group.bench_function(BenchmarkId::from_parameter(workers), |b| {
            b.iter(|| submit_and_collect(&pool, TASKS))
        });
    }
    group.finish();
}

fn by_producers(c: &mut Criterion) {
    let mut group = c.benchmark_group("submit and collect with 2 workers, by producers");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    group.throughput(Throughput::Elements(TASKS));
    let pool = ThreadPoolExecutor::new(2);
    for producers in [1, 4, 16, 64] {
        group.bench_function(BenchmarkId::from_parameter(producers), |b| {
            b.iter(|| {
                thread::scope(|scope| {
                    for _ in 0..producers {
                        scope.spawn(|| submit_and_collect(&pool, TASKS / producers));
                    }
                });
            });
        });
    }
    group.finish();
}

fn submit_and_collect(pool: &ThreadPoolExecutor, tasks: u64) {
    let futures: Vec<_> = (0..tasks).map(|i| pool.submit(|i| i + 1, i)).collect();
    let sum: u64 = futures.into_iter().map(|future| future.result().expect("the task does not fail")).sum();
    assert_eq!(sum, tasks * (tasks + 1) / 2);
}

criterion_group!(benches, by_workers, by_producers);
criterion_main!(benches);
