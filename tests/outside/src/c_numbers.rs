//! Numbers at their edges: every number and duration that a user can give, every counter that only grows.

pub(crate) mod processes;

use crate::Instance;
use crate::support::SOON;
use concurrent_futures::{
    BuildError, InlineExecutor, MapOptions, ReturnWhen, TaskError, TaskOptions, ThreadPoolExecutor, WhenFull,
    as_completed, promise, wait, wait_timeout,
};
use std::time::Duration;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("threads_max_workers", &[], threads_max_workers),
    Instance::new("threads_every_builder_number", &["libp2p/rust-libp2p#4555"], threads_every_builder_number),
    Instance::new("threads_stack_sizes", &[], threads_stack_sizes),
    Instance::new(
        "threads_every_duration",
        &["async-rs/async-std#979", "tokio-rs/tokio#3551", "zesterer/flume#167", "rust-lang/rust#44216"],
        threads_every_duration,
    ),
    Instance::new("threads_every_duration_in_a_worker", &[], threads_every_duration_in_a_worker),
];

/// From nothing to more than any clock can tell.
pub(crate) const DURATIONS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_secs(u32::MAX as u64),
    Duration::from_secs(i64::MAX as u64 - 1),
    Duration::from_secs(u64::MAX / 2),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

/// Two dozen tasks, some of which wait for others.
fn works(pool: &ThreadPoolExecutor) {
    let sum: u32 = pool.map(|n: u32| n + 1, 0..20).map(|n| n.expect("it ran")).sum();
    assert_eq!(sum, 210);
    let few = pool.map_with(MapOptions::new().buffersize(3), |n: u32| n, 0..20);
    assert_eq!(few.map(|n| n.expect("it ran")).sum::<u32>(), 190);
    for most in [1, usize::MAX - 1, usize::MAX] {
        for options in [MapOptions::new().chunksize(most), MapOptions::new().buffersize(most)] {
            let all = pool.map_with(options, |n: u32| n, 0..20);
            assert_eq!(all.map(|n| n.expect("it ran")).sum::<u32>(), 190);
        }
    }
    assert!(pool.stats().workers <= 64, "{:?}", pool.stats());
}

fn threads_max_workers() {
    for n in [1, 2, u32::MAX as usize, usize::MAX - 256, usize::MAX - 255, usize::MAX - 1, usize::MAX] {
        let pool = ThreadPoolExecutor::new(n);
        assert_eq!(pool.max_workers(), n);
        works(&pool);
        pool.join_timeout(SOON).expect("every worker ends");
    }
}

fn threads_every_builder_number() {
    for n in [0, 1, 2, usize::MAX] {
        for capacity in [None, Some(0), Some(1), Some(usize::MAX)] {
            for idle in DURATIONS {
                let mut builder = ThreadPoolExecutor::builder().max_workers(n).keep_alive(idle);
                if let Some(capacity) = capacity {
                    builder = builder.queue_capacity(capacity, WhenFull::Block);
                }
                match builder.build() {
                    Err(BuildError::NoWorkers) => assert_eq!(n, 0),
                    Err(BuildError::NoCapacity) => assert_eq!(capacity, Some(0)),
                    Err(error) => panic!("{error}"),
                    Ok(pool) => {
                        assert!(n > 0 && capacity != Some(0));
                        works(&pool);
                        pool.join_timeout(SOON).expect("every worker ends");
                    }
                }
            }
        }
    }
}

