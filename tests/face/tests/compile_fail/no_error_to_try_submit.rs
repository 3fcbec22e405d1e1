//! What fails must be an error.
use concurrent_futures::prelude::*;

struct Code(u32);

fn main() {
    let pool = ThreadPoolExecutor::new(1);
    pool.try_spawn(|| Err::<(), Code>(Code(1))).detach();
}
