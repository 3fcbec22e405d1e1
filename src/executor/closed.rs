//! How the end of a pool is awaited.

use crate::future::{Future, promise};
use crate::sync::thread;

/// A future that is done when `join` has returned. A thread of its own waits: the one that waits for the end of a pool has something to
/// do meanwhile, as to start workers for which there was no thread before.
pub(crate) fn closed(join: impl FnOnce() + Send + 'static) -> Future<()> {
    let (promise, future) = promise();
    let wait = move || {
        join();
        promise.set_result(());
    };
    // If there is no thread, the promise goes with the closure, and the future says that it was abandoned.
    let _ = thread::Builder::new().name("pool_closes".into()).spawn(wait);
    future
}
