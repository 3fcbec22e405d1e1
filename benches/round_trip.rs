//! One task at a time, there and back, in each way to submit it.

use std::time::Duration;

use concurrent_futures::{Executor, ExecutorExt, InlineExecutor, ThreadPoolExecutor};
use criterion::{Criterion, criterion_group, criterion_main};

fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("round trip");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);

    for workers in [1, 2, 8] {
        let pool = ThreadPoolExecutor::new(workers);
        group.bench_function(format!("pool of {workers}"), |b| b.iter(|| pool.submit(increment, 1).result()));
    }
    let pool = ThreadPoolExecutor::new(2);
    group.bench_function("pool of 2, as a dyn Executor", |b| {
        let executor: &dyn Executor = &pool;
        b.iter(|| executor.submit(increment, 1).result());
    });
    group.bench_function("pool of 2, in a scope", |b| {
        let one = 1;
        b.iter(|| pool.scope(|s| s.spawn(|| increment(one)).result()));
    });
    group.bench_function("no pool: the inline executor", |b| {
        let inline = InlineExecutor::new();
        b.iter(|| inline.submit(increment, 1).result());
    });
    group.bench_function("from a worker to its own pool", |b| {
        // The waiter takes its task back and runs it in place.
        b.iter_custom(|trips| {
            pool.scope(|s| s.spawn(|| time(&pool, trips)).result()).expect("the task does not fail")
        });
    });
    group.finish();
}

fn time(pool: &ThreadPoolExecutor, trips: u64) -> Duration {
    let start = std::time::Instant::now();
    for i in 0..trips {
        assert_eq!(pool.submit(increment, i).result().ok(), Some(i + 1));
    }
    start.elapsed()
}

fn increment(i: u64) -> u64 {
    i + 1
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
