//! The messages about blobs: [`pieces`] and [`forget`] write them, [`read`] reads them.
//!
//! ```text
//! Blob, BlobInMemory:  id 16 | the ids of those that lie in it, 16 each | bytes, of a `Blob`
//! Forget:              id 16
//! ```

use super::frames::Piece;
use super::message::{HEAD, Head, Message};
use crate::blob::{Blob, BlobId};
use std::sync::Arc;

/// Sends a blob: by its handle, if it has one.
pub(crate) fn pieces(blob: &Arc<Blob>) -> Vec<Piece> {
    let children = blob.children().len();
    let named = BlobId::LEN * (1 + children);
    let mut bytes = Vec::with_capacity(HEAD + named);
    let (message, len) = match blob.handle() {
        Some(_) => (Message::BlobInMemory { children: children as u32 }, named),
        None => (Message::Blob { children: children as u32 }, named + blob.bytes().len()),
    };
    bytes.extend_from_slice(&Head { message, len }.to_bytes());
    bytes.extend_from_slice(&blob.id().to_bytes());
    blob.children().iter().for_each(|child| bytes.extend_from_slice(&child.id().to_bytes()));
    match blob.handle() {
        Some(handle) => vec![Piece::WithHandle(bytes, handle.clone())],
        None => vec![Piece::Owned(bytes), Piece::Blob(blob.clone())],
    }
}

/// Says that a blob is needed no more.
pub(crate) fn forget(id: BlobId) -> Piece {
    Piece::Owned(Message::Forget.frame(&id.to_bytes()))
}

/// A blob that has arrived.
pub(crate) struct ArrivedBlob<'a> {
    pub(crate) id: BlobId,
    pub(crate) children: Vec<BlobId>,
    /// Of one by value.
    pub(crate) bytes: &'a [u8],
}

/// Reads the body of a message about a blob. `None` if it is cut.
pub(crate) fn read(children: u32, body: &[u8]) -> Option<ArrivedBlob<'_>> {
    let (id, mut bytes) = BlobId::read(body)?;
    let mut ids = Vec::new();
    for _ in 0..children {
        let (child, rest) = BlobId::read(bytes)?;
        ids.push(child);
        bytes = rest;
    }
    Some(ArrivedBlob { id, children: ids, bytes })
}
