//! Workers that die, lie, stop and eat: what it costs, and that it costs nothing else.
//!
//! `matrix.rs` has the stages of a worker's life against the faults, every cell a test or a reason; `kills.rs` counts
//! what random kills leave; the others hold one promise of the pool each. All of them count descriptors, children and
//! shared segments of this process, so one runs at a time ([`house::alone`]); those that change the process itself (its
//! signals, its limits) run in one of their own ([`house::in_own_process`]).
//!
//! `CRASH_SCALE` multiplies how much the long ones do; `ci/long/faults.sh` sets it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

#[path = "crash/backtraces.rs"]
mod backtraces;
#[path = "crash/ends.rs"]
mod ends;
#[path = "crash/faults.rs"]
mod faults;
#[path = "crash/house.rs"]
mod house;
#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/limits.rs"]
mod limits;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/matrix.rs"]
mod matrix;
#[path = "crash/places.rs"]
mod places;
#[path = "crash/shared_data.rs"]
mod shared_data;
#[path = "crash/stages.rs"]
mod stages;
#[path = "it/support.rs"]
#[expect(dead_code, reason = "some of it is for threads")]
mod support;
#[path = "crash/world.rs"]
mod world;
