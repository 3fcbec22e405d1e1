//! Submit a million tasks that do nothing, keep every handle, then collect every result: nanoseconds per task, on the
//! clock, or of processor time that all threads of the program took together.
//!
//! The producers are threads of their own; each submits its share and collects it, in order. The clock runs from before
//! the producers start until the last result is there. The pool exists and has run a twentieth of the work before.
//!
//! The floor: what no pool can leave out. One block from malloc per task, freed by whoever takes it; its pointer pushed
//! by the producers through a bare `Mutex<VecDeque>` to *one* other thread, which sleeps on a condvar while there is
//! nothing. No handle, no result on its way back, no panic caught.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Case, amount};
use crate::processor;
use crate::subject::Pool;

pub(crate) const TASKS: usize = 1_000_000;

pub(super) const CASES: &[Case] = &[
    Case { name: "1 producer, 2 workers", unit: "ns per task" },
    Case { name: "8 producers, 2 workers", unit: "ns per task" },
    Case { name: "64 producers, 2 workers", unit: "ns per task" },
    Case { name: "1 producer, 64 workers", unit: "ns per task" },
];

/// With another allocator: the first two, by either clock.
pub(super) const MIMALLOC_CASES: &[Case] = &[
    Case { name: "1 producer", unit: "ns per task" },
    Case { name: "8 producers", unit: "ns per task" },
    Case { name: "1 producer, processor time", unit: "ns per task" },
    Case { name: "8 producers, processor time", unit: "ns per task" },
];

/// Producers and workers of each case.
pub(crate) const SHAPES: [(usize, usize); 4] = [(1, 2), (8, 2), (64, 2), (1, 64)];

/// By which a task is measured.
#[derive(Clone, Copy)]
pub(super) enum Clock {
    Wall,
    /// Of the whole program.
    Processor,
}

impl Clock {
    /// Of a case of [`MIMALLOC_CASES`], with the case of [`CASES`] that it repeats.
    pub(super) fn of_mimalloc(case: usize) -> (Clock, usize) {
        if case < 2 { (Clock::Wall, case) } else { (Clock::Processor, case - 2) }
    }

    fn time(self, work: impl FnOnce()) -> Duration {
        let (start, before) = (Instant::now(), processor::own());
        work();
        match self {
            Clock::Wall => start.elapsed(),
            Clock::Processor => processor::own() - before,
        }
    }
}

pub(super) fn measure<P: Pool>(clock: Clock, case: usize, quick: bool) -> f64 {
    let (producers, workers) = SHAPES[case];
    let tasks = amount(TASKS, quick);
    let pool = P::new(workers);
    from_producers(&pool, producers, tasks / 20);
    let time = clock.time(|| from_producers(&pool, producers, tasks));
    time.as_nanos() as f64 / (tasks / producers * producers) as f64
}

fn from_producers<P: Pool>(pool: &P, producers: usize, tasks: usize) {
    let share = tasks / producers;
    if producers == 1 {
        submit_and_collect(pool, share);
    } else {
        thread::scope(|scope| {
            for _ in 0..producers {
                scope.spawn(|| submit_and_collect(pool, share));
            }
        });
    }
}

fn submit_and_collect<P: Pool>(pool: &P, tasks: usize) {
    let mut handles = Vec::with_capacity(tasks);
    for i in 0..tasks as u64 {
        handles.push(pool.submit(move || i + 1));
    }
    assert_eq!(pool.collect(handles), sum_to(tasks), "results lost or mixed up");
}

pub(super) fn floor(clock: Clock, case: usize, quick: bool) -> f64 {
    let (producers, _) = SHAPES[case];
    let share = amount(TASKS, quick) / producers;
    let queue = HandOver::default();
    let time = clock.time(|| {
        thread::scope(|scope| {
            let consumer = scope.spawn(|| queue.take_all(share * producers));
            for _ in 0..producers {
                scope.spawn(|| (0..share as u64).for_each(|i| queue.push(Box::new(i + 1))));
            }
            let sum = consumer.join().expect("the consumer returns");
            assert_eq!(sum, sum_to(share) * producers as u64);
        });
    });
    time.as_nanos() as f64 / (share * producers) as f64
}

#[derive(Default)]
struct HandOver {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Box<u64>>,
    consumer_sleeps: bool,
}

impl HandOver {
    fn push(&self, entry: Box<u64>) {
        let mut queue = self.queue.lock().expect("no panic under the lock");
        queue.entries.push_back(entry);
        if queue.consumer_sleeps {
            queue.consumer_sleeps = false;
            drop(queue);
            self.more.notify_one();
        }
    }

    fn take_all(&self, tasks: usize) -> u64 {
        let mut sum = 0;
        for _ in 0..tasks {
            sum += *black_box(self.pop());
        }
        sum
    }

    fn pop(&self) -> Box<u64> {
        let mut queue = self.queue.lock().expect("no panic under the lock");
        loop {
            if let Some(entry) = queue.entries.pop_front() {
                return entry;
            }
            queue.consumer_sleeps = true;
            queue = self.more.wait(queue).expect("no panic under the lock");
        }
    }
}

fn sum_to(tasks: usize) -> u64 {
    let n = tasks as u64;
    n * (n + 1) / 2
}
