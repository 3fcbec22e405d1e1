//! What can be done about an error of the system.

use super::stdio::Unopened;
use std::io;

/// What the user can do about an error of the system; goes behind the error's text.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Unopened>()) {
        return match inner.error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => advice(&inner.error),
            _ => "; it must be a device that anybody may read and write: `mknod -m 666 /dev/null c 1 3`",
        };
    }
    match error.raw_os_error() {
        Some(libc::EMFILE) => "; `ulimit -n` bounds a process's descriptors: raise it, or have fewer workers",
        Some(libc::ENFILE) => "; the whole system has no descriptor left: `fs.file-max` bounds them",
        Some(libc::EAGAIN) => {
            "; `ulimit -u` and a control group's `pids.max` bound how many there may be, `ulimit -v` and \
             `address_space` the memory for its stack: raise them, or have fewer workers"
        }
        Some(libc::ENOMEM) => "; there is not enough memory, or `ulimit -v` bounds it: have fewer workers",
        Some(libc::E2BIG) => {
            "; the program's arguments and the workers' environment are too long: shorten them"
        }
        _ => "",
    }
}
