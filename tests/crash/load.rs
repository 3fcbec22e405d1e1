//! Much at once: many tasks, many workers, large values, both directions full.

use crate::house::{NAME, alone, in_own_process, scale, set_limit};
use crate::support::eventually;
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, MapOptions, ProcessPoolBuilder};
use serde_bytes::ByteBuf;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME)
}

fn double(n: u32) -> u32 {
    2 * n
}

fn wait_for(file: PathBuf) {
    while !file.exists() {
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn check_doubles(futures: Vec<Future<u32>>) {
    for (n, future) in (0..).zip(futures) {
        assert_eq!(future.result().unwrap(), 2 * n);
    }
}

#[test]
fn a_hundred_thousand_tasks_with_64_descriptors() {
    in_own_process(LIMIT, "load::a_hundred_thousand_tasks_with_64_descriptors", || {
        set_limit(libc::RLIMIT_NOFILE, 64);
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        // No worker is up before all are queued.
        let pool = pool(2).initializer(wait_for, open.clone()).build().unwrap();
        let tasks: Vec<_> = (0..100_000).map(|n| pool.submit(double, n)).collect();
        assert_eq!(pool.stats().queued, 100_000);
        std::fs::write(open, "").unwrap();
        check_doubles(tasks);
    });
}

#[test]
fn more_workers_than_descriptors() {
    in_own_process(LIMIT, "load::more_workers_than_descriptors", || {
        set_limit(libc::RLIMIT_NOFILE, 40);
        let pool = pool(64).build().unwrap();
        check_doubles((0..2000).map(|n| pool.submit(double, n)).collect());
        pool.join_timeout(Duration::from_secs(20)).unwrap();
    });
}

#[test]
fn sixty_four_workers() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let pool = pool(64).build().unwrap();
        let held: Vec<_> = (0..64).map(|_| pool.submit(wait_for, open.clone())).collect();
        eventually(|| pool.stats().running == 64);
        let tasks = (0..1000).map(|n| pool.submit(double, n)).collect();
        std::fs::write(open, "").unwrap();
        held.into_iter().for_each(|held| held.result().unwrap());
        check_doubles(tasks);
    });
}

fn echo(text: String) -> String {
    text
}

#[test]
fn values_of_every_size() {
    alone(LIMIT * scale() as u32, || {
        let pool = pool(2).build().unwrap();
        let mut sizes = vec![0, 1, 23, 24, 4095, 4096, 65_434, 65_435, 65_536, 65_537, 1 << 20, 16 << 20];
        if scale() > 1 {
            sizes.push(256 << 20);
        }
        for size in sizes {
            let text = "x".repeat(size);
            assert!(pool.submit(echo, text.clone()).result().unwrap() == text, "{size}");
            let bytes = ByteBuf::from(text);
            assert!(pool.submit(|bytes: ByteBuf| bytes, bytes.clone()).result().unwrap() == bytes, "{size}");
            let chunks = MapOptions::new().chunksize(2);
            let echoed = pool.map_with(chunks, |bytes: ByteBuf| bytes, vec![bytes.clone(); 2]);
            assert!(echoed.map(Result::unwrap).all(|echo| echo == bytes), "{size}");
        }
    });
}

#[test]
fn both_directions_full() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        let texts: Vec<String> = (0..48).map(|n| n.to_string().repeat((1 << 20) / 2)).collect();
        let futures: Vec<_> = texts.iter().map(|text| pool.submit(echo, text.clone())).collect();
        for (text, future) in texts.iter().zip(futures) {
            assert!(future.result().unwrap() == *text);
        }
    });
}

#[test]
fn small_arguments_with_large_replies_and_the_other_way_round() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        let grown: Vec<_> = (0..48).map(|n| pool.submit(|n: usize| "y".repeat(n), n << 14)).collect();
        let shrunk: Vec<_> = (0..48).map(|n| pool.submit(|s: String| s.len(), "z".repeat(n << 14))).collect();
        for (n, future) in grown.into_iter().enumerate() {
            assert_eq!(future.result().unwrap().len(), n << 14);
        }
        for (n, future) in shrunk.into_iter().enumerate() {
            assert_eq!(future.result().unwrap(), n << 14);
        }
    });
}

#[test]
fn nobody_waits_for_the_long_task() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let pool = pool(2).build().unwrap();
        let before: Vec<_> = (0..500).map(|n| pool.submit(double, n)).collect();
        let long = pool.submit(wait_for, open.clone());
        let after: Vec<_> = (0..500).map(|n| pool.submit(double, n)).collect();
        check_doubles(before);
        check_doubles(after);
        assert!(!long.is_done());
        std::fs::write(open, "").unwrap();
        long.result().unwrap();
    });
}
