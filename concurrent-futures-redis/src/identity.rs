//! Names that nobody else has: of clients and of nodes.

use crate::wire::Name;
use std::hash::{BuildHasher, Hasher, RandomState};

/// This machine's name, as it calls itself.
#[cfg(unix)]
pub(crate) fn host() -> Name {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().as_ref().into()
}

/// The same: on Windows a variable has it.
#[cfg(not(unix))]
pub(crate) fn host() -> Name {
    let name = std::env::var_os("COMPUTERNAME").unwrap_or_else(|| "unnamed".into());
    name.to_string_lossy().as_ref().into()
}

/// A name for a client or a node: machine, process, and a random number.
pub(crate) fn unique_name() -> Name {
    // The standard library seeds each `RandomState` from the system's randomness.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{}-{}-{:08x}", host(), std::process::id(), hasher.finish() as u32).into()
}
