//! Tasks that take all the memory there is.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, TaskError};

fn score() -> i32 {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    text.trim().parse().expect("a number")
}

/// By how much a worker is more likely to be killed for memory than its parent.
pub fn scores() {
    let pool = ProcessPoolExecutor::new(1);
    let worker = pool.submit(|()| score(), ()).result().expect("a worker");
    println!("{}", worker - score());
}

/// Goes into a control group, `joined` being its file for that, and has a task take more memory than there is in it,
/// while the parent holds more than the worker did at first.
pub fn devour(joined: &str) {
    std::fs::write(joined, std::process::id().to_string()).expect("a group that can be joined");
    let held = vec![1_u8; 24 << 20];
    let pool = ProcessPoolExecutor::new(1);
    println!("before: {:?}", pool.submit(|n: u32| n + 1, 1).result().ok());
    let devour: fn(()) = |()| {
        let mut all: Vec<Vec<u8>> = Vec::new();
        loop {
            all.push(std::hint::black_box(vec![1; 1 << 20]));
        }
    };
    match pool.submit(devour, ()).result() {
        Err(TaskError::WorkerDied(died)) => {
            println!("died: {:?}, {}", died.signal(), died.cause().unwrap_or("-"))
        }
        other => println!("{other:?}"),
    }
    println!("after: {:?}", pool.submit(|n: u32| n + 1, 2).result().ok());
    println!("held: {}", std::hint::black_box(held).len() >> 20);
}
