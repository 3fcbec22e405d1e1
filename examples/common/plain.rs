//! Names and reasons that are safe to show on a terminal: a file's name may contain line ends and escape sequences.

use std::{fmt::Write, path::Path};

/// A path on one line; bytes that are no characters are written as escapes.
pub(crate) fn path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        shown += &line(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string can't fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// A text on one line, without anything that controls a terminal.
pub(crate) fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_obeyed(char) { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

/// Control characters, and characters that end a line or change the direction of writing.
pub(crate) fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
