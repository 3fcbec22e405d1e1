//! The X-ray example, small: 16 drawings, in a loop, with 2 threads, with 2 processes.
//!
//! A loop needs the time of all decoding, two workers at least half of it. The pools are started before.

#[path = "../examples/xray_resize/chest.rs"]
mod chest;
#[path = "../examples/xray_resize/jpeg.rs"]
mod jpeg;
#[path = "../examples/xray_resize/thumbnail.rs"]
mod thumbnail;

use std::{fs, hint::black_box};

use concurrent_futures::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};

use crate::thumbnail::{Order, image_resize};

const IMAGES: u64 = 16;
const WORKERS: usize = 2;

fn xray(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let orders: Vec<Order> = (1..=IMAGES)
        .map(|index| {
            let path = folder.path().join(format!("{index}.jpeg"));
            fs::write(&path, chest::draw(1, index)).expect("a file");
            Order { path, size: 64, crash: false, draft: false }
        })
        .collect();

    let mut group = criterion.benchmark_group("xray");
    group.sample_size(10);
    group.bench_function("loop", |bencher| {
        bencher.iter(|| {
            for order in orders.clone() {
                black_box(image_resize(order).expect("a thumbnail"));
            }
        });
    });
    let pools: [(&str, Box<dyn Executor>); 2] = [
        ("threads", Box::new(ThreadPoolExecutor::new(WORKERS))),
        ("processes", Box::new(ProcessPoolExecutor::new(WORKERS))),
    ];
    for (name, pool) in &pools {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                for thumbnail in pool.try_map(image_resize, orders.clone()) {
                    black_box(thumbnail.expect("a thumbnail"));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, xray);
criterion_main!(benches);
