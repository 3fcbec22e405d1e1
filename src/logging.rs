//! The one door to the program's logger, which is the user's code like a task.
//!
//! It may panic: a logger that prints does so once the reader of its pipe is gone. It may call the pool: one that ships
//! records submits a task for each. It may take any time. So it is called inside `contain` and with no lock held, and a
//! message that is lost costs nothing else. The text is made beforehand, in `contain` as well: a `Display` that panics
//! costs the rest of its message and not the logger's locks.
//!
//! What a logger does may itself be worth a message: a task that it submits is refused, or fails unseen. That message
//! would go to the logger, which would submit again, without end. So nothing is logged from within the logger, on its
//! thread.

#[cfg(feature = "process")]
mod forward;

#[cfg(feature = "process")]
pub(crate) use forward::{Record, forward, forward_by, level};

use crate::contain::{self, contain};
use log::Level;
use std::cell::Cell;
use std::fmt;

/// What a program's filters know the crate's messages by. Its modules are no part of its face.
const TARGET: &str = "concurrent_futures";

crate::sync::thread_local! {
    /// This thread is in here.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Something failed, and nobody else is told.
pub(crate) fn error(what: fmt::Arguments<'_>) {
    write(Level::Error, what);
}

/// Something is not as it should be, and the crate goes on.
pub(crate) fn warn(what: fmt::Arguments<'_>) {
    write(Level::Warn, what);
}

fn write(level: Level, what: fmt::Arguments<'_>) {
    // What `log!` asks first: without a logger nothing else is done.
    if level > log::STATIC_MAX_LEVEL || level > log::max_level() || INSIDE.with(|inside| inside.replace(true))
    {
        return;
    }
    let text = contain::text(&what);
    // A panic in it, and one in the drop of what that carries, goes no further: there is nobody left to tell.
    drop(contain(|| log::log!(target: TARGET, level, "{text}")));
    INSIDE.with(|inside| inside.set(false));
}
