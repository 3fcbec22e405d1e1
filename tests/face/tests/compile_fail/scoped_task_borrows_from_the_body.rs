//! A scoped task may borrow what outlives the call of `scope`, not what its body makes.
use concurrent_futures::prelude::*;

fn main() {
    let pool = ThreadPoolExecutor::new(1);
    pool.scope(|s| {
        let word = String::from("made inside");
        s.spawn(|| word.len()).detach();
    });
}
