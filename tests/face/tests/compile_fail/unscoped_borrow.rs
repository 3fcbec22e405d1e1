//! A task without a scope can't borrow.
use concurrent_futures::prelude::*;

fn main() {
    let pool = ThreadPoolExecutor::new(1);
    let word = String::from("on the stack");
    pool.spawn(|| word.len()).detach();
}
