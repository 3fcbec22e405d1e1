//! What happens in a pool, told to whoever wants to know: [`Observer`], [`PoolEvent`], [`Timeline`].

mod event;
mod observer;
mod timeline;

pub(crate) use crate::future::current::this_thread;
pub use event::{PoolEvent, PoolEventKind, TaskInfo, WorkerEnd, WorkerInfo};
pub(crate) use observer::Observed;
pub use observer::Observer;
pub use timeline::{LongTask, Percentiles, Span, Summary, Timeline, WorkerSummary};
