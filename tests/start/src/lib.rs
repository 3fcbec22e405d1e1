//! What must hold in every kind of program that a pool is built in: [`check`].
//!
//! It is called by a binary, an example, a test, a bench, and here by a documentation test:
//!
//! ```
//! start::check();
//! ```

// Named before the others, so that its constructor is linked behind theirs.
extern crate start_late;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, TaskError};
use std::ffi::OsString;

/// A thing that is registered before `main`.
pub struct Registered(pub u32);

inventory::collect!(Registered);
inventory::submit!(Registered(1));
inventory::submit!(Registered(20));

/// What the registry has been filled with in this process.
pub fn registered() -> u32 {
    inventory::iter::<Registered>().map(|registered| registered.0).sum()
}

/// The name of a process's main thread: what `ps` and `top` show.
pub fn comm(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Whether panics unwind in this build. A task under `panic = "abort"` takes its worker along.
const UNWINDS: bool = cfg!(panic = "unwind");

/// Runs tasks of every kind in a pool of two workers, and compares what they see with what is seen here.
///
/// # Panics
///
/// If anything is not as it should be.
pub fn check() {
    let pool = ProcessPoolExecutor::builder().max_workers(2).name_prefix("checked").build().expect("a pool");

    let worker = pool.submit(|()| std::process::id(), ()).result().expect("a worker's id");
    assert_ne!(worker, std::process::id(), "the task ran here");
    assert!(comm(worker).starts_with("checked_"), "the worker is called {:?}", comm(worker));

    let seen = pool.submit(|()| registered(), ()).result().expect("a sum");
    // Off Linux the other constructors are not run.
    assert_eq!((seen, registered()), (21, 21), "the worker's registry differs");

    // Whatever lies before the crate's own constructor the loader has run already, in a worker too. This one lies behind.
    let late = pool.submit(|()| start_late::times(), ()).result().expect("a number");
    assert_eq!((late, start_late::times()), (1, 1), "a constructor behind the crate's own was not run");
    #[cfg(all(feature = "auto-init", target_os = "linux"))]
    assert!(start_late::is_last(), "no constructor lies behind the crate's own, so none was tried");

    // It is told what glibc tells, in a worker too.
    let told = pool.submit(|()| start_late::told().cloned(), ()).result().expect("what it was told");
    let told = told.expect("the constructor has run");
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let own = start_late::told().expect("the constructor has run");
        assert_eq!((&told.0[1..], told.2), (&own.0[1..], own.2), "a constructor was told something else");
        assert!(told.0[0].to_string_lossy().starts_with("concurrent-futures-worker/"), "{told:?}");
        let has_variables = std::env::vars_os().next().is_some();
        assert!((told.1 > 0 || !has_variables) && told.2 >= 4096, "{told:?}");
    }

    let arguments = |()| std::env::args_os().collect::<Vec<OsString>>();
    let theirs = pool.submit(arguments, ()).result().expect("arguments");
    let own: Vec<OsString> = std::env::args_os().skip(1).collect();
    if cfg!(target_env = "musl") {
        assert_eq!(theirs, Vec::<OsString>::new(), "musl tells nothing before `main`");
    } else {
        assert!(theirs[0].to_string_lossy().starts_with("concurrent-futures-worker/"), "{theirs:?}");
        assert_eq!(theirs[1..], own);
    }

    let panicking: fn(u32) -> u32 = |n| panic!("number {n} is no good");
    match pool.submit(panicking, 7).result() {
        Err(TaskError::Panicked(panic)) => {
            let text = panic.to_string();
            assert!(text.contains("number 7 is no good"), "{text}");
            assert!(text.contains("lib.rs"), "where it panicked is not in: {text}");
        }
        other => panic!("a panic became {other:?}"),
    }

    let squares: Vec<u64> =
        pool.map(|n: u64| n * n, 0..100).collect::<Result<_, _>>().expect("a batch after the panic");
    assert!(squares.iter().enumerate().all(|(n, square)| *square == (n * n) as u64));
    let stats = pool.stats();
    assert_eq!(stats.deaths, u64::from(!UNWINDS), "{stats:?}");

    let workers: Vec<u32> = stats.workers.iter().filter_map(|worker| worker.pid).collect();
    drop(pool);
    for worker in workers {
        assert!(
            !std::path::Path::new(&format!("/proc/{worker}")).exists(),
            "worker {worker} was left behind"
        );
    }
}

/// What `build` says where it refuses.
pub fn refusal() -> Option<String> {
    ProcessPoolExecutor::builder().max_workers(1).build().err().map(|error| error.to_string())
}
