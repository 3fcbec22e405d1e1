//! Python's `concurrent.futures` for Rust: one handle ([`Future`]), one trait ([`Executor`]), pools behind it, and
//! [`wait`](wait()) and [`as_completed`] over any mix of them.
//!
//! ```
//! use concurrent_futures::prelude::*;
//!
//! fn fetch(day: u32) -> Result<String, std::io::Error> {
//!     Ok(format!("day {day}")) // an HTTP request, say
//! }
//!
//! let pool = ThreadPoolExecutor::new(40);
//! for (day, future) in as_completed((1..=100).map(|day| (day, pool.try_submit(fetch, day)))) {
//!     match future.result() {
//!         Ok(text) => println!("{day}: {text}"),
//!         Err(error) => eprintln!("{day} failed: {error}"),
//!     }
//! }
//! ```
//!
//! # Where to look
//!
//! | you want to | see |
//! |---|---|
//! | run closures on threads | [`ThreadPoolExecutor`]: `submit`, `spawn`, `map`, `scope` |
//! | run functions in other processes | [`ProcessPoolExecutor`]: a crash costs one task, a running task can be ended |
//! | wait for one result | [`Future::result`], `result_timeout`, or `.await` |
//! | wait for many | [`wait`](wait()), [`as_completed`] |
//! | wait in async code | `.await`, [`Future::cancel_on_drop`]; `into_stream` with feature `stream` |
//! | see what a pool does | [`running`](ThreadPoolExecutor::running), [`stats`](ThreadPoolExecutor::stats), [`Timeline`], [`Observer`] |
//! | hear from a task that runs | [`report`], [`TaskOptions::on_report`] |
//! | have a task stop | [`Future::ask_to_stop`], [`TaskOptions::stop_after`]; in the task, [`current()`] |
//! | handle tasks that fail | the `try_` verbs, [`TaskError`] |
//! | send the same data with many tasks | [`Shared`], [`SharedBytes`] |
//! | write code for any executor | [`Executor`], [`ExecutorExt`] |
//! | write an executor | [`Executor::execute`], [`Task`] |
//! | resolve a future by hand | [`promise`] |
//!
//! # What you may rely on
//!
//! - No future hangs because its pool died: a promise or a task that is dropped unresolved resolves its future.
//! - A panic in a task, a callback, an initializer, a hook, a waker, the logger or a user's `Drop` is caught and ends no
//!   thread.
//! - What a task did happens-before whoever sees it done.
//! - No lock of the crate's is held while user code runs or is dropped.
//! - A task may wait for tasks of its own pool of threads, on a single worker too.
//! - When a worker process dies, one task fails. No task runs twice unless retries were requested.
//!
//! # Layout
//!
//! Arrows point one way, each module may name only what stands above it: `sync`, `clock`, `id`, `contain`, `logging`,
//! `spans`, `stack`, `blob` (bytes that cross once); `error`;
//! [`remote`] (a task as bytes); `future` (one result), `wait` (many), `executor` (what every pool promises), `thread_pool`,
//! `process_pool`, `shared_data` (what tasks share).
//!
//! # Features
//!
//! | feature | by default | |
//! |---|---|---|
//! | `process` | yes | [`ProcessPoolExecutor`], [`remote`], and encoding of tasks |
//! | `auto-init` | yes | workers start by themselves; without it call [`init`] in the first line of `main` |
//! | `backtrace` | no | [`WorkerDied::backtrace`], [`TimeLimit::backtrace`]: where a task crashed or hung, on Linux |
//! | `json` | no | `Json<T>`, for what only serde_json can carry |
//! | `stream` | no | `into_stream` of [`AsCompleted`] and [`MapWith`]: a `Stream` that blocks no thread |
//! | `tracing` | no | each task in a span of [`tracing`](https://docs.rs/tracing), whose parent is the submitter's current span |
//!
//! Without any feature, futures and pools of threads remain, and their public items are the same.
//!
//! # Systems
//!
//! Linux is tested, with glibc and musl. Windows is experimental: threads and processes have been tested under Wine, and on
//! Windows itself by nobody. For macOS the crate compiles, and has not been run. On FreeBSD, and on others,
//! [`ProcessPoolBuilder::build`] returns an error. `docs/reliability.md`, under Systems, has the table.

#![deny(unsafe_code)]
// The library's own: examples and tests may print and unwrap.
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

