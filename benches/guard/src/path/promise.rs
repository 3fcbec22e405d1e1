//! One future without any pool.

use std::hint::black_box;

use crate::collect::counted;

/// A promise is made, kept, and its result taken.
pub(super) fn promise(times: u32) {
    counted(|| {
        for n in 0..times {
            let (promise, future) = concurrent_futures::promise();
            promise.set_result(black_box(n));
            assert!(future.result().is_ok());
        }
    });
}
