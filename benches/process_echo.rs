//! Bytes to a process and back, 1 KiB to 256 MiB: as `serde_bytes`, and as a plain `Vec<u8>`, which serde encodes number by number.
//! The throughput is that of the bytes one way.

use std::time::Duration;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_bytes::ByteBuf;

fn echo(c: &mut Criterion) {
    let mut group = c.benchmark_group("process echo");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(10);
    let pool = ProcessPoolExecutor::new(1);
    for size in [1 << 10, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 256 << 20] {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("serde_bytes", size), |b| {
            let bytes = || ByteBuf::from(vec![1; size]);
            b.iter_batched(
                bytes,
                |bytes| pool.submit(|b: ByteBuf| b, bytes).result(),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("serde_bytes in a tuple", size), |b| {
            let bytes = || (ByteBuf::from(vec![1; size]), 7);
            b.iter_batched(
                bytes,
                |bytes| pool.submit(|b: (ByteBuf, u32)| b, bytes).result(),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("Vec<u8>", size), |b| {
            let bytes = || vec![1; size];
            b.iter_batched(
                bytes,
                |bytes| pool.submit(|b: Vec<u8>| b, bytes).result(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, echo);
criterion_main!(benches);
