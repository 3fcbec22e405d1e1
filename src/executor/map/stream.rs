//! [`MapWith`] as a [`Stream`]: the next result, awaited.

use super::MapWith;
use crate::error::TaskError;
use crate::streamed::Streamed;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

impl<I: Iterator, R: Send> MapWith<'_, I, R> {
    /// The same as a `Stream`: yields what the iterator would, without waiting on the thread that polls. With feature `stream`.
    ///
    /// Input is taken on the thread that polls, so it should be at hand: an input that waits for something blocks the runtime. From the
    /// first poll on each item of a map on threads is a task of its own, because no thread waits here that could notice an item that takes
    /// long, and part it from the others. Where calls are short, set [`chunksize`](crate::MapOptions::chunksize).
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{MapOptions, prelude::*};
    /// use futures::TryStreamExt;
    ///
    /// # futures::executor::block_on(async {
    /// let pool = ThreadPoolExecutor::new(2);
    /// let squares = pool.map_with(MapOptions::new(), |n: u64| n * n, 1..=100).into_stream();
    /// let sum = squares.try_fold(0, async |sum, square| Ok(sum + square)).await?;
    /// assert_eq!(sum, 338_350);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// # }).unwrap();
    /// ```
    pub fn into_stream(self) -> Streamed<Self> {
        Streamed::new(self)
    }
}

impl<I: Iterator, R: Send> Stream for Streamed<MapWith<'_, I, R>>
where
    Self: Unpin,
{
    type Item = Result<R, TaskError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().get_mut().poll_result(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.get_ref().size_hint()
    }
}
