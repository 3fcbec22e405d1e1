//! What it costs to look at a pool: tasks that add one to a number, submitted by one thread to two workers and collected, while
//! nobody looks and while somebody does. Nanoseconds of processor time per task, of this process: with worker processes that is
//! where it is observed; the workers' share is to note when a task began.
//!
//! * nobody looks: no call of `running`, no observer.
//! * running: it was called once, and from then on workers note when tasks begin.
//! * observer: one that does nothing, told of each event with its moment.
//! * timeline: a `Timeline`, which keeps the last 100 000 spans and counts all.
//!
//! There is no floor.

use std::sync::Arc;

use concurrent_futures::{
    ExecutorExt, Future, Observer, PoolEvent, ProcessPoolExecutor, ThreadPoolExecutor, Timeline,
};

use super::{Case, amount};
use crate::processor;

pub(super) const CASES: &[Case] = &[
    Case { name: "threads, nobody looks", unit: "ns per task" },
    Case { name: "threads, running", unit: "ns per task" },
    Case { name: "threads, observer", unit: "ns per task" },
    Case { name: "threads, timeline", unit: "ns per task" },
    Case { name: "processes, nobody looks", unit: "ns per task" },
    Case { name: "processes, running", unit: "ns per task" },
    Case { name: "processes, observer", unit: "ns per task" },
    Case { name: "processes, timeline", unit: "ns per task" },
];

const WORKERS: usize = 2;
const THREAD_TASKS: usize = 1_000_000;
const PROCESS_TASKS: usize = 200_000;

struct Nothing;

impl Observer for Nothing {
    fn observe(&self, _: &PoolEvent<'_>) {}
}

fn observer(case: usize) -> Option<Arc<dyn Observer>> {
    match case % 4 {
        2 => Some(Arc::new(Nothing)),
        3 => Some(Arc::new(Timeline::new())),
        _ => None,
    }
}

pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let (looks, observer) = (case % 4 == 1, observer(case));
    // Both kinds of pool, whose methods have the same names and no trait.
    macro_rules! measure {
        ($pool:ident, $tasks:expr) => {{
            let builder = $pool::builder().max_workers(WORKERS);
            let pool = match observer {
                Some(observer) => builder.observer(observer).build(),
                None => builder.build(),
            };
            let pool = pool.expect("a pool");
            if looks {
                drop(pool.running());
            }
            per_task(amount($tasks, quick), |n| pool.submit(add, n))
        }};
    }
    if case < 4 {
        measure!(ThreadPoolExecutor, THREAD_TASKS)
    } else {
        measure!(ProcessPoolExecutor, PROCESS_TASKS)
    }
}

fn add(n: u64) -> u64 {
    n + 1
}

/// A twentieth of them before, which start the workers.
fn per_task(tasks: usize, submit: impl Fn(u64) -> Future<u64>) -> f64 {
    let run = |tasks: usize| {
        let futures: Vec<_> = (0..tasks as u64).map(&submit).collect();
        let sum: u64 = futures.into_iter().map(|future| future.result().expect("it does not fail")).sum();
        assert_eq!(sum, (tasks as u64) * (tasks as u64 + 1) / 2, "results lost or mixed up");
    };
    run(tasks / 20);
    let before = processor::own();
    run(tasks);
    (processor::own() - before).as_nanos() as f64 / tasks as f64
}
