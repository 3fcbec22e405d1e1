//! The program that workers are started from, and how they know themselves.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The variable that says whose worker a process is. The first argument would be seen by every task that asks for the
/// program's arguments, and the system has no name beside it.
pub(super) const MARK: &str = "CONCURRENT_FUTURES_WORKER";

/// The file to start a worker from: this very executable. The system lets nobody write to it while it runs, but its name may
/// belong to another file by now; that file's hello says so.
pub(crate) fn program(_: usize) -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("the file of this program could not be found: {error}"))
}

/// What a worker was started under; empty in another process.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere a process may have no name")]
pub(crate) fn own_name() -> Option<OsString> {
    Some(std::env::var_os(MARK).unwrap_or_default())
}

/// Where that is, wherever this process goes. Not `canonicalize`, whose paths no process can have as its directory.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(path)
}
