//! `println!` for a program that only prints: it ends, quietly, when nobody reads any more, as behind `| head -1`. That of
//! std panics there; without the line that includes this file a program has std's, and is the same otherwise.

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
            // Who has no stderr either is told by the exit code.
            let _ = writeln!(io::stderr(), "error: can't print: {error}");
        }
        process::exit(if is_unread { 0 } else { 1 });
    }
}
