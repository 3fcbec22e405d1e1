//! Shared data where descriptors, memory or workers go away. What `alone` counts says that nothing of it stays.

use crate::house::{NAME, Which, alone, in_own_process, scale, signal};
use crate::support::eventually;
use concurrent_futures::prelude::*;
use concurrent_futures::{ProcessPoolBuilder, Shared, SharedBytes, TaskError, TaskOptions, WorkerOutput};
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const LARGE: usize = 2 << 20;

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME).stderr(WorkerOutput::Null)
}

fn pattern(len: usize) -> SharedBytes {
    SharedBytes::with(len, |bytes| bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = n as u8))
        .unwrap()
}

/// Right only if the bytes are those of [`pattern`] and the numbers count from zero.
fn look((bytes, numbers, at): (SharedBytes, Shared<Vec<u64>>, usize)) -> u64 {
    u64::from(bytes[at]) + numbers[at]
}

fn expected(at: usize) -> u64 {
    u64::from(at as u8) + at as u64
}

#[test]
fn a_storm_of_kills() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        let (mut lost, mut kills) = (0, 0);
        for round in 0..10 * scale() {
            // Handles that come and go, and tasks that are tried again.
            let bytes = pattern(LARGE + round);
            let numbers = Shared::new((0..20_000).collect::<Vec<u64>>());
            let options = || TaskOptions::new().retries(u32::from(round % 2 == 0));
            let sums: Vec<_> = (0..100)
                .map(|at| pool.submit_with(options(), look, (bytes.slice(..), numbers.clone(), at)))
                .collect();
            drop((bytes, numbers));
            for _ in 0..3 {
                let workers = pool.stats().workers;
                if let Some(pid) = workers.iter().filter_map(|worker| worker.pid).nth(round % 2) {
                    signal(pid, libc::SIGKILL);
                    kills += 1;
                }
            }
            for (at, sum) in sums.into_iter().enumerate() {
                match sum.result() {
                    Ok(sum) => assert_eq!(sum, expected(at)),
                    Err(TaskError::WorkerDied(_)) => lost += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(lost <= kills, "{lost} tasks lost by {kills} kills");
    });
}

#[test]
fn descriptors_are_back_when_handles_are_gone() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        for _ in 0..20 {
            let bytes = pattern(LARGE);
            let tasks = (0..4).map(|at| (bytes.clone(), Shared::new(vec![0; 100_000]), at));
            assert!(pool.map(look, tasks).all(|sum| sum.is_ok()));
        }
        // A worker has nothing left either, and so as many as when it came up.
        let descriptors = |()| std::fs::read_dir("/proc/self/fd").unwrap().count();
        eventually(|| pool.submit(descriptors, ()).result().unwrap() < 20);
    });
}

/// What of a process's memory is sealed bytes, each page divided by the processes that have it.
fn share(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut is_inside, mut sum) = (false, 0);
    for line in text.lines() {
        if let Some(kilobytes) = line.strip_prefix("Pss:").filter(|_| is_inside) {
            sum += 1024 * kilobytes.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
        } else if line.split(' ').next().is_some_and(|word| word.contains('-')) {
            is_inside = line.contains("memfd:concurrent-futures") && line.contains("r--p");
        }
    }
    sum
}

#[test]
fn bytes_are_in_memory_once_whatever_the_number_of_workers() {
    alone(LIMIT, || {
        const LEN: usize = 24 << 20;
        let (pool, bytes) = (pool(4).build().unwrap(), pattern(LEN));
        let add = |bytes: SharedBytes| {
            let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
            (std::process::id(), sum)
        };
        let sum = add(bytes.clone()).1;
        // Until each of them has read all.
        let mut readers = BTreeSet::new();
        while readers.len() < 4 {
            for answer in pool.map(add, (0..8).map(|_| bytes.clone())) {
                let (pid, of_worker) = answer.unwrap();
                assert_eq!(of_worker, sum);
                readers.insert(pid);
            }
        }
        let all: usize = readers.into_iter().chain([std::process::id()]).map(share).sum();
        assert!((LEN / 100 * 95..LEN / 100 * 105).contains(&all), "{all} bytes for {LEN}");
    });
}

#[test]
fn a_fork_reads_shared_bytes_and_takes_nothing_away() {
    in_own_process(LIMIT, "shared_data::a_fork_reads_shared_bytes_and_takes_nothing_away", || {
        let pool = pool(1).build().unwrap();
        let (bytes, numbers) = (pattern(LARGE), Shared::new((0..20_000).collect::<Vec<u64>>()));
        let look_at = |at| pool.submit(look, (bytes.clone(), numbers.clone(), at));
        assert_eq!(look_at(1).result().unwrap(), expected(1));
        // SAFETY: the child goes on with what glibc allows after a fork, and leaves by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_right = bytes[LARGE - 1] == (LARGE - 1) as u8;
            drop(bytes);
            drop(numbers);
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        let mut status = 0;
        // SAFETY: a valid place for a status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        // The worker has been told nothing by it.
        assert_eq!(look_at(300).result().unwrap(), expected(300));
    });
}

/// Sets a limit of this process, and so of the workers to come.
fn bound(resource: Which, to: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

#[test]
fn without_memory_that_can_be_shared_they_cross_by_value() {
    in_own_process(LIMIT, "shared_data::without_memory_that_can_be_shared_they_cross_by_value", || {
        // Enough for what a pool itself needs.
        bound(libc::RLIMIT_FSIZE, 1 << 20);
        let pool = pool(2).build().unwrap();
        let (bytes, numbers) = (pattern(LARGE), Shared::new((0..200_000).collect::<Vec<u64>>()));
        let tasks = (0..100).map(|at| (bytes.clone(), numbers.clone(), at));
        for (at, sum) in pool.map(look, tasks).enumerate() {
            assert_eq!(sum.unwrap(), expected(at));
        }
    });
}

#[test]
fn without_descriptors_they_cross_by_value() {
    in_own_process(LIMIT, "shared_data::without_descriptors_they_cross_by_value", || {
        let pool = pool(1).build().unwrap();
        // Its worker is up.
        pool.submit(|()| (), ()).result().unwrap();
        bound(libc::RLIMIT_NOFILE, 64);
        let mut taken = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        let (bytes, numbers) = (pattern(LARGE), Shared::new((0..200_000).collect::<Vec<u64>>()));
        let tasks = (0..100).map(|at| (bytes.clone(), numbers.clone(), at));
        for (at, sum) in pool.map(look, tasks).enumerate() {
            assert_eq!(sum.unwrap(), expected(at));
        }
        drop(taken);
    });
}
