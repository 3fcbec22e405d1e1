//! The same of pools of processes.

use crate::Instance;
use crate::support::SOON;
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, ProcessPoolBuilder, TaskError, TaskOptions, WhenFull};
use std::time::Duration;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "every_extreme_of_every_number_of_a_pool_of_processes",
        &["python/cpython#94243", "dbos-inc/dbos-transact-py#566", "agronholm/pythonfutures#55"],
        every_extreme_of_every_number_of_a_pool_of_processes,
    ),
    Instance::new(
        "a_submit_to_processes_costs_the_same_whatever_their_number_may_be",
        &["dbos-inc/dbos-transact-py#566"],
        a_submit_to_processes_costs_the_same_whatever_their_number_may_be,
    ),
    Instance::new(
        "every_extreme_of_every_number_of_a_task_of_processes",
        &[],
        every_extreme_of_every_number_of_a_task_of_processes,
    ),
];

// ---- pools of processes ------------------------------------------------------------------------------------

/// What an option makes of a builder, and what comes of it.
type Extreme = (&'static str, fn(ProcessPoolBuilder) -> ProcessPoolBuilder, Outcome);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Outcome {
    /// Tasks run.
    Works,
    /// `build` refuses.
    Refused,
    /// There is too little for a worker, as one finds out by starting one.
    Broken,
}

const EXTREMES: &[(&str, &[Extreme])] = &[
    (
        "max_workers",
        &[
            ("0", |b| b.max_workers(0), Outcome::Refused),
            ("1", |b| b.max_workers(1), Outcome::Works),
            ("100 000", |b| b.max_workers(100_000), Outcome::Works),
            ("half of all", |b| b.max_workers(usize::MAX / 2 + 1), Outcome::Works),
            ("all", |b| b.max_workers(usize::MAX), Outcome::Works),
        ],
    ),
    (
        "max_tasks_per_child",
        &[
            ("0", |b| b.max_tasks_per_child(0), Outcome::Refused),
            ("1", |b| b.max_tasks_per_child(1), Outcome::Works),
            ("all", |b| b.max_tasks_per_child(u32::MAX), Outcome::Works),
        ],
    ),
    (
        "queue_capacity",
        &[
            ("0", |b| b.queue_capacity(0, WhenFull::Block), Outcome::Refused),
            ("1", |b| b.queue_capacity(1, WhenFull::Block), Outcome::Works),
            ("all", |b| b.queue_capacity(usize::MAX, WhenFull::Reject), Outcome::Works),
        ],
    ),
    (
        "start_timeout",
        &[
            ("0", |b| b.start_timeout(Duration::ZERO), Outcome::Refused),
            ("1 ns", |b| b.start_timeout(Duration::from_nanos(1)), Outcome::Broken),
            ("2^64 s", |b| b.start_timeout(Duration::from_secs(u64::MAX)), Outcome::Works),
            ("2^63 s", |b| b.start_timeout(Duration::from_secs(i64::MAX as u64)), Outcome::Works),
            ("all", |b| b.start_timeout(Duration::MAX), Outcome::Works),
        ],
    ),
    (
        "keep_alive",
        &[
            ("0", |b| b.keep_alive(Duration::ZERO), Outcome::Works),
            ("1 ns", |b| b.keep_alive(Duration::from_nanos(1)), Outcome::Works),
            ("2^63 s", |b| b.keep_alive(Duration::from_secs(i64::MAX as u64)), Outcome::Works),
            ("all", |b| b.keep_alive(Duration::MAX), Outcome::Works),
        ],
    ),
    (
        "address_space",
        &[
            ("0", |b| b.address_space(0), Outcome::Refused),
            ("1", |b| b.address_space(1), Outcome::Broken),
            ("2^63", |b| b.address_space(1 << 63), Outcome::Works),
            ("all", |b| b.address_space(u64::MAX), Outcome::Works),
        ],
    ),
    (
        "memory_growth",
        &[
            ("0", |b| b.memory_growth(0), Outcome::Works),
            ("1", |b| b.memory_growth(1), Outcome::Works),
            ("all", |b| b.memory_growth(u64::MAX), Outcome::Works),
        ],
    ),
];

/// Runs a few tasks, or has the error that there is.
fn try_out(builder: ProcessPoolBuilder) -> Outcome {
    let pool = match builder.build() {
        Ok(pool) => pool,
        Err(BuildError::Initializer(error) | BuildError::Unsupported(error)) => panic!("{error}"),
        Err(_) => return Outcome::Refused,
    };
    for n in 0..3_u32 {
        match pool.submit(|n: u32| n + 1, n).result_timeout(SOON).expect("in time") {
            Ok(next) => assert_eq!(next, n + 1),
            Err(TaskError::Broken(_)) => return Outcome::Broken,
            Err(error) => panic!("{error}"),
        }
    }
    Outcome::Works
}

fn every_extreme_of_every_number_of_a_pool_of_processes() {
    for (option, extremes) in EXTREMES {
        for (value, set, outcome) in *extremes {
            // One worker where nothing else is said: more only make it slower.
            let came = try_out(set(ProcessPoolExecutor::builder().max_workers(1)));
            assert_eq!(came, *outcome, "{option}({value})");
        }
    }
    // Each of them beside each extreme of every other option: built or refused, and dropped.
    for (at, (option, extremes)) in EXTREMES.iter().enumerate() {
        for (other, others) in &EXTREMES[at + 1..] {
            for (value, set, outcome) in *extremes {
                for (second, set_second, outcome_second) in *others {
                    let built = set_second(set(ProcessPoolExecutor::builder())).build();
                    let refused = [outcome, outcome_second].contains(&&Outcome::Refused);
                    assert_eq!(built.is_err(), refused, "{option}({value}), {other}({second})");
                }
            }
        }
    }
}

fn a_submit_to_processes_costs_the_same_whatever_their_number_may_be() {
    let pool = |most| {
        let pool = ProcessPoolExecutor::builder().max_workers(most).build().expect("a pool");
        assert_eq!(pool.submit(|n: u32| n, 7).result().expect("a worker"), 7);
        pool
    };
    let (few, many) = (pool(1), pool(usize::MAX));
    let time = |pool: &ProcessPoolExecutor| {
        let start = std::time::Instant::now();
        for n in 0..20 {
            assert_eq!(pool.submit(|n: u32| n, n).result().expect("a worker"), n);
        }
        start.elapsed()
    };
    // The best of many, as little else is measured on a busy machine.
    let best = |pool| (0..30).map(|_| time(pool)).min().expect("some");
    let (of_few, of_many) = (best(&few), best(&many));
    assert!(of_many < 5 * of_few + Duration::from_millis(2), "{of_few:?} and {of_many:?}");
}

fn every_extreme_of_every_number_of_a_task_of_processes() {
    let pool = ProcessPoolExecutor::new(1);
    let run = |options: TaskOptions| {
        pool.submit_with(options, |n: u32| n + 1, 1).result_timeout(SOON).expect("in time")
    };
    for timeout in [Duration::from_secs(i64::MAX as u64), Duration::from_secs(u64::MAX), Duration::MAX] {
        assert_eq!(run(TaskOptions::new().timeout(timeout)).expect("a result"), 2, "{timeout:?}");
    }
    // It is over as it begins; a task that is quicker than its end may be through.
    let over = run(TaskOptions::new().timeout(Duration::ZERO));
    assert!(matches!(over, Ok(2) | Err(TaskError::TimeLimit(_))), "{over:?}");
    for retries in [0, 1, u32::MAX] {
        assert_eq!(run(TaskOptions::new().retries(retries)).expect("a result"), 2, "{retries}");
    }
}
