//! The same 16 MiB for each of a hundred tasks, on two workers: as an argument, as a `Shared` value, as `SharedBytes`; each with its
//! making. And a small task that carries a handle beside one that carries a number.

use std::time::Duration;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, Shared, SharedBytes};
use criterion::{Criterion, criterion_group, criterion_main};

const TASKS: usize = 100;
const SIZE: usize = 16 << 20;

fn number((numbers, at): (Vec<f64>, usize)) -> f64 {
    numbers[at]
}

fn shared_number((numbers, at): (Shared<Vec<f64>>, usize)) -> f64 {
    numbers[at]
}

fn byte((bytes, at): (SharedBytes, usize)) -> u8 {
    bytes[at]
}

fn large(c: &mut Criterion) {
    let mut group = c.benchmark_group("the same 16 MiB for 100 tasks");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5)).sample_size(10);
    let pool = ProcessPoolExecutor::new(2);
    let numbers = || vec![1.5; SIZE / 8];
    group.bench_function("argument", |b| {
        let numbers = numbers();
        b.iter(|| {
            pool.map(number, (0..TASKS).map(|at| (numbers.clone(), at))).map(Result::unwrap).sum::<f64>()
        });
    });
    group.bench_function("Shared<Vec<f64>>", |b| {
        b.iter(|| {
            let shared = Shared::new(numbers());
            let tasks = (0..TASKS).map(|at| (shared.clone(), at));
            pool.map(shared_number, tasks).map(Result::unwrap).sum::<f64>()
        });
    });
    group.bench_function("SharedBytes", |b| {
        b.iter(|| {
            let bytes = SharedBytes::with(SIZE, |bytes| bytes.fill(1)).unwrap();
            let tasks = (0..TASKS).map(|at| (bytes.clone(), at));
            pool.map(byte, tasks).map(|byte| u64::from(byte.unwrap())).sum::<u64>()
        });
    });
    group.finish();
}

fn small(c: &mut Criterion) {
    const EACH: usize = 10_000;
    let mut group = c.benchmark_group("10 000 small tasks");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(10);
    let pool = ProcessPoolExecutor::new(2);
    group.bench_function("a number", |b| {
        b.iter(|| pool.map(|at: usize| at as f64, 0..EACH).map(Result::unwrap).sum::<f64>());
    });
    let shared = Shared::new(vec![1.5; EACH]);
    group.bench_function("a number and a handle", |b| {
        let tasks = || (0..EACH).map(|at| (shared.clone(), at));
        b.iter(|| pool.map(shared_number, tasks()).map(Result::unwrap).sum::<f64>());
    });
    group.finish();
}

criterion_group!(benches, large, small);
criterion_main!(benches);
