//! `map` over 20 000 short tasks (about 100 ns each), by chunk: what a larger chunk saves, and what a lazy map costs.

use std::hint::black_box;
use std::time::Duration;

use concurrent_futures::{MapOptions, ThreadPoolExecutor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ITEMS: u64 = 20_000;

fn map(c: &mut Criterion) {
    let mut group = c.benchmark_group("map");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    group.throughput(Throughput::Elements(ITEMS));
    let pool = ThreadPoolExecutor::new(2);

    group.bench_function("no pool: a loop", |b| b.iter(|| (0..ITEMS).map(work).sum::<u64>()));
    group.bench_function("eager", |b| b.iter(|| pool.map(work, 0..ITEMS).map(Result::unwrap).sum::<u64>()));
    for chunksize in [1, 4, 16, 64, 256, 1024] {
        group.bench_function(BenchmarkId::new("chunksize", chunksize), |b| {
            b.iter(|| with(&pool, MapOptions::new().chunksize(chunksize)));
        });
    }
    group.bench_function("buffersize 64", |b| b.iter(|| with(&pool, MapOptions::new().buffersize(64))));
    group.bench_function("unordered", |b| b.iter(|| with(&pool, MapOptions::new().unordered())));
    group.finish();
}

fn with(pool: &ThreadPoolExecutor, options: MapOptions) -> u64 {
    pool.map_with(options, work, 0..ITEMS).map(Result::unwrap).sum()
}

fn work(i: u64) -> u64 {
    (0..50).fold(i, |x, step| black_box(x.wrapping_mul(31) ^ step))
}

criterion_group!(benches, map);
criterion_main!(benches);
