//! The one way to the program's logger. It is the user's code: what it panics with goes no further, and no lock is held.

use log::Level;
use std::fmt::Arguments;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a program's filters know the messages by.
const TARGET: &str = "concurrent_futures_redis";

pub(crate) fn info(what: Arguments<'_>) {
    write(Level::Info, what);
}

pub(crate) fn debug(what: Arguments<'_>) {
    write(Level::Debug, what);
}

pub(crate) fn warn(what: Arguments<'_>) {
    write(Level::Warn, what);
}

fn write(level: Level, what: Arguments<'_>) {
    // Whatever state a panic leaves is the logger's own.
    drop(catch_unwind(AssertUnwindSafe(|| log::log!(target: TARGET, level, "{what}"))));
}
