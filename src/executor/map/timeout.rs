//! [`MapTimeout`]: a map with a time limit.

use super::Deadline;
use crate::clock::deadline_after;
use crate::error::TimedOut;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// A map with a time limit: one `Err` at the deadline, then the end. See [`Map::timeout`](crate::Map::timeout).
#[derive(Debug)]
#[must_use = "dropping a map cancels what has not begun"]
pub struct MapTimeout<M> {
    inner: M,
    deadline: Option<Instant>,
    over: bool,
}

impl<M> MapTimeout<M> {
    pub(super) fn new(inner: M, timeout: Duration) -> Self {
        MapTimeout { inner, deadline: deadline_after(timeout), over: false }
    }
}

impl<M: Deadline> Iterator for MapTimeout<M> {
    type Item = Result<M::Item, TimedOut<()>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        match self.inner.next_until(self.deadline) {
            Ok(next) => next.map(Ok),
            Err(timed_out) => {
                self.over = true;
                self.inner.give_up();
                Some(Err(timed_out))
            }
        }
    }
}

impl<M: Deadline> FusedIterator for MapTimeout<M> {}
