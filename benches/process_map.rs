//! `map` on processes, by chunk and by how long a task takes (0, 10 and 100 us): what a hand-picked chunk still saves.

use std::hint::black_box;
use std::time::Duration;

use concurrent_futures::{ExecutorExt, MapOptions, ProcessPoolExecutor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn map(c: &mut Criterion) {
    let pool = ProcessPoolExecutor::new(2);
    for (micros, items) in [(0, 20_000), (10, 20_000), (100, 2_000)] {
        let mut group = c.benchmark_group(format!("process map, tasks of {micros} us"));
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        group.sample_size(10).throughput(Throughput::Elements(items as u64));
        group.bench_function("no pool: a loop", |b| {
            b.iter(|| (0..items).map(|_| work(black_box(micros))).sum::<u64>());
        });
        group.bench_function("eager, no chunksize", |b| {
            b.iter(|| count(pool.map(work, input(micros, items))))
        });
        for chunksize in [1, 10, 100, 1_000, 10_000] {
            let options = || MapOptions::new().chunksize(chunksize).buffersize(items);
            group.bench_function(BenchmarkId::new("chunksize", chunksize), |b| {
                b.iter(|| count(pool.map_with(options(), work, input(micros, items))));
            });
        }
        group.bench_function("lazy, as it comes", |b| {
            b.iter(|| count(pool.map_with(MapOptions::new(), work, input(micros, items))));
        });
        group.finish();
    }
}

fn input(micros: u64, items: usize) -> impl Iterator<Item = u64> {
    std::iter::repeat_n(micros, items)
}

fn count<E: std::fmt::Debug>(results: impl Iterator<Item = Result<u64, E>>) -> usize {
    results.inspect(|result| assert!(result.is_ok(), "it does not fail")).count()
}

/// Work, not time: a task that is interrupted has as much left to do as before. A step takes two nanoseconds, more or less.
fn work(micros: u64) -> u64 {
    (0..micros * 500).fold(micros, |x, step| black_box(x.wrapping_mul(31) ^ step))
}

criterion_group!(benches, map);
criterion_main!(benches);
