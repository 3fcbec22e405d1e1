//! What a task is outside its process: bytes, and how to run them.
//!
//! ```text
//! Task --encode--> Parcel ....any road.... execute(&parcel) --> reply ....any road.... Task::complete(&reply)
//! ```
//!
//! `function.rs` names code, which lies in the `executable.rs` of the build that `fingerprint.rs` names; `codec` carries values, `parcel.rs` and `outcome.rs` are the two formats. Nothing in here
//! knows who carries the bytes: the pool of processes on this machine and a cluster's transport are the same to it.

pub(crate) mod call_site;
pub(crate) mod codec;
pub(crate) mod executable;
pub(crate) mod fingerprint;
pub(crate) mod function;
pub(crate) mod outcome;
pub(crate) mod parcel;
#[cfg(windows)]
mod pe;
pub(crate) mod reply;

pub use fingerprint::{BuildId, build_id};
pub use reply::{Reply, ReturnAddress};

use crate::blob::{self, Held};
use crate::contain::contain;
use crate::error::{CodecError, Panicked, Stage, TaskError};
use codec::{Arrived, Output};
use function::{Elsewhere, Offset};
use parcel::{BadParcel, Parts, Route, read_blobs};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

/// Runs an encoded task in this process and gives back the encoded reply, for
/// [`Task::complete`](crate::Task::complete) where it came from.
///
/// The workers of a [`ProcessPoolExecutor`](crate::ProcessPoolExecutor) run their tasks by this very function; with a
/// transport of one's own it is the far end of a cluster. It never panics: a panic of the task, an argument that can't
/// be decoded, a parcel of another build or a cut one are replies like any other.
///
/// # Safety
///
/// The bytes are a [`Parcel`](crate::Parcel)'s, unaltered, made by a process of the same build: a parcel can
/// name any function of the program with any argument. What it was altered to on the way it would run. A transport that
/// others can write to must authenticate what it delivers.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Task, remote};
///
/// let (mut task, future) = Task::new(|n: u32| n + 1, 41);
/// let parcel = task.encode()?;
/// task.start();
/// // SAFETY: this process has just made the parcel.
/// let reply = unsafe { remote::execute(parcel.as_bytes()) };
/// task.complete(&reply);
/// assert_eq!(future.result()?, 42);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub unsafe fn execute(parcel: &[u8]) -> Vec<u8> {
    let mut reply = Output::default();
    // SAFETY: our caller's promise is the same.
    unsafe { execute_into(parcel, &mut reply) };
    reply.into_parts().0
}

/// [`execute`], with the reply behind what `reply` holds already.
///
/// # Safety
///
/// As [`execute`].
pub(crate) unsafe fn execute_into<'a>(parcel: impl Into<Arrived<'a>>, reply: &mut Output) {
    let parts = Parts::read(parcel);
    outcome::begin(parts.as_ref().ok().map(|parts| &parts.header), reply);
    let read = parts.and_then(|Parts { header, argument, blobs: (blobs, count) }| {
        let held: Vec<Held> = read_blobs(blobs, count, &[])?.into_iter().map(blob::hold).collect();
        Ok((header.route, argument, held))
    });
    match read {
        // SAFETY: our caller promises that the parcel is one of this build's.
        Ok((route, argument, _held)) => unsafe { execute_call(route, argument, reply) },
        Err(why) => outcome::write_bad_parcel(why, reply),
    }
}

/// Runs a call, and writes its outcome behind what `reply` holds already: for who knows otherwise whose it is and that it comes
/// from the same build.
///
/// # Safety
///
/// A process of the same build encoded the argument with this route.
pub(crate) unsafe fn execute_call(route: Route, argument: Arrived<'_>, reply: &mut Output) {
    let Route { runner, function } = route;
    let resolved = runner.resolve().and_then(|runner| Ok((runner, function.resolve()?)));
    match resolved {
        Ok((runner, function)) => {
            // SAFETY: our caller promises that the route is one of this build's, whose runner is a `Runner`.
            let runner = unsafe { std::mem::transmute::<*const (), Runner>(runner) };
            // SAFETY: it was encoded with this runner, this function and an argument of its type.
            unsafe { runner(function, argument, reply) };
        }
        Err(Elsewhere) => outcome::write_bad_parcel(BadParcel::NoCode, reply),
    }
}

/// Decodes an argument, calls a function with it, and writes the outcome.
///
/// # Safety
///
/// The function has the type that the runner was compiled for.
pub(crate) type Runner = unsafe fn(function: *const (), argument: Arrived<'_>, reply: &mut Output);

/// Which code a call is. Fails for a function that lives in a shared library.
pub(crate) fn route(runner: Runner, function: *const ()) -> Result<Route, TaskError> {
    let elsewhere = |Elsewhere| {
        TaskError::Codec(CodecError::new(
            Stage::EncodeArgument,
            "the function is not part of the main executable, so another process can't find it; \
             wrap it in a `fn` of the program",
        ))
    };
    let runner = Offset::of(runner as *const ()).map_err(elsewhere)?;
    Ok(Route { runner, function: Offset::of(function).map_err(elsewhere)? })
}

/// Encodes an argument, with whatever its `Serialize` does contained.
pub(crate) fn encode_argument<A: Serialize>(argument: &A, out: &mut Output) -> Result<(), TaskError> {
    let start = out.len();
    let reason = match contain(|| codec::encode_into(argument, out)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(reason)) => reason,
        Err(panic) => format!("`{}` panicked: {}", std::any::type_name::<A>(), panic.message()),
    };
    out.truncate(start);
    Err(TaskError::Codec(CodecError::new(Stage::EncodeArgument, reason)))
}

/// Decodes an argument in the worker; the error is the task's outcome.
pub(crate) fn decode_argument<A: DeserializeOwned>(bytes: Arrived<'_>) -> Result<A, TaskError> {
    let bad = |reason| TaskError::Codec(CodecError::new(Stage::DecodeArgument, reason));
    contain(|| codec::decode(bytes))
        .map_err(|panic| bad(format!("`{}` panicked: {}", std::any::type_name::<A>(), panic.message())))?
        .map_err(bad)
}

/// Calls what is the user's; a panic becomes the task's outcome.
pub(crate) fn call<R>(f: impl FnOnce() -> Result<R, TaskError>) -> Result<R, TaskError> {
    contain(f).unwrap_or_else(|panic| Err(TaskError::Panicked(Panicked::caught(panic))))
}
