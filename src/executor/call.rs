//! The calls that can be encoded: a `fn` and its argument, or the items of a map's chunk.

#[cfg(feature = "process")]
use super::map::Rest;
use super::map::{ChunkResults, Items, Pace, run_chunk};
#[cfg(feature = "process")]
use super::runner;
use super::task::Portable;
#[cfg(feature = "process")]
use crate::blob;
#[cfg(feature = "process")]
use crate::contain::drop_contained;
use crate::error::{TaskError, TaskFailure};
use crate::future::work::Work;
#[cfg(feature = "process")]
use crate::id::FutureId;
#[cfg(feature = "process")]
use crate::logging;
#[cfg(feature = "process")]
use crate::remote::codec::{Arrived, Output};
#[cfg(feature = "process")]
use crate::remote::parcel::{Header, Parcel, Route};
#[cfg(feature = "process")]
use crate::remote::{self, outcome};
use std::sync::Arc;

/// Encodes a call that is no task: nobody has a future of it.
#[cfg(feature = "process")]
pub(crate) fn encode_call<A: Portable>(f: fn(A), arg: A) -> Result<Parcel, TaskError> {
    encode_work::<()>(Call { f, arg })
}

/// The same for one that may fail.
#[cfg(feature = "process")]
pub(crate) fn encode_try_call<A: Portable, E: TaskFailure>(
    f: fn(A) -> Result<(), E>,
    arg: A,
) -> Result<Parcel, TaskError> {
    encode_work::<()>(TryCall { f, arg })
}

/// Its argument is needed no longer then, and its drop is contained, as that of a task's argument is.
#[cfg(feature = "process")]
fn encode_work<T>(work: impl Work<T>) -> Result<Parcel, TaskError> {
    let mut argument = Output::default();
    let (route, blobs) = blob::collect(|| work.encode(&mut argument));
    if let Err(panic) = drop_contained(work) {
        logging::error(format_args!("the drop of an argument panicked: {}", panic.message()));
    }
    Ok(Parcel::new(&Header::new(FutureId::new(), 1, route?), &argument, blobs.into_vec()))
}

/// A function and its argument: what can be encoded.
pub(super) struct Call<A, R> {
    pub(super) f: fn(A) -> R,
    pub(super) arg: A,
}

impl<A: Portable, R: Portable> Work<R> for Call<A, R> {
    const IS_PORTABLE: bool = true;

    fn call(self) -> Result<R, TaskError> {
        Ok((self.f)(self.arg))
    }

    #[cfg(feature = "process")]
    fn encode(&self, out: &mut Output) -> Result<Route, TaskError> {
        remote::encode_argument(&self.arg, out)?;
        remote::route(runner::call::<A, R>, self.f as *const ())
    }

    #[cfg(feature = "process")]
    fn decode(outcome: Arrived<'_>) -> Result<R, TaskError> {
        outcome::read(outcome)
    }
}

/// The same for a function that may fail.
pub(super) struct TryCall<A, T, E> {
    pub(super) f: fn(A) -> Result<T, E>,
    pub(super) arg: A,
}

impl<A: Portable, T: Portable, E: TaskFailure> Work<T> for TryCall<A, T, E> {
    const IS_PORTABLE: bool = true;

    fn call(self) -> Result<T, TaskError> {
        failing((self.f)(self.arg))
    }

    #[cfg(feature = "process")]
    fn encode(&self, out: &mut Output) -> Result<Route, TaskError> {
        remote::encode_argument(&self.arg, out)?;
        remote::route(runner::try_call::<A, T, E>, self.f as *const ())
    }

    #[cfg(feature = "process")]
    fn decode(outcome: Arrived<'_>) -> Result<T, TaskError> {
        outcome::read(outcome)
    }
}

#[cfg(feature = "process")]
fn encode_items<A: Portable>(
    items: &Items<A>,
    pace: Option<&Pace>,
    out: &mut Output,
) -> Result<(), TaskError> {
    let before = out.size();
    match items {
        Items::One(item) => remote::encode_argument(item, out)?,
        Items::Many(items) => remote::encode_argument(items, out)?,
    }
    if let Some(pace) = pace {
        pace.note_bytes(out.size() - before, items.len());
    }
    Ok(())
}

#[cfg(feature = "process")]
fn read_chunk<R: Portable>(outcome: Arrived<'_>) -> Result<ChunkResults<R>, TaskError> {
    let (results, time) = match outcome::read_item(outcome)? {
        Some((result, time)) => (Rest::one(result), time),
        None => outcome::read_all(outcome).map(|(results, time)| (Rest::many(results), time))?,
    };
    Ok(ChunkResults { results, time: Some(time) })
}

/// A chunk of a map over a `fn`.
pub(super) struct MapCall<A, R> {
    pub(super) f: fn(A) -> R,
    pub(super) items: Items<A>,
    /// Where it is of use how long items take, and how large they are.
    pub(super) pace: Option<Arc<Pace>>,
}

impl<A: Portable, R: Portable> Work<ChunkResults<R>> for MapCall<A, R> {
    const IS_PORTABLE: bool = true;

    fn call(self) -> Result<ChunkResults<R>, TaskError> {
        let f = self.f;
        Ok(run_chunk(self.items, |item| Ok(f(item)), self.pace.as_deref()))
    }

    #[cfg(feature = "process")]
    fn encode(&self, out: &mut Output) -> Result<Route, TaskError> {
        encode_items(&self.items, self.pace.as_deref(), out)?;
        let runner = match self.items {
            Items::One(_) => runner::item_call::<A, R>,
            Items::Many(_) => runner::map_call::<A, R>,
        };
        remote::route(runner, self.f as *const ())
    }

    #[cfg(feature = "process")]
    fn decode(outcome: Arrived<'_>) -> Result<ChunkResults<R>, TaskError> {
        read_chunk(outcome)
    }
}

/// The same for a function that may fail.
pub(super) struct TryMapCall<A, T, E> {
    pub(super) f: fn(A) -> Result<T, E>,
    pub(super) items: Items<A>,
    /// Where it is of use how long items take, and how large they are.
    pub(super) pace: Option<Arc<Pace>>,
}

impl<A: Portable, T: Portable, E: TaskFailure> Work<ChunkResults<T>> for TryMapCall<A, T, E> {
    const IS_PORTABLE: bool = true;

    fn call(self) -> Result<ChunkResults<T>, TaskError> {
        let f = self.f;
        Ok(run_chunk(self.items, |item| failing(f(item)), self.pace.as_deref()))
    }

    #[cfg(feature = "process")]
    fn encode(&self, out: &mut Output) -> Result<Route, TaskError> {
        encode_items(&self.items, self.pace.as_deref(), out)?;
        let runner = match self.items {
            Items::One(_) => runner::try_item_call::<A, T, E>,
            Items::Many(_) => runner::try_map_call::<A, T, E>,
        };
        remote::route(runner, self.f as *const ())
    }

    #[cfg(feature = "process")]
    fn decode(outcome: Arrived<'_>) -> Result<ChunkResults<T>, TaskError> {
        read_chunk(outcome)
    }
}

/// A task's own error, as its future gives it.
pub(crate) fn failing<T, E: TaskFailure>(outcome: Result<T, E>) -> Result<T, TaskError> {
    outcome.map_err(|error| TaskError::Failed(crate::error::Failed::new(error)))
}
