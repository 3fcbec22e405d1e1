//! rayon has no handle of its own for a spawned task: the `oneshot` crate is what people put beside it.

use super::Pool;

pub(crate) struct Rayon(rayon::ThreadPool);

impl Pool for Rayon {
    type Handle = oneshot::Receiver<u64>;

    fn new(workers: usize) -> Self {
        Self(rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("rayon starts its threads"))
    }

    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        // A receiver that is gone is no error: the memory group drops some on purpose.
        self.0.spawn(move || drop(sender.send(f())));
        receiver
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.recv().expect("the task sends its result")
    }
}
