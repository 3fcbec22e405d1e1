//! Data that many tasks share: [`Shared`], a value, and [`SharedBytes`], bytes. However many tasks carry them, they cross to each other
//! process once.
//!
//! Here are the handles and how serde carries them: as the id of a [`Blob`](crate::blob::Blob). What becomes of blobs is in `blob` and
//! in the pool of processes. On executors of this process nothing of that happens: a handle is an `Arc`.

#[cfg(feature = "process")]
mod blob;
mod bytes;
mod value;

#[cfg(feature = "process")]
pub use blob::SharedBlob;
pub use bytes::SharedBytes;
pub use value::Shared;
