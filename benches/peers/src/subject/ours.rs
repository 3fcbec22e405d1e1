//! This crate.

use concurrent_futures::{Future, ThreadPoolExecutor};

use super::Pool;

pub(crate) struct Ours(ThreadPoolExecutor);

impl Pool for Ours {
    type Handle = Future<u64>;

    fn new(workers: usize) -> Self {
        Self(ThreadPoolExecutor::new(workers))
    }

    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle {
        self.0.spawn(f)
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.result().expect("the task does not fail")
    }
}
