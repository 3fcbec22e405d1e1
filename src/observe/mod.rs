//! What happens in a pool, told to whoever wants to know: [`Observer`], [`PoolEvent`], [`Timeline`].

mod event;
mod observer;
mod timeline;

pub use event::{PoolEvent, PoolEventKind, TaskInfo, WorkerEnd, WorkerInfo};
pub use observer::Observer;
pub(crate) use observer::{Observed, this_thread};
pub use timeline::{LongTask, Percentiles, Span, Summary, Timeline, WorkerSummary};
