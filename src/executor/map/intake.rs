//! [`Intake`]: how a lazy map looks at what its input gives.

use super::chunk::{ChunkResults, Rest};
use super::options::MapOptions;
use super::weigh::Weigh;
use crate::error::TaskError;
use crate::future::Future;

/// Of the items of one map.
pub(in crate::executor) struct Intake<T, R> {
    pub(super) pass: Option<Pass<T, R>>,
    pub(super) scales: Option<Scales<T>>,
}

impl<T, R> Intake<T, R> {
    /// All that the input gives is items, and nothing weighs them.
    pub(in crate::executor) fn unweighed() -> Self {
        Intake { pass: None, scales: None }
    }
}

/// Gives an item back. An error in the place of one becomes a chunk that is done: it passes through the map.
pub(super) type Pass<T, R> = fn(T) -> Result<T, Future<ChunkResults<R>>>;

/// Weighs the items of one map.
pub(super) struct Scales<T> {
    pub(super) limit: usize,
    pub(super) weigh: Box<dyn Fn(&T) -> usize + Send>,
}

impl<T: 'static, R> Intake<T, R> {
    /// All that the input gives is items.
    pub(in crate::executor) fn of_items(options: &MapOptions) -> Self {
        Intake { pass: None, scales: options.weigh.as_ref().map(Weigh::scales) }
    }
}

impl<A: 'static, R: Send + 'static> Intake<Result<A, TaskError>, R> {
    /// The input is the results of another map: a failed one is passed on, and weighs nothing.
    pub(in crate::executor) fn of_results(options: &MapOptions) -> Self {
        let scales = options.weigh.as_ref().map(Weigh::scales::<A>).map(|Scales { limit, weigh }| Scales {
            limit,
            weigh: Box::new(move |item: &Result<A, TaskError>| item.as_ref().map_or(0, &weigh)),
        });
        Intake { pass: Some(|item| item.map(Ok).map_err(passed)), scales }
    }
}

/// The result of one item, not the failure of a task: nobody hears of it who didn't see it.
fn passed<R: Send + 'static>(error: TaskError) -> Future<ChunkResults<R>> {
    Future::ready(Ok(ChunkResults { results: Rest::one(Err(error)), time: None }))
}
