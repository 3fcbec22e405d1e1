//! Lines on stdout for a program that has more to do than to print: where they can't be written the work goes on, and the
//! program says so at its end.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

enum State {
    Read,
    /// The reader has gone, as behind `| head -1`.
    Unread,
    Failed(Option<io::Error>),
}

static STATE: Mutex<State> = Mutex::new(State::Read);

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line, unless an earlier one could not be written.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut state = state();
    if let State::Read = *state {
        // In one piece, so that a line of another process can't come between.
        match io::stdout().write_all(format!("{text}\n").as_bytes()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *state = State::Unread,
            Err(error) => *state = State::Failed(Some(error)),
        }
    }
}

/// False once nobody reads the lines.
pub(crate) fn are_read() -> bool {
    matches!(*state(), State::Read)
}

/// Why lines are missing, if that is an error: that their reader has gone is none.
pub(crate) fn end() -> io::Result<()> {
    match &mut *state() {
        State::Failed(error) => error.take().map_or(Ok(()), Err),
        State::Read | State::Unread => Ok(()),
    }
}
