//! The crate procspawn: its `Pool`. A worker's next task waits until somebody has taken the last result, and each task
//! that is not done holds three descriptors; so handles are awaited in order, at most 100 at a time.

use super::{Pool, Portable};

pub(in crate::processes) struct Procspawn(procspawn::Pool);

impl Pool for Procspawn {
    type Handle<R: Portable> = procspawn::JoinHandle<R>;

    const WINDOW: usize = 100;
    const MOST_TASKS: usize = 20_000;

    fn new(workers: usize) -> Self {
        Self(procspawn::Pool::new(workers).expect("processes can be started"))
    }

    fn submit<A: Portable, R: Portable>(&self, f: fn(A) -> R, argument: A) -> Self::Handle<R> {
        self.0.spawn(argument, f)
    }

    fn wait<R: Portable>(&self, handle: Self::Handle<R>) -> R {
        handle.join().expect("the task does not fail")
    }
}

impl Drop for Procspawn {
    fn drop(&mut self) {
        self.0.kill();
    }
}
