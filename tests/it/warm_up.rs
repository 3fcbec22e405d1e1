//! Workers that are started before there is anything to do.

use crate::support::{Gate, LIMIT, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Shutdown, TaskError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn all_threads_are_up_and_initialized() {
    limit(LIMIT, || {
        let initialized = Arc::new(AtomicUsize::new(0));
        let counts = initialized.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(4)
            .initializer(move || {
                counts.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .unwrap();
        pool.warm_up().result().unwrap();
        let stats = pool.stats();
        assert_eq!((initialized.load(Ordering::SeqCst), stats.workers, stats.idle), (4, 4, 4));
        // They are there already; and where one is busy, the others are.
        pool.warm_up().result().unwrap();
        let held = hold(&pool);
        pool.warm_up().result().unwrap();
        held.release();
        assert_eq!((initialized.load(Ordering::SeqCst), pool.stats().workers), (4, 4));
        let sum: u32 = pool.map(|n| n, 1..=100).map(Result::unwrap).sum();
        assert_eq!(sum, 5050);
    });
}

/// They end as fast as they come.
#[test]
fn no_more_are_started_than_may_be() {
    limit(LIMIT, || {
        let starts = Arc::new(AtomicUsize::new(0));
        let counts = starts.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(64)
            .keep_alive(Duration::ZERO)
            .initializer(move || _ = counts.fetch_add(1, Ordering::SeqCst))
            .build()
            .unwrap();
        for n in 1..=5 {
            pool.warm_up().result().unwrap();
            assert!(starts.load(Ordering::SeqCst) <= 64 * n);
        }
    });
}

#[test]
fn it_waits_for_those_that_are_on_their_way() {
    limit(LIMIT, || {
        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, waits) = (begun.clone(), gate.clone());
        let pool = ThreadPoolExecutor::builder()
            .max_workers(2)
            .initializer(move || {
                begins.open();
                waits.wait();
            })
            .build()
            .unwrap();
        let task = pool.spawn(|| 1);
        begun.wait();
        let (warm, again) = (pool.warm_up(), pool.warm_up());
        assert!(!warm.is_done() && !again.is_done());
        gate.open();
        warm.result().unwrap();
        again.result().unwrap();
        assert_eq!((task.result().unwrap(), pool.stats().workers), (1, 2));
    });
}

#[test]
fn its_error_is_the_initializers() {
    limit(LIMIT, || {
        let builder = ThreadPoolExecutor::builder().max_workers(3).initializer(|| panic!("no model"));
        let error = builder.build().unwrap().warm_up().result().unwrap_err();
        assert!(matches!(error, TaskError::Broken(_)) && error.to_string().contains("no model"), "{error}");
        let pool = ThreadPoolExecutor::new(1);
        pool.shutdown(Shutdown::Drain);
        assert!(matches!(pool.warm_up().result(), Err(TaskError::Rejected(_))));
        assert_eq!(pool.stats().workers, 0);
    });
}

/// What hangs on the future runs without a lock, and may use the pool.
#[test]
fn a_callback_may_submit() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (inner, gate) = (pool.clone(), Gate::new());
        let opens = gate.clone();
        pool.warm_up().on_done(move |warm| {
            warm.unwrap();
            inner.spawn(move || opens.open()).detach();
        });
        gate.wait();
    });
}

#[cfg(feature = "process")]
mod processes {
    use super::*;
    use concurrent_futures::ProcessPoolExecutor;
    use std::path::PathBuf;

    fn note(folder: PathBuf) {
        std::fs::write(folder.join(std::process::id().to_string()), "").unwrap();
    }

    #[test]
    fn all_are_up_and_initialized() {
        limit(LIMIT, || {
            let folder = tempfile::tempdir().unwrap();
            let builder = ProcessPoolExecutor::builder().max_workers(3);
            let pool = builder.initializer(note, folder.path().to_owned()).build().unwrap();
            pool.warm_up().result().unwrap();
            let stats = pool.stats();
            let pids: Vec<u32> = stats.workers.iter().filter_map(|worker| worker.pid).collect();
            assert!(pids.len() == 3 && pids.iter().all(|pid| folder.path().join(pid.to_string()).exists()));
            pool.warm_up().result().unwrap();
            let sum: u32 = pool.map(|n: u32| n, 1..=100).map(Result::unwrap).sum();
            assert_eq!(
                (sum, pool.stats().workers.iter().map(|worker| worker.starts).sum::<u64>()),
                (5050, 3)
            );
            pool.join();
            assert!(matches!(pool.warm_up().result(), Err(TaskError::Rejected(_))));
        });
    }

    fn fail(why: String) -> Result<(), std::io::Error> {
        Err(std::io::Error::other(why))
    }

    #[test]
    fn its_error_is_the_initializers() {
        limit(LIMIT, || {
            let builder = ProcessPoolExecutor::builder().max_workers(2);
            let pool = builder.try_initializer(fail, "no model".into()).build().unwrap();
            let error = pool.warm_up().result().unwrap_err();
            assert!(
                matches!(error, TaskError::Broken(_)) && error.to_string().contains("no model"),
                "{error}"
            );
        });
    }

    /// No thread waits for ever because workers never come up.
    #[test]
    fn workers_that_cannot_start_are_an_error() {
        limit(LIMIT, || {
            let directory = tempfile::tempdir().unwrap();
            let gone = directory.path().join("gone");
            std::fs::create_dir(&gone).unwrap();
            let pool = ProcessPoolExecutor::builder().max_workers(2).current_dir(&gone).build().unwrap();
            std::fs::remove_dir(&gone).unwrap();
            let error = pool.warm_up().result().unwrap_err();
            assert!(matches!(error, TaskError::Broken(_)), "{error}");
        });
    }

    fn never((): ()) {
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn a_shutdown_ends_it() {
        limit(LIMIT, || {
            let builder = ProcessPoolExecutor::builder().max_workers(2);
            let pool = builder.initializer(never, ()).build().unwrap();
            let warm = pool.warm_up();
            assert!(!warm.is_done());
            pool.shutdown(Shutdown::Drain);
            assert!(matches!(warm.result(), Err(TaskError::Rejected(_))));
        });
    }
}
