//! [`Blobs`]: what the parent has sent to this worker, until it says that it is needed no more.

use crate::blob::{self, Blob, BlobId, Content, Handle, Held};
use crate::process_pool::sys::SealedMemory;
use crate::process_pool::wire::blob as wire;
use crate::process_pool::wire::message::Message;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Blobs(HashMap<BlobId, Held>);

impl Blobs {
    /// Does what a message about a blob says.
    ///
    /// # Errors
    ///
    /// If it is another message, or one that no parent sends.
    pub(super) fn handle(&mut self, message: Message, body: &[u8], handle: Option<Handle>) -> io::Result<()> {
        let cut = || io::Error::other("a message about a blob is cut short");
        match message {
            Message::Blob { children } | Message::BlobInMemory { children } => {
                let arrived = wire::read(children, body).ok_or_else(cut)?;
                let Some(content) = content(arrived.bytes, handle)? else { return Ok(()) };
                let children = arrived.children.iter().filter_map(|child| blob::find(*child)).collect();
                // It may be here already, with values that were decoded from it: then it stays.
                let held = blob::hold(Arc::new(Blob::arrived(arrived.id, content, children)));
                self.0.insert(arrived.id, held);
            }
            Message::Forget => {
                let (id, _) = BlobId::read(body).ok_or_else(cut)?;
                self.0.remove(&id);
            }
            _ => return Err(io::Error::other("a message out of turn")),
        }
        Ok(())
    }
}

/// What came. None if there is no memory for it: then it is missing, which is the error of a task that needs it.
fn content(bytes: &[u8], handle: Option<Handle>) -> io::Result<Option<Content>> {
    match handle.map(SealedMemory::open) {
        Some(Ok(Ok(memory))) => Ok(Some(Content::Sealed(Box::new(memory)))),
        Some(Ok(Err(bytes))) => Ok(Some(Content::Heap(bytes))),
        Some(Err(error)) if error.kind() == io::ErrorKind::OutOfMemory => Ok(None),
        Some(Err(error)) => Err(error),
        None => {
            let mut copy = Vec::new();
            let has_room = copy.try_reserve_exact(bytes.len()).is_ok();
            copy.extend_from_slice(if has_room { bytes } else { &[] });
            Ok(has_room.then_some(Content::Heap(copy)))
        }
    }
}
