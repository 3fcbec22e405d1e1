//! [`Reply`]: a task's result on its way to the parent.

use crate::process_pool::shared::Layout;
use crate::process_pool::wire::buffer::reuse;
use crate::process_pool::wire::frames::{Stream, send_all};
use crate::process_pool::wire::message::{HEAD, Head, Message};
use crate::remote::codec::{Output, Plane};
use std::io;
use std::sync::Arc;

/// One reply at a time, with room for its head before it, so that it is sent in one piece.
#[derive(Default)]
pub(super) struct Reply {
    output: Output,
    /// Where long strings go.
    memory: Option<Arc<dyn Plane>>,
}

impl Reply {
    /// Replies whose long strings go to this memory.
    pub(super) fn with_memory(memory: Arc<dyn Plane>) -> Self {
        Reply { output: Output::default(), memory: Some(memory) }
    }

    /// An empty body to write to. Its long strings may lie apart, if they `may`.
    pub(super) fn body(&mut self, may: bool) -> &mut Output {
        let (mut bytes, _) = std::mem::take(&mut self.output).into_parts();
        reuse(&mut bytes);
        bytes.extend_from_slice(&[0; HEAD]);
        self.output = Output::new(bytes, self.memory.clone().filter(|_| may));
        &mut self.output
    }

    /// W4: what lies apart is noted as this reply's; then the reply goes into the ring if it is small, else through the
    /// socket.
    pub(super) fn give(
        &mut self,
        stream: &impl Stream,
        segment: &Layout,
        batch: u32,
        index: u32,
    ) -> io::Result<()> {
        if let Some(place) = self.output.apart.take_first() {
            segment.result_slots.assign(place.at, batch, index);
        }
        if !segment.ring.put(batch, index, &self.output[HEAD..]) {
            return self.send(stream, Message::Reply { batch, index });
        }
        if segment.ring.takes_doorbell() { ring_doorbell(stream) } else { Ok(()) }
    }

    /// Sends it through the socket, completely.
    pub(super) fn send(&mut self, stream: &impl Stream, message: Message) -> io::Result<()> {
        let head = Head { message, len: self.output.len() - HEAD };
        self.output[..HEAD].copy_from_slice(&head.to_bytes());
        send_all(stream, &self.output)
    }
}

/// Has the driver look at the segment.
pub(super) fn ring_doorbell(stream: &impl Stream) -> io::Result<()> {
    send_all(stream, &Head { message: Message::Doorbell, len: 0 }.to_bytes())
}
