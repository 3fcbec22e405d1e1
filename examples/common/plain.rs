//! Names and reasons as a terminal may show them: who made a file chose its name, line ends and escape sequences too.

use std::{fmt::Write, path::Path};

/// A path on one line; what is no character is written as its bytes.
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

/// A text on one line, with nothing in it that a terminal obeys.
pub(crate) fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_obeyed(char) { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

/// Control characters, and those that end a line or turn the direction of writing.
pub(crate) fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
