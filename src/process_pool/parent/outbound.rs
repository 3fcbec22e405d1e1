//! [`Outbound`]: what goes out to a worker. The thread that ships a batch puts it in here; any thread may send it.
//!
//! Mostly that is the driver. But a small task for a worker that has nothing to do is sent by the thread that submits it:
//! the driver sleeps on, and one wake-up of four is saved on the task's way there and back.
//!
//! Frames must reach the worker in the order of their numbers. So they are *put* here in the dispatcher's critical section
//! that numbers them; *sending* happens outside of it, by one thread at a time.

use crate::blob::{Blob, BlobId, Holder};
use crate::process_pool::sys::{Event, Socket};
use crate::process_pool::wire::blob;
use crate::process_pool::wire::frames::{Outbox, Piece};
use crate::sync::{Mutex, OnceLock};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

pub(crate) struct Outbound {
    pub(crate) socket: Socket,
    sending: Mutex<Sending>,
    /// Blobs whose last owner is gone, of which the worker is still to be told. By itself, since a blob may go with any lock held.
    forgotten: Mutex<Vec<(BlobId, u64)>>,
    /// Wakes the driver, which then tells the worker.
    event: OnceLock<Arc<Event>>,
    /// The process that it belongs to: a fork of it sends nothing.
    process: u32,
}

#[derive(Default)]
struct Sending {
    outbox: Outbox,
    /// The blobs that the worker has, or that are on their way to it before anything that is put in from now on. One that comes
    /// back (the result of a task, say) has the same id, and another serial number.
    blobs: HashMap<BlobId, u64>,
    /// The worker is to get no more.
    is_closed: bool,
}

impl Sending {
    fn push(&mut self, pieces: Vec<Piece>) {
        pieces.into_iter().for_each(|piece| self.outbox.push(piece));
    }

    fn forget(&mut self, forgotten: Vec<(BlobId, u64)>) {
        for (id, serial) in forgotten {
            if self.blobs.get(&id) == Some(&serial) {
                self.blobs.remove(&id);
                self.outbox.push(blob::forget(id));
            }
        }
    }
}

impl Outbound {
    pub(crate) fn new(socket: Socket) -> Self {
        Outbound {
            socket,
            sending: Mutex::new(Sending::default()),
            forgotten: Mutex::new(Vec::new()),
            event: OnceLock::new(),
            process: std::process::id(),
        }
    }

    /// What wakes the driver; once, before the first blob.
    pub(crate) fn set_event(&self, event: Arc<Event>) {
        let _ = self.event.set(event);
    }

    /// The worker was sent these as it started.
    pub(crate) fn note_sent(self: &Arc<Self>, blobs: &[Arc<Blob>]) {
        let mut sending = self.sending.lock();
        for blob in blobs {
            sending.blobs.insert(blob.id(), blob.serial());
            blob.tell(self.as_holder());
        }
    }

    /// Puts a frame in, and before it the blobs that it needs and the worker doesn't have.
    ///
    /// Makes no system call and never blocks: while a large frame is being sent, only the worker's own driver adds to the
    /// buffer.
    pub(crate) fn put<'b>(self: &Arc<Self>, blobs: impl Iterator<Item = &'b Arc<Blob>>, frame: Vec<Piece>) {
        let forgotten = self.take_forgotten();
        let mut sending = self.sending.lock();
        // First: one that is sent again must not be forgotten after that.
        sending.forget(forgotten);
        // Many tasks carry the same one.
        let mut last = None;
        for blob in blobs {
            if last.replace(Arc::as_ptr(blob)) == Some(Arc::as_ptr(blob)) {
                continue;
            }
            if sending.blobs.insert(blob.id(), blob.serial()) != Some(blob.serial()) {
                blob.tell(self.as_holder());
                sending.push(blob::pieces(blob));
            }
        }
        sending.push(frame);
    }

    /// Sends what the socket takes without blocking; false if something is left, for which the driver is to be woken.
    pub(crate) fn flush(&self) -> bool {
        let forgotten = self.take_forgotten();
        let mut sending = self.sending.lock();
        if !sending.is_closed {
            sending.forget(forgotten);
        }
        // A worker that can't be written to is dying: its handle will tell the driver.
        sending.outbox.flush(&self.socket).unwrap_or_else(|_| {
            sending.outbox.clear();
            true
        })
    }

    /// Tells the worker of blobs that are needed no more, if there are any.
    pub(crate) fn flush_forgotten(&self) {
        let has_forgotten = !self.forgotten.lock().is_empty();
        if has_forgotten {
            self.flush();
        }
    }

    fn as_holder(self: &Arc<Self>) -> Weak<dyn Holder> {
        let holder: Weak<Self> = Arc::downgrade(self);
        holder
    }

    fn take_forgotten(&self) -> Vec<(BlobId, u64)> {
        std::mem::take(&mut *self.forgotten.lock())
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.sending.lock().outbox.is_empty()
    }

    /// The worker is to get no more.
    pub(crate) fn clear(&self) {
        let mut sending = self.sending.lock();
        sending.outbox.clear();
        sending.is_closed = true;
    }
}

