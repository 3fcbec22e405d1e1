//! A pool of threads with one worker, which is held while its queue is filled: so nobody spins, and nobody is woken.

use std::sync::mpsc::{self, Sender};

use concurrent_futures::{Future, ThreadPoolExecutor};

use crate::collect::{counted, toggle};

/// A pool whose only worker waits until it is let go.
struct Held {
    pool: ThreadPoolExecutor,
    gate: Sender<()>,
}

impl Held {
    /// The worker runs `first` when it is let go.
    fn new(first: impl FnOnce() + Send + 'static) -> Self {
        let pool = ThreadPoolExecutor::new(1);
        let (gate, opened) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        pool.spawn(move || {
            begun.send(()).expect("somebody listens");
            opened.recv().expect("the gate opens");
            first();
        })
        .detach();
        has_begun.recv().expect("the worker starts");
        Held { pool, gate }
    }

    fn submit(&self, times: u32) -> Vec<Future<u32>> {
        let mut futures = Vec::with_capacity(times as usize);
        futures.extend((0..times).map(|n| self.pool.submit(|n| n + 1, n)));
        futures
    }

    fn let_go(self) {
        self.gate.send(()).expect("the worker waits");
        self.pool.join();
    }
}

/// A task into the queue.
pub(super) fn submit(times: u32) {
    let held = Held::new(|| ());
    let futures = counted(|| held.submit(times));
    held.let_go();
    drop(futures);
}

/// What a worker does for each task: look for it, run it, publish its result.
pub(super) fn run(times: u32) {
    let held = Held::new(toggle);
    let futures = held.submit(times);
    let last = held.pool.spawn(toggle);
    held.gate.send(()).expect("the worker waits");
    // Before the pool is told to end: a worker takes another way then, and the moment is anyone's.
    assert!(last.result().is_ok());
    held.pool.join();
    drop(futures);
}

/// The result of a task that is done.
pub(super) fn result(times: u32) {
    let held = Held::new(|| ());
    let futures = held.submit(times);
    held.let_go();
    counted(|| futures.into_iter().for_each(|future| assert!(future.result().is_ok())));
}

/// A worker submits a task to its own pool, runs it itself and has the result: all of a task's way, on one thread.
pub(super) fn in_place(times: u32) {
    let pool = std::sync::Arc::new(ThreadPoolExecutor::new(1));
    let own = pool.clone();
    let all = pool.spawn(move || {
        counted(|| (0..times).for_each(|n| assert!(own.submit(|n| n + 1, n).result().is_ok())));
    });
    assert!(all.result().is_ok());
}

/// A task that is still in the queue.
pub(super) fn cancel(times: u32) {
    let held = Held::new(|| ());
    let futures = held.submit(times);
    counted(|| futures.iter().for_each(|future| assert!(future.cancel())));
    held.let_go();
}
