//! What a worker process runs: for each kind of call the code that knows its types.
//!
//! They are never called by name: their addresses travel in parcels.

use super::call::failing;
use super::task::Portable;
use crate::error::{TaskError, TaskFailure};
use crate::remote::call_site::CallSite;
use crate::remote::codec::{Arrived, Output};
use crate::remote::{self, decode_argument, outcome};
use std::time::Instant;

/// Calls the user's function, from a place that who walks the stack knows. No function, so that nothing is between the two.
macro_rules! user {
    ($call:expr) => {{
        let site = CallSite::default();
        let _called = site.mark();
        $call
    }};
}

/// Runs a `fn(A) -> R`.
///
/// # Safety
///
/// `function` is a `fn(A) -> R`.
pub(super) unsafe fn call<A: Portable, R: Portable>(
    function: *const (),
    argument: Arrived<'_>,
    reply: &mut Output,
) {
    // SAFETY: our caller says so.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(function) };
    outcome::write(decode_argument(argument).and_then(|arg| remote::call(|| Ok(user!(f(arg))))), reply);
}

/// Runs a `fn(A) -> Result<T, E>`.
///
/// # Safety
///
/// `function` is a `fn(A) -> Result<T, E>`.
pub(super) unsafe fn try_call<A, T, E>(function: *const (), argument: Arrived<'_>, reply: &mut Output)
where
    A: Portable,
    T: Portable,
    E: TaskFailure,
{
    // SAFETY: our caller says so.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> Result<T, E>>(function) };
    outcome::write(decode_argument(argument).and_then(|arg| remote::call(|| failing(user!(f(arg))))), reply);
}

/// Runs a `fn(A) -> R` on the only item of a chunk.
///
/// # Safety
///
/// `function` is a `fn(A) -> R`.
pub(super) unsafe fn item_call<A: Portable, R: Portable>(
    function: *const (),
    argument: Arrived<'_>,
    reply: &mut Output,
) {
    // SAFETY: our caller says so.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(function) };
    only(argument, |item| Ok(user!(f(item))), reply);
}

/// Runs a `fn(A) -> Result<T, E>` on the only item of a chunk.
///
/// # Safety
///
/// `function` is a `fn(A) -> Result<T, E>`.
pub(super) unsafe fn try_item_call<A, T, E>(function: *const (), argument: Arrived<'_>, reply: &mut Output)
where
    A: Portable,
    T: Portable,
    E: TaskFailure,
{
    // SAFETY: our caller says so.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> Result<T, E>>(function) };
    only(argument, |item| failing(user!(f(item))), reply);
}

/// Runs a `fn(A) -> R` on each item of a chunk.
///
/// # Safety
///
/// `function` is a `fn(A) -> R`.
pub(super) unsafe fn map_call<A: Portable, R: Portable>(
    function: *const (),
    argument: Arrived<'_>,
    reply: &mut Output,
) {
    // SAFETY: our caller says so.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(function) };
    each(argument, |item| Ok(user!(f(item))), reply);
}

/// Runs a `fn(A) -> Result<T, E>` on each item of a chunk.
///
/// # Safety
///
/// `function` is a `fn(A) -> Result<T, E>`.
pub(super) unsafe fn try_map_call<A, T, E>(function: *const (), argument: Arrived<'_>, reply: &mut Output)
where
    A: Portable,
    T: Portable,
    E: TaskFailure,
{
    // SAFETY: our caller says so.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> Result<T, E>>(function) };
    each(argument, |item| failing(user!(f(item))), reply);
}

fn only<A: Portable, R: Portable>(
    argument: Arrived<'_>,
    f: impl FnOnce(A) -> Result<R, TaskError>,
    reply: &mut Output,
) {
    let start = Instant::now();
    match decode_argument(argument) {
        Ok(item) => outcome::write_item(remote::call(|| f(item)), || start.elapsed(), reply),
        Err(error) => outcome::write::<()>(Err(error), reply),
    }
}

/// Each result is written as soon as it is there and then dropped: a chunk's results are in memory once.
fn each<A: Portable, R: Portable>(
    argument: Arrived<'_>,
    f: impl Fn(A) -> Result<R, TaskError>,
    reply: &mut Output,
) {
    let start = Instant::now();
    match decode_argument::<Vec<A>>(argument) {
        Ok(items) => {
            let outcomes = items.into_iter().map(|item| remote::call(|| f(item)));
            outcome::write_all(outcomes, || start.elapsed(), reply);
        }
        Err(error) => outcome::write::<()>(Err(error), reply),
    }
}
