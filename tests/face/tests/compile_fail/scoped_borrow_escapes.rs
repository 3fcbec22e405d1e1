//! A result that borrows from inside the block can't leave it.
use concurrent_futures::prelude::*;

fn main() {
    let pool = ThreadPoolExecutor::new(1);
    let escaped = {
        let word = String::from("short-lived");
        pool.scope(|s| s.spawn(|| word.as_str()))
    };
    println!("{:?}", escaped.result());
}
