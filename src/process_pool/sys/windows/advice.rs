//! What can be done about an error of the system.

use std::io;
use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_FILENAME_EXCED_RANGE, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_OUTOFMEMORY, ERROR_VIRUS_DELETED, ERROR_VIRUS_INFECTED,
};

/// What the user can do about an error of the system; goes behind the error's text.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(
            ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY | ERROR_COMMITMENT_LIMIT | ERROR_NO_SYSTEM_RESOURCES,
        ) => {
            "; the system has promised all its memory: a larger page file lets it promise more, and fewer workers need less"
        }
        Some(ERROR_FILENAME_EXCED_RANGE) => {
            "; the program's arguments and the workers' environment are too long: shorten them"
        }
        Some(ERROR_VIRUS_INFECTED | ERROR_VIRUS_DELETED) => {
            "; a virus scanner keeps this program from being started"
        }
        _ => "",
    }
}
