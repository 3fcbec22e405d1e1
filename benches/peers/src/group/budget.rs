//! Where the time of one task goes, step by step, each step alone on the machine: nanoseconds per task, the median of
//! many goes. Tasks add one to a number. Steps that lie inside a call are found by difference, in docs/performance.md.
//!
//! * make: `Task::local`, which makes the task and its future and hands them to nobody.
//! * run here: `Task::run` on this thread: claim, call, put the result down, tell whoever watches (nobody).
//! * collect: `Future::result` of a future that is done, and the end of both handles.
//! * submit, worker busy: the whole of `spawn` while the pool's only worker is held: make, and put into the queue.
//! * worker's share: the held worker is let go and runs what is queued; from the first task to the last, by the tasks'
//!   own clocks: take out of the queue, and run.
//! * submit, worker asleep: the whole of `spawn` two milliseconds after the last task.
//! * until it runs: from before that `spawn` until the task's first line.
//! * waiter asleep: a task that lasts two milliseconds; from its last line until `result` returns.
//!
//! The floor: of make, a box of the size of a task; of submit to a busy worker, only the push of such a box through a bare
//! `Mutex<VecDeque>`; of the two wake-ups, `unpark` of a parked thread. The others have none.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_futures::{Future, Task, ThreadPoolExecutor};

use super::memory::Gate;
use super::{Case, amount, median};

pub(super) const CASES: &[Case] = &[
    Case { name: "make", unit: "ns" },
    Case { name: "run here", unit: "ns" },
    Case { name: "collect", unit: "ns" },
    Case { name: "submit, worker busy", unit: "ns" },
    Case { name: "worker's share", unit: "ns" },
    Case { name: "submit, worker asleep", unit: "ns" },
    Case { name: "until it runs", unit: "ns" },
    Case { name: "waiter asleep", unit: "ns" },
];

/// So many at a time: few enough to stay in the cache.
const TASKS: usize = 1_000;

const GOES: usize = 400;

/// Long enough that whoever spins before sleeping has gone to sleep.
const PAUSE: Duration = Duration::from_millis(2);

/// About a pending task with its queue entry.
type Block = [u64; 10];

/// Of ours.
pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let goes = amount(GOES, quick);
    match case {
        0 => median_of(goes, || tasks().0),
        1 => median_of(goes, || {
            let (_, made) = tasks();
            let (tasks, futures): (Vec<Task>, Vec<_>) = made.into_iter().unzip();
            let time = each(|| tasks.into_iter().for_each(Task::run));
            drop(futures);
            time
        }),
        2 => median_of(goes, || {
            let (_, made) = tasks();
            let run = |(task, future): (Task, Future<u64>)| {
                task.run();
                future
            };
            let futures: Vec<_> = made.into_iter().map(run).collect();
            each(|| {
                for future in futures {
                    black_box(future.result().expect("the task does not fail"));
                }
            })
        }),
        3 => median_of(goes, || held().submitting),
        4 => median_of(goes, || held().draining),
        5 => asleep(goes, |wake| wake.submitting),
        6 => asleep(goes, |wake| wake.running),
        _ => waiter(goes),
    }
}

fn median_of(goes: usize, go: impl FnMut() -> f64) -> f64 {
    // The first few find cold caches.
    let mut go = go;
    (0..3).for_each(|_| _ = go());
    median((0..goes).map(|_| go()).collect())
}

/// The time of `all`, for each of the tasks.
fn each(all: impl FnOnce()) -> f64 {
    let start = Instant::now();
    all();
    start.elapsed().as_nanos() as f64 / TASKS as f64
}

fn tasks() -> (f64, Vec<(Task, Future<u64>)>) {
    let mut made = Vec::with_capacity(TASKS);
    let time = each(|| made.extend((0..TASKS as u64).map(|i| Task::local(move || i + 1))));
    (time, made)
}

struct Held {
    submitting: f64,
    draining: f64,
}

/// Submits behind a task that holds the only worker, then lets it go.
fn held() -> Held {
    let pool = ThreadPoolExecutor::new(1);
    let gate = Arc::new(Gate::default());
    let theirs = gate.clone();
    let holds = pool.spawn(move || theirs.pass());
    gate.wait_for(1);
    let first = pool.spawn(Instant::now);
    let mut futures = Vec::with_capacity(TASKS);
    let submitting = each(|| futures.extend((0..TASKS as u64).map(|i| pool.spawn(move || i + 1))));
    let last = pool.spawn(Instant::now);
    gate.open();
    let [first, last] = [first, last].map(|future| future.result().expect("the task does not fail"));
    drop(holds);
    Held { submitting, draining: (last - first).as_nanos() as f64 / TASKS as f64 }
}

struct Wake {
    submitting: Duration,
    running: Duration,
}

fn asleep(goes: usize, which: fn(&Wake) -> Duration) -> f64 {
    let pool = ThreadPoolExecutor::new(1);
    median_of(goes, || {
        thread::sleep(PAUSE);
        let start = Instant::now();
        let future = pool.spawn(Instant::now);
        let submitting = start.elapsed();
        let began = future.result().expect("the task does not fail");
        which(&Wake { submitting, running: began - start }).as_nanos() as f64
    })
}

fn waiter(goes: usize) -> f64 {
    let pool = ThreadPoolExecutor::new(1);
    median_of(goes, || {
        let ended = pool.spawn(|| {
            thread::sleep(PAUSE);
            Instant::now()
        });
        let ended = ended.result().expect("the task does not fail");
        ended.elapsed().as_nanos() as f64
    })
}

pub(super) fn floor(case: usize, quick: bool) -> Option<f64> {
    let goes = amount(GOES, quick);
    match case {
        0 => Some(median_of(goes, || {
            let mut made = Vec::with_capacity(TASKS);
            each(|| made.extend((0..TASKS as u64).map(|i| black_box(Box::new([i; 10]) as Box<Block>))))
        })),
        3 => Some(median_of(goes, || {
            let queue = Mutex::new(VecDeque::with_capacity(TASKS));
            let push = |block| queue.lock().expect("no panic under the lock").push_back(block);
            let blocks: Vec<Box<Block>> = (0..TASKS as u64).map(|i| Box::new([i; 10])).collect();
            each(|| blocks.into_iter().for_each(push))
        })),
        6 | 7 => Some(unpark(goes)),
        _ => None,
    }
}

/// From before the `unpark` until the other thread is back from `park`.
fn unpark(goes: usize) -> f64 {
    let (over, ball) = (AtomicBool::new(false), Mutex::new(None::<Duration>));
    let start = Mutex::new(None::<Instant>);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            while !over.load(SeqCst) {
                thread::park();
                let start = start.lock().expect("no panic under the lock").take();
                if let Some(start) = start {
                    *ball.lock().expect("no panic under the lock") = Some(start.elapsed());
                }
            }
        });
        let figure = median_of(goes, || {
            thread::sleep(PAUSE);
            *start.lock().expect("no panic under the lock") = Some(Instant::now());
            sleeper.thread().unpark();
            loop {
                let time = ball.lock().expect("no panic under the lock").take();
                if let Some(time) = time {
                    return time.as_nanos() as f64;
                }
                thread::yield_now();
            }
        });
        over.store(true, SeqCst);
        sleeper.thread().unpark();
        figure
    })
}
