//! threadpool: jobs through a channel of std under a mutex; results by `oneshot`.

use super::Pool;

pub(crate) struct Threadpool(threadpool::ThreadPool);

impl Pool for Threadpool {
    type Handle = oneshot::Receiver<u64>;

    fn new(workers: usize) -> Self {
        Self(threadpool::ThreadPool::new(workers))
    }

    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        self.0.execute(move || drop(sender.send(f())));
        receiver
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.recv().expect("the task sends its result")
    }
}
