//! This crate.

use concurrent_futures::{ExecutorExt, Future, ProcessPoolExecutor};

use super::{Pool, Portable};

pub(in crate::processes) struct Ours(ProcessPoolExecutor);

impl Pool for Ours {
    type Handle<R: Portable> = Future<R>;

    fn new(workers: usize) -> Self {
        Self(ProcessPoolExecutor::new(workers))
    }

    fn submit<A: Portable, R: Portable>(&self, f: fn(A) -> R, argument: A) -> Self::Handle<R> {
        self.0.submit(f, argument)
    }

    fn wait<R: Portable>(&self, handle: Self::Handle<R>) -> R {
        handle.result().expect("the task does not fail")
    }
}
