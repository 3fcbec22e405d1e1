//! The worker's side: how a process becomes a worker, and its life as one.

mod abort;
mod blobs;
#[cfg_attr(
    all(any(unix, windows), feature = "auto-init"),
    expect(unsafe_code, reason = "code before main, argued in the file")
)]
pub(crate) mod entry;
#[expect(unsafe_code, reason = "runs parcels, argued in the file")]
pub(crate) mod main;
mod notes;
pub(crate) mod plane;
mod reply;
#[cfg(test)]
mod tests;
