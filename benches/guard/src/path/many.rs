//! Many futures at once, on one thread.

use std::cell::RefCell;

use concurrent_futures::{Future, InlineExecutor, MapOptions, Promise, ReturnWhen, Waitable, Watch};

use crate::collect::counted;

fn promises(times: u32) -> (Vec<Promise<u32>>, Vec<Future<u32>>) {
    (0..times).map(|_| concurrent_futures::promise()).unzip()
}

/// One item of a map in chunks: gathered, run, and its result yielded.
pub(super) fn map(times: u32) {
    const CHUNK: usize = 64;
    let items: Vec<u32> = (0..times).collect();
    let pool = InlineExecutor::new();
    let options = MapOptions::new().chunksize(CHUNK).buffersize(4 * CHUNK);
    let sum: u64 = counted(|| {
        let doubled = pool.map_with(options, |n| u64::from(n) * 2, items);
        doubled.map(|result| result.expect("it can't fail")).sum()
    });
    assert_eq!(sum, u64::from(times) * u64::from(times - 1));
}

/// One future: registered, completed, yielded.
pub(super) fn as_completed(times: u32) {
    let (promises, futures) = promises(times);
    let count = counted(|| {
        let completed = concurrent_futures::as_completed(futures);
        promises.into_iter().for_each(|promise| assert!(promise.set_result(1)));
        completed.count()
    });
    assert_eq!(count, times as usize);
}

/// One future of many: registered, completed, found done.
pub(super) fn wait(times: u32) {
    let (promises, futures) = promises(times);
    let last = Last { future: Future::ready(Ok(1)), promises: RefCell::new(promises) };
    let items = futures.iter().map(|future| future as &dyn Waitable).chain([&last as &dyn Waitable]);
    let waited = counted(|| concurrent_futures::wait(items, ReturnWhen::AllCompleted));
    assert_eq!(waited.done.len(), times as usize + 1);
}

/// The last of many to be waited for. A wait asks for it when it has registered with all others: that is when their
/// promises are kept, so that no second thread is needed and nobody sleeps.
struct Last {
    future: Future<u32>,
    promises: RefCell<Vec<Promise<u32>>>,
}

impl Waitable for Last {
    fn watch(&self) -> Watch<'_> {
        self.promises.take().into_iter().for_each(|promise| assert!(promise.set_result(1)));
        self.future.watch()
    }
}
