//! Building a pool of processes until its first result, in a small parent and in one with 2 GiB resident; and a bare
//! `posix_spawn` for comparison. Ending the pool is not counted.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};

fn start(c: &mut Criterion) {
    let mut group = c.benchmark_group("process cold start");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(10);
    both(&mut group, "a small parent");
    let ballast = vec![1_u8; 2 << 30];
    both(&mut group, "2 GiB resident");
    black_box(ballast);
    group.finish();
}

fn both(group: &mut BenchmarkGroup<'_, WallTime>, beside: &str) {
    group.bench_function(format!("pool to first result, {beside}"), |b| {
        b.iter_custom(|goes| {
            let go = |_| {
                let start = Instant::now();
                let pool = ProcessPoolExecutor::new(2);
                assert_eq!(pool.submit(|i: u64| i + 1, 1).result().ok(), Some(2));
                start.elapsed()
            };
            (0..goes).map(go).sum()
        });
    });
    // Another, smaller program: only to distinguish a slow pool from a slow machine.
    group.bench_function(format!("no pool: /bin/true, {beside}"), |b| {
        b.iter(|| Command::new("/bin/true").status().expect("it can be started"));
    });
}

criterion_group!(benches, start);
criterion_main!(benches);
