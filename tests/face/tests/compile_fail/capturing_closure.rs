//! A closure that captures can't be sent to another process, so no `Executor` takes it.
use concurrent_futures::prelude::*;

fn run(executor: &dyn Executor) {
    let k = 3;
    executor.submit(move |x: u32| x + k, 1).detach();
}

fn main() {
    run(&ThreadPoolExecutor::new(1));
}