#[cfg(feature = "process")]
mod blob;
mod clock;
mod contain;
mod error;
mod executor;
mod future;
mod id;
mod logging;
mod observe;
#[cfg(feature = "process")]
mod process_pool;
/// Of the pool of processes, what loom sees: the words that the two sides share. The rest doesn't compile against it.
#[cfg(concurrent_futures_loom)]
mod process_pool {
    #[expect(dead_code, reason = "last words and exits are no part of the models")]
    mod shared;
    mod wire {
        #[expect(dead_code, reason = "an error's text; frames are no part of the models")]
        pub(crate) mod message;
    }

    #[path = "../../tests/loom/src/internals.rs"]
    pub mod internals;
}
#[cfg(feature = "process")]
#[expect(unsafe_code, reason = "code by its address, argued in the files")]
pub mod remote;
mod shared_data;
mod since;
mod spans;
mod stack;
#[cfg(feature = "stream")]
mod streamed;
mod sync;
mod thread_pool;
mod wait;

pub use error::{
    BoxError, Broken, BuildError, CodecError, Failed, Panicked, Rejected, Stage, TaskError, TaskFailure,
    TimeLimit, TimedOut, Unsupported, WorkerDied, WorkerLost,
};
pub use executor::{
    BusyWorker, Executor, ExecutorExt, Indexed, InlineExecutor, Map, MapOptions, MapTimeout, MapWith,
    Portable, RunningTask, Shutdown, StillBusy, Task, WhenFull,
};
#[cfg(feature = "process")]
pub use executor::{Carrier, Registration};
pub use future::{
    CancelHandle, CancelOnDrop, Completion, Current, Future, Promise, SharedFuture, SharedWait, State,
    TaskOptions, current, promise, report, set_unobserved_hook,
};
pub use id::FutureId;
pub use observe::{
    LongTask, Observer, Percentiles, PoolEvent, PoolEventKind, Span, Summary, TaskInfo, Timeline, WorkerEnd,
    WorkerInfo, WorkerSummary,
};
/// The inside, opened for one member of the workspace: none of this is in the package.
#[cfg(any(concurrent_futures_internals, concurrent_futures_loom))]
pub use process_pool::internals;
#[cfg(feature = "process")]
pub use process_pool::{
    ProcessPoolBuilder, ProcessPoolExecutor, ProcessPoolStats, WorkerDeath, WorkerOutput, WorkerState,
    WorkerStats, init, is_worker, works_for,
};
#[cfg(feature = "json")]
pub use remote::codec::Json;
#[cfg(feature = "process")]
pub use remote::parcel::Parcel;
#[cfg(feature = "process")]
pub use shared_data::SharedBlob;
pub use shared_data::{Shared, SharedBytes};
#[cfg(feature = "stream")]
pub use streamed::Streamed;
pub use thread_pool::{Scope, ThreadPoolBuilder, ThreadPoolExecutor, ThreadPoolStats, blocking};
pub use wait::{
    AsCompleted, AsCompletedTimeout, ReturnWhen, Waitable, Waited, Watch, as_completed, wait, wait_timeout,
};

/// What nearly every program uses: `use concurrent_futures::prelude::*;`
///
/// [`Future`] is not in it: a glob would put it in the place of the standard library's trait of that name. Write
/// `concurrent_futures::Future<T>`.
pub mod prelude {
    #[cfg(feature = "process")]
    pub use crate::ProcessPoolExecutor;
    pub use crate::{
        Executor, ExecutorExt as _, ReturnWhen, ThreadPoolExecutor, Waitable as _, as_completed,
    };
    // By its full path: `crate::wait` is the module too, which documentation would then show as if it were public.
    pub use crate::wait::wait;
}

/// The guide's programs, run as documentation tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/from-python.md")]
    struct FromPython;
    #[doc = include_str!("../docs/threads-or-processes.md")]
    struct ThreadsOrProcesses;
    #[doc = include_str!("../docs/seeing.md")]
    struct Seeing;
    #[doc = include_str!("../docs/when-not-to-parallelise.md")]
    struct WhenNotToParallelise;
    #[cfg(feature = "process")]
    #[doc = include_str!("../docs/processes.md")]
    struct Processes;
    #[cfg(feature = "process")]
    #[doc = include_str!("../docs/recipes.md")]
    struct Recipes;
    #[cfg(feature = "process")]
    #[doc = include_str!("../docs/progress.md")]
    struct Progress;
    #[cfg(all(feature = "process", feature = "stream"))]
    #[doc = include_str!("../docs/async.md")]
    struct Async;
}
