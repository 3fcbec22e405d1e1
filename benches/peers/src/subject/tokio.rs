//! tokio twice: tasks on its workers, and closures on its pool for blocking work. Results are awaited from outside, a
//! whole batch under one `block_on`, as one would write it.

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::Pool;

/// `spawn` on a multi-thread runtime with so many workers.
pub(crate) struct Spawn(Runtime);

impl Pool for Spawn {
    type Handle = JoinHandle<u64>;

    fn new(workers: usize) -> Self {
        Self(Builder::new_multi_thread().worker_threads(workers).build().expect("tokio starts"))
    }

    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle {
        self.0.spawn(async move { f() })
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        self.0.block_on(handle).expect("the task returns")
    }

    fn collect(&self, handles: Vec<Self::Handle>) -> u64 {
        self.0.block_on(sum(handles))
    }
}

/// `spawn_blocking` with at most so many blocking threads, on a runtime that has one worker, the fewest there can be.
pub(crate) struct SpawnBlocking(Runtime);

impl Pool for SpawnBlocking {
    type Handle = JoinHandle<u64>;

    fn new(workers: usize) -> Self {
        let mut builder = Builder::new_multi_thread();
        Self(builder.worker_threads(1).max_blocking_threads(workers).build().expect("tokio starts"))
    }

    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle {
        self.0.spawn_blocking(f)
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        self.0.block_on(handle).expect("the task returns")
    }

    fn collect(&self, handles: Vec<Self::Handle>) -> u64 {
        self.0.block_on(sum(handles))
    }
}

async fn sum(handles: Vec<JoinHandle<u64>>) -> u64 {
    let mut sum = 0;
    for handle in handles {
        sum += handle.await.expect("the task returns");
    }
    sum
}
