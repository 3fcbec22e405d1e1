//! Bytes on the heap, counted as malloc rounds them (see `heap`).
//!
//! * pending, future kept: both workers are held by a task each; a million tasks are queued behind them, and every
//!   handle is kept in a vector of exactly that length. The growth of all blocks that live, divided by a million: task,
//!   result slot, queue entry, handle.
//! * pending, future dropped: the same, the handles dropped as they come.
//! * left behind: on a pool with one worker, a task submits five million tasks to its own pool, one after the other, and
//!   waits for each. The growth of all blocks that live between the thousandth and the last, in all. Only ours has this
//!   row: a peer's only worker would wait for itself for ever.
//!
//! The floor of the first two: a boxed number, its pointer in a `VecDeque`; and a pointer kept, or not.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use concurrent_futures::ThreadPoolExecutor;

use super::{Case, amount};
use crate::heap;
use crate::subject::Pool;

pub(super) const CASES: &[Case] = &[
    Case { name: "pending, future kept", unit: "bytes per task" },
    Case { name: "pending, future dropped", unit: "bytes per task" },
    Case { name: "left behind by 5 M waits in a worker", unit: "bytes" },
];

const TASKS: usize = 1_000_000;
const WORKERS: usize = 2;
const WAITS_INSIDE: usize = 5_000_000;

pub(super) fn measure<P: Pool>(case: usize, quick: bool) -> Option<f64> {
    match case {
        0 => Some(pending::<P>(amount(TASKS, quick), true)),
        1 => Some(pending::<P>(amount(TASKS, quick), false)),
        _ => None,
    }
}

fn pending<P: Pool>(tasks: usize, keep: bool) -> f64 {
    heap::start_counting();
    let pool = P::new(WORKERS);
    let gate = Arc::new(Gate::default());
    let held: Vec<_> = (0..WORKERS)
        .map(|_| {
            let gate = gate.clone();
            pool.submit(move || gate.pass())
        })
        .collect();
    gate.wait_for(WORKERS);

    let before = heap::live();
    let mut handles = Vec::with_capacity(if keep { tasks } else { 0 });
    for i in 0..tasks as u64 {
        let handle = pool.submit(move || i + 1);
        if keep {
            handles.push(handle);
        }
    }
    let grown = heap::live() - before;

    gate.open();
    pool.collect(held);
    pool.collect(handles);
    grown as f64 / tasks as f64
}

/// Of ours.
pub(super) fn left_behind(quick: bool) -> f64 {
    heap::start_counting();
    let pool = Arc::new(ThreadPoolExecutor::new(1));
    let own_pool = pool.clone();
    let grown = pool.spawn(move || {
        let wait_for_one = |i: usize| assert_eq!(own_pool.spawn(move || i).result().ok(), Some(i));
        (0..1_000).for_each(wait_for_one);
        let before = heap::live();
        (0..amount(WAITS_INSIDE, quick)).for_each(wait_for_one);
        heap::live() - before
    });
    grown.result().expect("a worker may wait for its own pool") as f64
}

pub(super) fn floor(case: usize, quick: bool) -> Option<f64> {
    let tasks = amount(TASKS, quick);
    let keep = match case {
        0 => true,
        1 => false,
        _ => return None,
    };
    heap::start_counting();
    let before = heap::live();
    let mut kept: Vec<*const u64> = Vec::with_capacity(if keep { tasks } else { 0 });
    let mut queue = VecDeque::new();
    for i in 0..tasks as u64 {
        let task = Box::new(i + 1);
        if keep {
            kept.push(&raw const *task);
        }
        queue.push_back(task);
    }
    Some((heap::live() - before) as f64 / tasks as f64)
}

/// Holds the tasks that pass it until it is opened.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    waiting: usize,
    open: bool,
}

impl Gate {
    pub(super) fn pass(&self) -> u64 {
        let mut state = self.state.lock().expect("no panic under the lock");
        state.waiting += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open));
        0
    }

    pub(super) fn wait_for(&self, tasks: usize) {
        let state = self.state.lock().expect("no panic under the lock");
        drop(self.changed.wait_while(state, |state| state.waiting < tasks));
    }

    pub(super) fn open(&self) {
        self.state.lock().expect("no panic under the lock").open = true;
        self.changed.notify_all();
    }
}
