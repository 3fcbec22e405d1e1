//! `map` on processes, by chunk and by how long a task takes (0, 10 and 100 us, as measured at the start): what a
//! chunk chosen by hand still saves.

use std::hint::black_box;
use std::time::{Duration, Instant};

use concurrent_futures::{ExecutorExt, MapOptions, ProcessPoolExecutor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn map(c: &mut Criterion) {
    let pool = ProcessPoolExecutor::new(2);
    for (micros, items) in [(0, 20_000), (10, 20_000), (100, 2_000)] {
        let steps = steps(micros);
        let mut group = c.benchmark_group(format!("process map, tasks of {micros} us"));
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        group.sample_size(10).throughput(Throughput::Elements(items as u64));
        group.bench_function("no pool: a loop", |b| {
            b.iter(|| (0..items).map(|_| work(black_box(steps))).sum::<u64>());
        });
        group
            .bench_function("eager, no chunksize", |b| b.iter(|| count(pool.map(work, input(steps, items)))));
        for chunksize in [1, 10, 100, 1_000, 10_000] {
            let options = || MapOptions::new().chunksize(chunksize).buffersize(items);
            group.bench_function(BenchmarkId::new("chunksize", chunksize), |b| {
                b.iter(|| count(pool.map_with(options(), work, input(steps, items))));
            });
        }
        group.bench_function("lazy, as it comes", |b| {
            b.iter(|| count(pool.map_with(MapOptions::new(), work, input(steps, items))));
        });
        group.finish();
    }
}

fn input(steps: u64, items: usize) -> impl Iterator<Item = u64> {
    std::iter::repeat_n(steps, items)
}

fn count<E: std::fmt::Debug>(results: impl Iterator<Item = Result<u64, E>>) -> usize {
    results.inspect(|result| assert!(result.is_ok(), "it does not fail")).count()
}

/// An amount of work, not a time: an interrupted task still has the same amount left.
fn work(steps: u64) -> u64 {
    (0..steps).fold(steps, |x, step| black_box(x.wrapping_mul(31) ^ step))
}

/// How many steps take this long here without interruption: the fastest of several short probes.
fn steps(micros: u64) -> u64 {
    const PROBE: u64 = 20_000;
    let probe = |_| {
        let start = Instant::now();
        black_box(work(black_box(PROBE)));
        start.elapsed().as_nanos() as u64
    };
    let fastest = (0..200).map(probe).min().unwrap_or(1).max(1);
    micros * 1000 * PROBE / fastest
}

criterion_group!(benches, map);
criterion_main!(benches);
