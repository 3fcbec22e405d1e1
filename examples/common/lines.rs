//! Lines on stdout for a program whose work matters more than its output: if they can't be written, the work continues, and
//! the program reports it at its end.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

enum State {
    Read,
    /// The reader has closed the pipe, as in `| head -1`.
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

/// False once the reader has closed the pipe, or a write failed.
pub(crate) fn are_read() -> bool {
    matches!(*state(), State::Read)
}

/// Why lines are missing. A closed pipe is no error.
pub(crate) fn end() -> io::Result<()> {
    match &mut *state() {
        State::Failed(error) => error.take().map_or(Ok(()), Err),
        State::Read | State::Unread => Ok(()),
    }
}
