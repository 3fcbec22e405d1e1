//! [`Work`]: what a task is made of before it runs.

#[cfg(feature = "process")]
use crate::error::Rejected;
use crate::error::TaskError;
#[cfg(feature = "process")]
use crate::remote::codec::{Arrived, Output};
#[cfg(feature = "process")]
use crate::remote::parcel::Route;

/// A function and its argument, a closure, or nothing.
pub(crate) trait Work<T>: Send {
    fn call(self) -> Result<T, TaskError>;

    /// Whether it could be encoded and run in another process. A constant, so that nothing of the way there is compiled
    /// for closures, of which a program has many.
    const IS_PORTABLE: bool = false;

    /// Writes the argument down for another process, and says which code it goes with.
    #[cfg(feature = "process")]
    fn encode(&self, _: &mut Output) -> Result<Route, TaskError> {
        Err(TaskError::Rejected(Rejected::NotPortable))
    }

    /// Reads what another process made of it.
    #[cfg(feature = "process")]
    fn decode(_: Arrived<'_>) -> Result<T, TaskError>
    where
        Self: Sized,
    {
        Err(TaskError::Rejected(Rejected::NotPortable))
    }
}

/// Any closure is work that can run here.
impl<T, F: FnOnce() -> Result<T, TaskError> + Send> Work<T> for F {
    fn call(self) -> Result<T, TaskError> {
        self()
    }
}

/// What a promise has in place of work.
pub(crate) enum NoWork {}

impl<T> Work<T> for NoWork {
    fn call(self) -> Result<T, TaskError> {
        match self {}
    }
}
