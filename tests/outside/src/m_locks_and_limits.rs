//! Locks held longer than they look, and limits that kill.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::prelude::*;
use concurrent_futures::{Task, TaskError, WorkerOutput};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::sync::Arc;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "to_encode_a_task_that_is_over_is_an_error",
        &["rust-lang/rust#37612", "rust-lang/rust#98052"],
        encode_of_a_task_that_is_over,
    ),
    Instance::new("an_argument_that_cancels_its_own_task_is_encoded", &[], cancelled_while_encoded),
    Instance::new("a_task_cancelled_while_a_pool_encodes_it_is_cancelled", &[], cancelled_while_accepted),
    Instance::new("a_future_may_be_asked_anything_while_its_task_is_encoded", &[], asked_while_encoded),
    Instance::new("a_limit_on_the_size_of_files_is_named_where_no_worker_can_start", &[], file_size_limit),
];

fn next(n: u32) -> u32 {
    n + 1
}

fn encode_of_a_task_that_is_over() {
    let (mut task, future) = Task::new(next, 1);
    assert!(future.cancel());
    assert!(matches!(task.encode(), Err(TaskError::Abandoned)));
    assert!(matches!(task.encode(), Err(TaskError::Abandoned)));
    assert!(task.is_cancelled() && !task.start());
    assert!(matches!(future.result(), Err(TaskError::Cancelled)));
    assert!(!task.complete(&[]));
    // Encoded before as well, and with nobody left who wants its result.
    let (mut task, future) = Task::new(next, 1);
    assert!(task.encode().is_ok() && future.cancel());
    assert!(matches!(task.encode(), Err(TaskError::Abandoned)));
    drop(future);
    assert!(matches!(task.encode(), Err(TaskError::Abandoned)));
    let (mut task, _future) = Task::local(|| 1);
    assert!(task.encode().is_err() && task.encode().is_err());
    task.run();
}

thread_local! {
    /// What an argument does while it is written down.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

#[derive(Deserialize)]
struct Acts;

impl Serialize for Acts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(act) = MEANWHILE.take() {
            act();
        }
        serializer.serialize_unit_struct("Acts")
    }
}

fn act(_: Acts) -> u32 {
    1
}

fn cancelled_while_encoded() {
    let (mut task, future) = Task::new(act, Acts);
    let future = future.shared();
    let cancels = future.clone();
    MEANWHILE.set(Some(Box::new(move || assert!(cancels.cancel()))));
    assert!(task.encode().is_ok(), "it was written down nevertheless");
    assert!(matches!(task.encode(), Err(TaskError::Abandoned)));
    assert!(matches!(future.result(), Err(TaskError::Cancelled)));
}

fn cancelled_while_accepted() {
    let pool = ProcessPoolExecutor::new(1);
    let (task, future) = Task::new(act, Acts);
    let future = future.shared();
    let cancels = future.clone();
    MEANWHILE.set(Some(Box::new(move || assert!(cancels.cancel()))));
    pool.execute(task);
    assert!(matches!(future.result_timeout(SOON).expect("it ends"), Err(TaskError::Cancelled)));
    assert_eq!(pool.submit(act, Acts).result().unwrap(), 1);
}

fn asked_while_encoded() {
    let (mut task, future) = Task::new(act, Acts);
    let future = Arc::new(future.shared());
    let (asked, gate) = (future.clone(), Gate::new());
    let opens = gate.clone();
    MEANWHILE.set(Some(Box::new(move || {
        // From another thread as well: no lock is held while the argument is written down.
        let other = asked.clone();
        std::thread::spawn(move || {
            let _ = (format!("{other:?}"), other.state(), other.is_done());
            other.add_done_callback(|_| ());
            opens.open();
        });
        let _ = (format!("{asked:?}"), asked.state(), asked.is_done());
        assert!(soon(|| gate.is_open()));
    })));
    assert!(task.encode().is_ok());
    task.run();
    assert_eq!(*future.result().unwrap(), 1);
}

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
