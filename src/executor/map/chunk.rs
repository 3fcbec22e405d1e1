//! [`Chunk`]: items that are one task.

use super::batch::Batch;
use super::pace::Pace;
use super::remaining::Cancel;
use crate::contain::{contain, drop_contained};
use crate::error::{Panicked, TaskError};
use crate::future::Future;
use crate::logging;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

/// The items of one task. A single one is no list: that would be an allocation here, and one where it is run.
pub(crate) enum Items<A> {
    One(A),
    Many(Vec<A>),
}

impl<A> Items<A> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Items::One(_) => 1,
            Items::Many(items) => items.len(),
        }
    }

    pub(super) fn into_vec(self) -> Vec<A> {
        match self {
            Items::One(item) => vec![item],
            Items::Many(items) => items,
        }
    }
}

impl<A> Items<Result<A, TaskError>> {
    /// What a stage takes: its map passes errors on, so there are none among them.
    pub(crate) fn into_ok(self) -> Items<A> {
        match self {
            Items::One(Ok(item)) => Items::One(item),
            Items::One(Err(_)) => Items::Many(Vec::new()),
            Items::Many(items) => Items::Many(items.into_iter().filter_map(Result::ok).collect()),
        }
    }
}

/// The results of items, in their order.
pub(super) type Results<R> = Vec<Result<R, TaskError>>;

/// Results that are being handed out.
pub(crate) enum Rest<R> {
    One(iter::Once<Result<R, TaskError>>),
    Many(vec::IntoIter<Result<R, TaskError>>),
}

impl<R> Rest<R> {
    pub(crate) fn one(result: Result<R, TaskError>) -> Self {
        Rest::One(iter::once(result))
    }

    pub(crate) fn many(results: Results<R>) -> Self {
        Rest::Many(results.into_iter())
    }
}

impl<R> Iterator for Rest<R> {
    type Item = Result<R, TaskError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rest::One(one) => one.next(),
            Rest::Many(many) => many.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Rest::One(one) => one.size_hint(),
            Rest::Many(many) => many.size_hint(),
        }
    }
}

impl<R> ExactSizeIterator for Rest<R> {}

/// What became of one chunk.
pub(crate) struct ChunkResults<R> {
    pub(crate) results: Rest<R>,
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

impl<A, R> Chunk<A, R> {
    /// `len` items whose task nobody parts.
    pub(crate) fn of(future: Future<ChunkResults<R>>, len: usize) -> Self {
        Chunk { future, len, weight: 0, batch: None }
    }
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
pub(super) fn expand<R>(outcome: Result<ChunkResults<R>, TaskError>, len: usize) -> Rest<R> {
    match outcome {
        Ok(chunk) => chunk.results,
        Err(error) if len == 1 => Rest::one(Err(error)),
        Err(error) => Rest::many((0..len).map(|_| Err(error.clone())).collect()),
    }
}

/// Runs the items of one chunk, one after the other. A panic ends one item, not the chunk.
pub(crate) fn run_chunk<A, R>(
    items: Items<A>,
    f: impl Fn(A) -> Result<R, TaskError>,
    pace: Option<&Pace>,
) -> ChunkResults<R> {
    let start = pace.map(|pace| (pace, Instant::now(), items.len()));
    let results = match items {
        Items::One(item) => Rest::one(run_item(item, f)),
        Items::Many(items) => Rest::many(items.into_iter().map(|item| run_item(item, &f)).collect()),
    };
    if let Some((pace, start, len)) = start {
        pace.note(start.elapsed(), len);
    }
    ChunkResults { results, time: None }
}

pub(crate) fn run_item<A, R>(item: A, f: impl Fn(A) -> Result<R, TaskError>) -> Result<R, TaskError> {
    contain(|| f(item)).unwrap_or_else(|panic| Err(TaskError::Panicked(Panicked::caught(panic))))
}
