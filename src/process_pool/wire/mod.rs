//! What parent and worker send each other: [`message`]s in [`frames`] on a stream socket. The writer and the reader of
//! each layout stand side by side.
//!
//! Bytes from a worker are input, not trust: what doesn't fit is a [`ProtocolError`](message::ProtocolError), and no
//! length is believed before bytes of that length are there.

pub(crate) mod batch;
pub(crate) mod blob;
pub(crate) mod buffer;
pub(crate) mod frames;
pub(crate) mod message;
pub(crate) mod note;
pub(crate) mod times;
