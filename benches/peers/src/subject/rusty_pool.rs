//! rusty_pool: a crossbeam channel and a handle of its own. Core and largest size are the same here, so that it has as
//! many workers as the others.

use super::Pool;

pub(crate) struct RustyPool(Option<rusty_pool::ThreadPool>);

impl Pool for RustyPool {
    type Handle = rusty_pool::JoinHandle<u64>;

    fn new(workers: usize) -> Self {
        Self(Some(rusty_pool::Builder::new().core_size(workers).max_size(workers).build()))
    }

    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle {
        self.0.as_ref().expect("gone only in drop").evaluate(f)
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.await_complete()
    }
}

impl Drop for RustyPool {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.shutdown_join();
        }
    }
}
