//! What happens in a pool, told to whoever wants to know: [`Observer`], [`PoolEvent`].

mod event;
mod observer;

pub use event::{PoolEvent, PoolEventKind, TaskInfo, WorkerEnd, WorkerInfo};
pub use observer::Observer;
pub(crate) use observer::{Observed, this_thread};
