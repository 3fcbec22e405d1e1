//! The parent's side: tasks in, workers driven, futures resolved.

mod death;
pub(crate) mod dispatch;
mod driver;
mod home;
pub(crate) mod lane;
pub(crate) mod launch;
mod limits;
pub(crate) mod outbound;
pub(crate) mod pool;
mod resolve;
pub(crate) mod task;
