//! A lazy map of a scope can't leave it.
use concurrent_futures::{MapOptions, prelude::*};

fn main() {
    let pool = ThreadPoolExecutor::new(1);
    let words = vec![String::from("to"), String::from("map")];
    let mut lengths = pool.scope(|s| s.map_with(MapOptions::new(), String::len, &words));
    println!("{:?}", lengths.next());
}
