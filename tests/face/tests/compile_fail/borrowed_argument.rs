//! An argument that borrows can't be sent to another process.
use concurrent_futures::prelude::*;

fn run(executor: &dyn Executor, words: &'static [String]) {
    executor.submit(|words: &'static [String]| words.len(), words).detach();
}

fn main() {
    run(&ThreadPoolExecutor::new(1), &[]);
}
