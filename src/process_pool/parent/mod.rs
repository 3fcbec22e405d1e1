//! The parent's side: tasks in, workers driven, futures resolved.

#[expect(unsafe_code, reason = "parts of a mapping, argued in the file")]
pub(crate) mod arena;
mod broadcast;
mod death;
pub(crate) mod dispatch;
mod driver;
mod home;
pub(crate) mod lane;
pub(crate) mod launch;
mod limits;
mod notes;
mod observed;
pub(crate) mod outbound;
pub(crate) mod pool;
mod resize;
mod resolve;
pub(crate) mod results;
pub(crate) mod shared_clock;
mod spare;
mod stack_trace;
mod start;
pub(crate) mod task;
