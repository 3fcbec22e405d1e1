//! A result is moved out once; `shared` makes the handle that can be read again.
use concurrent_futures::prelude::*;

fn main() {
    let pool = ThreadPoolExecutor::new(1);
    let future = pool.spawn(|| 1);
    let _ = future.result();
    let _ = future.result();
}
