//! Many more workers than cores: processor time of the process per task, in nanoseconds, of tasks that sleep for 5 ms.
//! There are 200 tasks for each worker, all submitted at once, so each case takes a second; sleeping costs nothing, and
//! what is left is what it takes to hand a task out, to end its sleep, and to note its result. What is asked: does the
//! cost of a task grow with the number of workers?
//!
//! The floor: as many bare threads, each of which sleeps 200 times.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use concurrent_futures::{ReturnWhen, ThreadPoolExecutor, wait};

use super::Case;
use crate::processor;

const UNIT: &str = "ns per task";

pub(super) const CASES: &[Case] = &[
    Case { name: "2 workers", unit: UNIT },
    Case { name: "8 workers", unit: UNIT },
    Case { name: "32 workers", unit: UNIT },
    Case { name: "64 workers", unit: UNIT },
    Case { name: "128 workers", unit: UNIT },
    Case { name: "256 workers", unit: UNIT },
];

const WORKERS: [usize; 6] = [2, 8, 32, 64, 128, 256];

const NAP: Duration = Duration::from_millis(5);

fn naps(quick: bool) -> usize {
    if quick { 20 } else { 200 }
}

/// Of ours.
pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let workers = WORKERS[case];
    let pool = ThreadPoolExecutor::new(workers);
    go(&pool, workers);
    let tasks = workers * naps(quick);
    let before = processor::own();
    go(&pool, tasks);
    per_task(before, tasks)
}

/// One wait for all, so that the figure is not about how often the waiting thread is woken.
fn go(pool: &ThreadPoolExecutor, tasks: usize) {
    let futures: Vec<_> = (0..tasks).map(|_| pool.spawn(|| thread::sleep(NAP))).collect();
    assert_eq!(wait(&futures, ReturnWhen::AllCompleted).done.len(), tasks);
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let threads = WORKERS[case];
    let naps = naps(quick);
    let (ready, over) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                ready.wait();
                (0..naps).for_each(|_| thread::sleep(NAP));
                over.wait();
            });
        }
        ready.wait();
        let before = processor::own();
        over.wait();
        per_task(before, threads * naps)
    })
}

fn per_task(before: Duration, tasks: usize) -> f64 {
    (processor::own() - before).as_nanos() as f64 / tasks as f64
}
