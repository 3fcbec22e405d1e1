//! Locks held longer than they look, and limits that kill.

use crate::Instance;
use crate::support::SOON;
use concurrent_futures::WorkerOutput;
use concurrent_futures::prelude::*;

pub(crate) const INSTANCES: &[Instance] =
    &[Instance::new("a_limit_on_the_size_of_files_is_named_where_no_worker_can_start", &[], file_size_limit)];

fn file_size_limit() {
    let limit = libc::rlimit { rlim_cur: 4096, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
    let pool = ProcessPoolExecutor::builder().max_workers(1).stderr(WorkerOutput::Null);
    let pool = pool.build().expect("nothing is started yet");
    let error =
        pool.submit(|n: u32| n, 1).result_timeout(SOON).expect("it hangs").expect_err("no worker can start");
    let error = error.to_string();
    assert!(error.contains("`ulimit -f`") && error.contains("4096"), "{error}");
}
