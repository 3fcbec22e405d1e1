//! Where a task crashed, and where it was when its time was over, as a build of this kind tells it.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, TaskError, TaskOptions, WorkerOutput};
use std::hint::black_box;
use std::time::Duration;

#[inline(never)]
fn crashes_here(address: usize) {
    let nowhere = std::ptr::without_provenance_mut::<u8>(black_box(address));
    // SAFETY: none; it is a fault on purpose, and the address is never mapped.
    unsafe { nowhere.write_volatile(1) };
    black_box(());
}

#[inline(never)]
fn hangs_here(_: ()) {
    std::thread::sleep(Duration::from_secs(600));
    black_box(());
}

#[inline(never)]
fn overflows_here(depth: u64) -> u64 {
    let ballast = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    black_box(overflows_here(depth + 1)) + black_box(ballast)[3]
}

/// Prints `named`, or `addresses` where the program has no names.
pub fn tell() {
    let pool =
        ProcessPoolExecutor::builder().max_workers(1).stderr(WorkerOutput::Null).build().expect("a pool");
    let limited = TaskOptions::new().timeout(Duration::from_millis(100));
    let errors = [
        ("crashes_here", pool.submit(crashes_here, 8).result().map(drop)),
        ("hangs_here", pool.submit_with(limited, hangs_here, ()).result()),
        ("overflows_here", pool.submit(overflows_here, 0).result().map(drop)),
    ];
    let named = errors.map(|(function, result)| {
        let error = result.expect_err("it has no result");
        let text = match &error {
            TaskError::WorkerDied(died) => died.backtrace(),
            TaskError::TimeLimit(over) => over.backtrace(),
            _ => None,
        };
        let text = text.unwrap_or_else(|| panic!("nothing is told: {error}"));
        eprintln!("{error}\n{text}");
        let overflows = text.starts_with("the stack overflowed");
        assert_eq!(overflows, function == "overflows_here", "{text}");
        let is_named = text.contains(function);
        let is_told = text.contains("the program has no symbols") && text.contains("program+0x");
        assert!(is_named != is_told, "{text}");
        is_named
    });
    match named {
        [true, true, true] => println!("named"),
        [false, false, false] => println!("addresses"),
        mixed => println!("{mixed:?}"),
    }
}
