//! How the crate behaves: a file per subject, one suite stamped over every executor, and the table that says which test
//! holds which part of Python's contract (`tests/contract.csv`).
//!
//! Rules, held by `contract.rs`: every test runs under [`support::limit`], and none sleeps to let others catch up.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod as_completed;
mod bounded;
mod bounded_maps;
mod broadcast;
mod callbacks;
#[cfg(feature = "process")]
mod carrier;
mod contract;
mod drops;
mod ends;
mod errors;
#[macro_use]
mod executors;
mod future;
mod hands;
mod initializer;
mod map;
mod observer;
mod options;
mod pool;
#[cfg(feature = "process")]
mod processes;
#[cfg(feature = "process")]
mod processes_errors;
#[cfg(feature = "process")]
mod processes_exit;
#[cfg(feature = "process")]
mod processes_life;
#[cfg(feature = "process")]
mod processes_logs;
#[cfg(feature = "process")]
mod processes_observer;
#[cfg(feature = "process")]
mod processes_options;
#[cfg(feature = "process")]
mod processes_running;
#[cfg(feature = "process")]
mod processes_spares;
#[cfg(feature = "process")]
mod processes_steering;
#[cfg(feature = "process")]
mod processes_support;
#[cfg(feature = "process")]
mod processes_tasks;
mod reports;
mod resize;
mod running;
mod scope;
mod scope_maps;
mod shared;
#[cfg(feature = "process")]
mod shared_data;
mod shutdown;
#[cfg(feature = "tracing")]
mod spans;
mod stages;
mod stats;
mod steering;
mod suite;
mod support;
mod timeline;
mod unobserved;
mod wait;
mod waiting;
mod warm_up;
