//! [`Chunk`]: items that are one task.

use super::batch::Batch;
use super::pace::Pace;
use super::remaining::Cancel;
use crate::contain::{contain, drop_contained};
use crate::error::{Panicked, TaskError};
use crate::future::Future;
use crate::logging;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The results of items, in their order.
pub(super) type Results<R> = Vec<Result<R, TaskError>>;

/// What became of one chunk.
pub(crate) struct ChunkResults<R> {
    pub(crate) results: Results<R>,
    /// How long it took to run, if that was measured and nobody was told.
    pub(crate) time: Option<Duration>,
}

/// One task's worth of items.
pub(crate) struct Chunk<A, R> {
    pub(crate) future: Future<ChunkResults<R>>,
    pub(crate) len: usize,
    /// Of all its items, in a map that weighs them.
    pub(crate) weight: usize,
    /// Where items share a task that can be parted again.
    pub(crate) batch: Option<Arc<Batch<A, R>>>,
}

impl<A, R> Cancel for Chunk<A, R> {
    fn cancel(&self) {
        self.future.cancel();
        if let Some(batch) = &self.batch
            && let Err(panic) = drop_contained(batch.part())
        {
            logging::error(format_args!("a drop panicked in what a map left behind: {}", panic.message()));
        }
    }
}

/// Which items of the input a chunk has.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) weight: usize,
}

/// The results of a chunk; an error of the whole task is the error of each of its items.
pub(super) fn expand<R>(outcome: Result<ChunkResults<R>, TaskError>, len: usize) -> Results<R> {
    match outcome {
        Ok(chunk) => chunk.results,
        Err(error) => (0..len).map(|_| Err(error.clone())).collect(),
    }
}

/// Runs the items of one chunk, one after the other. A panic ends one item, not the chunk.
pub(crate) fn run_chunk<A, R>(
    items: Vec<A>,
    f: impl Fn(A) -> Result<R, TaskError>,
    pace: Option<&Pace>,
) -> ChunkResults<R> {
    let start = pace.map(|pace| (pace, Instant::now(), items.len()));
    let results = items.into_iter().map(|item| run_item(item, &f)).collect();
    if let Some((pace, start, len)) = start {
        pace.note(start.elapsed(), len);
    }
    ChunkResults { results, time: None }
}

pub(crate) fn run_item<A, R>(item: A, f: impl Fn(A) -> Result<R, TaskError>) -> Result<R, TaskError> {
    contain(|| f(item)).unwrap_or_else(|panic| Err(TaskError::Panicked(Panicked::caught(panic))))
}
