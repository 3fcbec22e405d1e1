//! Data that many tasks need, sent once. Three questions:
//!
//! * The same 16 MiB of numbers for each of a hundred tasks on two workers, each of which looks at one: as an argument, as
//!   `Shared<Vec<f64>>`, as `SharedBytes`; milliseconds from before the shared value is made until the last result is there.
//! * A task with a number, and one with a number and a handle that its worker knows: nanoseconds per task, of many in a map.
//! * `SharedBytes` to one task, which reads a byte of each page: microseconds, the median. As of the echo, the bytes are there
//!   before the clock starts; they don't come back.
//!
//! The floor: the 16 MiB written once to fresh memory; a byte of each page of memory that is there already.

use std::hint::black_box;
use std::time::Instant;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, Shared, SharedBytes};

use super::{Case, WORKERS, amount, median};

pub(super) const CASES: &[Case] = &[
    Case { name: "100 tasks, 16 MiB as the argument", unit: "ms" },
    Case { name: "100 tasks, 16 MiB as `Shared<Vec<f64>>`", unit: "ms" },
    Case { name: "100 tasks, 16 MiB as `SharedBytes`", unit: "ms" },
    Case { name: "a task with a number", unit: "ns" },
    Case { name: "a task with a number and a known `Shared`", unit: "ns" },
    Case { name: "64 KiB as `SharedBytes`", unit: "us" },
    Case { name: "1 MiB as `SharedBytes`", unit: "us" },
    Case { name: "16 MiB as `SharedBytes`", unit: "us" },
    Case { name: "64 MiB as `SharedBytes`", unit: "us" },
    Case { name: "256 MiB as `SharedBytes`", unit: "us" },
];

/// The first case of bytes to one task, and their sizes.
const TO_ONE: usize = 5;
const SIZES: [usize; 5] = [64 << 10, 1 << 20, 16 << 20, 64 << 20, 256 << 20];
const GOES: [usize; 5] = [1_000, 200, 40, 20, 8];

const TASKS: usize = 100;
const SMALL_TASKS: usize = 100_000;
const SIZE: usize = 16 << 20;
const PAGE: usize = 4096;

/// The case in which `SharedBytes` of so many KiB go to one task.
pub(crate) fn to_one(kib: f64) -> Option<usize> {
    SIZES.iter().position(|size| *size as f64 / 1024.0 == kib).map(|nth| TO_ONE + nth)
}

fn number((numbers, at): (Vec<f64>, usize)) -> f64 {
    numbers[at]
}

fn shared_number((numbers, at): (Shared<Vec<f64>>, usize)) -> f64 {
    numbers[at]
}

fn shared_byte((bytes, at): (SharedBytes, usize)) -> f64 {
    f64::from(bytes[at])
}

fn bare(at: usize) -> f64 {
    at as f64
}

fn each_page(bytes: &[u8]) -> usize {
    bytes.iter().step_by(PAGE).map(|byte| usize::from(*byte)).sum()
}

fn pages_of(bytes: SharedBytes) -> usize {
    each_page(&bytes)
}

fn numbers() -> Vec<f64> {
    vec![1.0; SIZE / size_of::<f64>()]
}

fn shared_bytes(size: usize) -> SharedBytes {
    SharedBytes::with(size, |bytes| bytes.fill(1)).expect("there is memory")
}

pub(super) fn measure(case: usize, quick: bool) -> f64 {
    if case >= TO_ONE {
        return one(case - TO_ONE, quick);
    }
    let pool = ProcessPoolExecutor::new(WORKERS);
    pool.map(bare, 0..1_000).for_each(|result| assert!(result.is_ok()));
    match case {
        0 => {
            let numbers = numbers();
            let tasks = amount(TASKS, quick);
            hundred(|| sum(pool.map(number, (0..tasks).map(|at| (numbers.clone(), at))))) / tasks as f64
                * TASKS as f64
        }
        1 => {
            let numbers = numbers();
            hundred(|| {
                let shared = Shared::new(numbers);
                sum(pool.map(shared_number, (0..TASKS).map(|at| (shared.clone(), at))))
            })
        }
        2 => hundred(|| {
            let shared = shared_bytes(SIZE);
            sum(pool.map(shared_byte, (0..TASKS).map(|at| (shared.clone(), at))))
        }),
        3 => small(quick, |tasks| sum(pool.map(bare, 0..tasks))),
        _ => {
            let shared = Shared::new(numbers());
            // Every worker has it then.
            sum(pool.map(shared_number, (0..TASKS).map(|at| (shared.clone(), at))));
            small(quick, |tasks| sum(pool.map(shared_number, (0..tasks).map(|at| (shared.clone(), at)))))
        }
    }
}

fn sum<E: std::fmt::Debug>(results: impl Iterator<Item = Result<f64, E>>) -> f64 {
    results.map(|result| result.expect("the task does not fail")).sum()
}

fn hundred(all: impl FnOnce() -> f64) -> f64 {
    let start = Instant::now();
    black_box(all());
    start.elapsed().as_secs_f64() * 1e3
}

fn small(quick: bool, all: impl Fn(usize) -> f64) -> f64 {
    let tasks = amount(SMALL_TASKS, quick);
    let start = Instant::now();
    black_box(all(tasks));
    start.elapsed().as_nanos() as f64 / tasks as f64
}

fn one(nth: usize, quick: bool) -> f64 {
    let pool = ProcessPoolExecutor::new(1);
    let times = (0..amount(GOES[nth], quick) + 1).map(|_| {
        let bytes = shared_bytes(SIZES[nth]);
        let start = Instant::now();
        let pages = pool.submit(pages_of, bytes).result().expect("the task does not fail");
        let taken = start.elapsed();
        assert_eq!(pages, SIZES[nth] / PAGE);
        taken.as_nanos() as f64 / 1e3
    });
    // The first starts the worker.
    median(times.skip(1).collect())
}

pub(super) fn floor(case: usize, quick: bool) -> Option<f64> {
    match case {
        1 | 2 => Some(hundred(|| black_box(numbers())[0])),
        TO_ONE.. => {
            let bytes = vec![1; SIZES[case - TO_ONE]];
            let times = (0..amount(GOES[case - TO_ONE], quick)).map(|_| {
                let start = Instant::now();
                black_box(each_page(black_box(&bytes)));
                start.elapsed().as_nanos() as f64 / 1e3
            });
            Some(median(times.collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CASES, SIZES, TO_ONE, to_one};

    #[test]
    fn each_size_has_its_case() {
        assert_eq!(CASES.len(), TO_ONE + SIZES.len());
        assert_eq!(to_one(64.0).map(|case| CASES[case].name), Some("64 KiB as `SharedBytes`"));
        assert_eq!(to_one(262_144.0), Some(CASES.len() - 1));
        assert_eq!(to_one(1.0), None);
    }
}
