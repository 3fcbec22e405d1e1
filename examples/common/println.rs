//! `println!` for a program that only prints: when the reader closes the pipe, as `| head -1` does, it exits quietly. The
//! standard library's `println!` panics there; without the line that includes this file, a program uses that one.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process,
};

macro_rules! println {
    () => { println::line(format_args!("")) };
    ($($text:tt)*) => { println::line(format_args!($($text)*)) };
}

pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        let is_unread = error.kind() == ErrorKind::BrokenPipe;
        if !is_unread {
            // Without a stderr, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: can't print: {error}");
        }
        process::exit(if is_unread { 0 } else { 1 });
    }
}