impl Holder for Outbound {
    fn forget(&self, id: BlobId, serial: u64) {
        // In a fork neither the locks nor the driver are this process's.
        if std::process::id() != self.process {
            return;
        }
        self.forgotten.lock().push((id, serial));
        if let Some(event) = self.event.get() {
            event.set();
        }
    }
}

#[cfg(test)]
mod tests {
    //! What goes through an out-buffer, over a real socket whose other end the test holds.

    use super::Outbound;
    use crate::blob::{Blob, BlobId, Content};
    use crate::process_pool::sys::Socket;
    use crate::process_pool::wire::buffer::PooledBuffer;
    use crate::process_pool::wire::frames::{Blocking, Filled, Inbox, Piece, Stream};
    use crate::process_pool::wire::message::Message;
    use std::iter;
    use std::sync::Arc;

    fn outbound() -> (Arc<Outbound>, Socket) {
        let (ours, theirs) = Socket::pair().expect("a socket");
        (Arc::new(Outbound::new(ours)), Socket::from_handle(theirs).expect("a socket"))
    }

    /// What is there, or at least `least` bytes of it.
    fn read(socket: &Socket, least: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < least {
            bytes.reserve(1 << 16);
            let got = socket.receive(&mut bytes, Blocking::Yes).expect("the outbound is open");
            assert!(got > 0, "it was shut");
        }
        bytes
    }

    #[test]
    fn what_is_put_is_sent_by_the_first_who_flushes() {
        let (outbound, worker) = outbound();
        assert!(outbound.is_drained());
        outbound.put(
            iter::empty(),
            vec![Piece::Owned(b"one ".to_vec()), Piece::Shared(Arc::new(PooledBuffer::of(b"two ".to_vec())))],
        );
        outbound.put(iter::empty(), vec![Piece::Owned(b"three".to_vec())]);
        assert!(!outbound.is_drained());
        assert!(outbound.flush() && outbound.is_drained());
        assert_eq!(read(&worker, 13), b"one two three");
        assert!(outbound.flush(), "nothing is left to be sent");
    }

    #[test]
    fn what_the_socket_has_no_room_for_stays_until_it_has() {
        let (outbound, worker) = outbound();
        let large: Vec<u8> = (0..4 << 20).map(|n: u32| n as u8).collect();
        outbound.put(iter::empty(), vec![Piece::Shared(Arc::new(PooledBuffer::of(large.clone())))]);
        assert!(!outbound.flush() && !outbound.is_drained());
        let mut heard = Vec::new();
        while heard.len() < large.len() {
            heard.extend(read(&worker, 1));
            outbound.flush();
        }
        assert!(outbound.is_drained() && heard == large);
    }

    #[test]
    fn a_worker_that_is_gone_is_sent_nothing_and_nobody_is_held_up() {
        let (outbound, worker) = outbound();
        drop(worker);
        outbound.put(iter::empty(), vec![Piece::Owned(vec![1; 100])]);
        assert!(outbound.flush() && outbound.is_drained());
        outbound.put(iter::empty(), vec![Piece::Owned(vec![1; 100])]);
        outbound.clear();
        assert!(outbound.is_drained());
    }

    /// The messages that are there.
    fn messages(worker: &Socket) -> Vec<Message> {
        let (mut inbox, mut messages) = (Inbox::default(), Vec::new());
        while inbox.fill(worker, Blocking::No).expect("the outbound is open") == Filled::Some {
            while let Some(frame) = inbox.next().expect("valid frames") {
                messages.push(frame.message);
            }
        }
        messages
    }

    #[test]
    fn a_blob_is_sent_once_and_forgotten_when_its_last_owner_is_gone() {
        let (outbound, worker) = outbound();
        let blob = |id, children| Arc::new(Blob::arrived(id, Content::Heap(vec![1; 10]), children));
        let (inner, id) = (blob(BlobId::new(), Vec::new()), BlobId::new());
        let outer = blob(id, vec![inner.clone()]);
        for _ in 0..3 {
            outbound.put([&inner, &outer].into_iter(), Vec::new());
        }
        assert!(outbound.flush());
        let sent = [Message::Blob { children: 0 }, Message::Blob { children: 1 }];
        assert_eq!(messages(&worker), sent);
        drop(inner);
        outbound.flush_forgotten();
        assert_eq!(messages(&worker), [], "it lies in another");
        // One of the same id is sent again, and the first one's end means nothing then.
        let again = blob(id, Vec::new());
        outbound.put([&again].into_iter(), Vec::new());
        drop(outer);
        outbound.flush_forgotten();
        assert_eq!(messages(&worker), [Message::Blob { children: 0 }, Message::Forget], "the inner one");
        drop(again);
        outbound.flush_forgotten();
        assert_eq!(messages(&worker), [Message::Forget]);
    }

    #[test]
    fn a_worker_that_is_to_get_no_more_is_told_of_no_blob() {
        let (outbound, worker) = outbound();
        let blob = Arc::new(Blob::new(Content::Heap(vec![1; 10]), Vec::new()));
        outbound.note_sent(std::slice::from_ref(&blob));
        outbound.clear();
        drop(blob);
        outbound.flush_forgotten();
        assert_eq!(messages(&worker), []);
    }
}