/// Refused by `build`, or accepted: then tasks run, or the system refuses the thread and the futures say so.
fn threads_stack_sizes() {
    for size in [0, 1, 4095, 64 << 10, 1 << 20, (1 << 20) + 1] {
        let pool = ThreadPoolExecutor::builder().max_workers(2).stack_size(size).build().expect("a size");
        assert_eq!(pool.spawn(|| 7).result().expect("it ran"), 7, "{size}");
        pool.join_timeout(SOON).expect("every worker ends");
    }
    for size in
        [1 << 46, 1 << 62, isize::MAX as usize, 1 << 63, usize::MAX - 4096, usize::MAX - 1, usize::MAX]
    {
        match ThreadPoolExecutor::builder().max_workers(2).stack_size(size).build() {
            Err(error) => assert!(error.to_string().contains("stack"), "{error}"),
            Ok(pool) => {
                for _ in 0..3 {
                    let outcome = pool.spawn(|| 7).result_timeout(SOON).expect("in time");
                    assert!(matches!(outcome, Ok(7) | Err(TaskError::Broken(_))), "{size}: {outcome:?}");
                }
                pool.join_timeout(SOON).expect("every worker ends");
            }
        }
    }
}

/// Every argument that is a duration, with every duration; what is waited for comes either at once or soon.
fn every_duration(pool: &ThreadPoolExecutor) {
    for time in DURATIONS {
        let is_long = time > SOON;
        let (send, future) = promise();
        let sender = std::thread::spawn(move || send.set_result(1));
        let future = match future.result_timeout(time) {
            Ok(result) => {
                assert_eq!(result.expect("it was sent"), 1);
                None
            }
            Err(timed_out) => Some(timed_out.future),
        };
        assert!(!is_long || future.is_none(), "{time:?} was over too early");
        if let Some(future) = future {
            assert_eq!(future.result().expect("it was sent"), 1);
        }
        sender.join().expect("no panic");

        let task = || pool.spawn(|| 1);
        assert!(task().wait_timeout(time) || !is_long);
        assert!(task().exception_timeout(time).is_ok() || !is_long);
        assert!(task().result_timeout(time).is_ok() || !is_long);
        let shared = task().shared();
        assert!(shared.wait_timeout(time) || !is_long);
        assert!(shared.exception_timeout(time).is_ok() || !is_long);
        assert!(shared.result_timeout(time).is_ok() || !is_long);
        let waited = wait_timeout([task(), task()], ReturnWhen::AllCompleted, time);
        assert!(waited.not_done.is_empty() || !is_long);
        assert!(!wait([task(), task()], ReturnWhen::FirstCompleted).done.is_empty());
        let yielded = as_completed([task(), task()]).timeout(time).filter(Result::is_ok).count();
        assert!(yielded == 2 || !is_long);
        let mut futures = as_completed([task(), task()]);
        assert!(futures.next_timeout(time).is_ok() || !is_long);
        let mapped = pool.map(|n: u32| n, 0..5).timeout(time).filter(Result::is_ok).count();
        assert!(mapped == 5 || !is_long);
        for options in [MapOptions::new(), MapOptions::new().buffersize(2), MapOptions::new().unordered()] {
            let mapped = pool.map_with(options, |n: u32| n, 0..5).timeout(time).filter(Result::is_ok).count();
            assert!(mapped == 5 || !is_long);
        }
        let limited = pool.submit_with(TaskOptions::new().timeout(time), |n: u32| n, 1).result();
        assert!(matches!(limited, Ok(1) | Err(TaskError::Rejected(_))), "{limited:?}");
        let inline = InlineExecutor::default();
        let limited = inline.submit_with(TaskOptions::new().timeout(time), |n: u32| n, 1).result();
        assert!(matches!(limited, Ok(1) | Err(TaskError::Rejected(_))), "{limited:?}");
        let other = ThreadPoolExecutor::new(1);
        other.spawn(|| ()).detach();
        assert!(other.join_timeout(time).is_ok() || !is_long);
    }
}

fn threads_every_duration() {
    every_duration(&ThreadPoolExecutor::new(2));
}

fn threads_every_duration_in_a_worker() {
    let pool = std::sync::Arc::new(ThreadPoolExecutor::new(2));
    let own = pool.clone();
    pool.spawn(move || every_duration(&own)).result().expect("no panic");
}
