//! [`Streamed`]: an iterator of this crate as a `Stream`.

/// An iterator of this crate as a [`Stream`](futures_core::Stream): made by [`AsCompleted::into_stream`](crate::AsCompleted::into_stream) and
/// [`MapWith::into_stream`](crate::MapWith::into_stream). With feature `stream`.
///
/// A type of its own, and not a second trait of the iterators: where both are in scope, `next` and `map` would have two meanings.
#[derive(Debug)]
#[must_use = "streams do nothing unless they are polled"]
pub struct Streamed<I>(I);

impl<I> Streamed<I> {
    pub(crate) fn new(iterator: I) -> Self {
        Streamed(iterator)
    }

    /// The iterator itself.
    pub fn get_ref(&self) -> &I {
        &self.0
    }

    /// The iterator itself, to be fed more ([`AsCompleted::add`](crate::AsCompleted::add)), or asked in a way that blocks.
    pub fn get_mut(&mut self) -> &mut I {
        &mut self.0
    }

    /// Gives the iterator back.
    pub fn into_inner(self) -> I {
        self.0
    }
}
