//! [`Indexed`]: a lazy map's results, each with its place in the input.

use super::lazy::MapWith;
use super::{Deadline, MapTimeout};
use crate::error::{TaskError, TimedOut};
use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// Results with their places in the input, by [`MapWith::indexed`]: `(usize, Result<R, TaskError>)`.
#[must_use = "dropping a map cancels what has not begun"]
pub struct Indexed<M>(pub(super) M);

impl<I: Iterator, R: Send> Indexed<MapWith<'_, I, R>> {
    /// As [`Map::timeout`](crate::Map::timeout).
    pub fn timeout(self, timeout: Duration) -> MapTimeout<Self> {
        MapTimeout::new(self, timeout)
    }
}

impl<I: Iterator, R: Send> Iterator for Indexed<MapWith<'_, I, R>> {
    type Item = (usize, Result<R, TaskError>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let result = self.0.next()?;
        Some((self.0.last_place(), result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<I: ExactSizeIterator, R: Send> ExactSizeIterator for Indexed<MapWith<'_, I, R>> {}
impl<I: Iterator, R: Send> FusedIterator for Indexed<MapWith<'_, I, R>> {}

impl<M: fmt::Debug> fmt::Debug for Indexed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Indexed").field(&self.0).finish()
    }
}

impl<I: Iterator, R: Send> Deadline for Indexed<MapWith<'_, I, R>> {
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, TimedOut<()>> {
        let next = self.0.next_until(deadline)?;
        Ok(next.map(|result| (self.0.last_place(), result)))
    }

    fn give_up(&mut self) {
        self.0.give_up();
    }
}
