//! Messages to the user. If the reader has closed the pipe, as in `| head -1`, they are dropped and the work continues;
//! `println!` and `eprintln!` would panic.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// One line on stderr.
pub(crate) fn say(line: impl Display) {
    // In one piece, so that a line of another process can't come between.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A text on stdout. A closed pipe is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
