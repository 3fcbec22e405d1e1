//! [`Reply`]: a task's result on its way to the parent.

use crate::process_pool::shared::ring::Ring;
use crate::process_pool::wire::buffer::reuse;
use crate::process_pool::wire::frames::{Stream, send_all};
use crate::process_pool::wire::message::{HEAD, Head, Message};
use std::io;

/// One reply at a time, with room for its head before it, so that it is sent in one piece.
#[derive(Default)]
pub(super) struct Reply(Vec<u8>);

impl Reply {
    /// An empty body to write to.
    pub(super) fn body(&mut self) -> &mut Vec<u8> {
        reuse(&mut self.0);
        self.0.extend_from_slice(&[0; HEAD]);
        &mut self.0
    }

    /// W4: a small one into the ring; else through the socket.
    pub(super) fn give(
        &mut self,
        stream: &impl Stream,
        ring: &Ring,
        batch: u32,
        index: u32,
    ) -> io::Result<()> {
        if !ring.put(batch, index, &self.0[HEAD..]) {
            return self.send(stream, Message::Reply { batch, index });
        }
        if ring.takes_doorbell() { ring_doorbell(stream) } else { Ok(()) }
    }

    /// Sends it through the socket, completely.
    pub(super) fn send(&mut self, stream: &impl Stream, message: Message) -> io::Result<()> {
        let head = Head { message, len: self.0.len() - HEAD };
        self.0[..HEAD].copy_from_slice(&head.to_bytes());
        send_all(stream, &self.0)
    }
}

/// Has the driver look at the segment.
pub(super) fn ring_doorbell(stream: &impl Stream) -> io::Result<()> {
    send_all(stream, &Head { message: Message::Doorbell, len: 0 }.to_bytes())
}
