//! [`Outbound`]: what goes out to a worker. The thread that ships a batch puts it in here; any thread may send it.
//!
//! Mostly that is the driver. But a small task for a worker that has nothing to do is sent by the thread that submits it:
//! the driver sleeps on, and one wake-up of four is saved on the task's way there and back.
//!
//! Frames must reach the worker in the order of their numbers. So they are *put* here in the dispatcher's critical section
//! that numbers them; *sending* happens outside of it, by one thread at a time.

use crate::process_pool::sys::Socket;
use crate::process_pool::wire::frames::{Outbox, Piece};
use crate::sync::Mutex;

pub(crate) struct Outbound {
    pub(crate) socket: Socket,
    outbox: Mutex<Outbox>,
}

impl Outbound {
    pub(crate) fn new(socket: Socket) -> Self {
        Outbound { socket, outbox: Mutex::new(Outbox::default()) }
    }

    /// Makes no system call and never blocks: while a large frame is being sent, only the worker's own driver adds to the
    /// buffer.
    pub(crate) fn put(&self, pieces: Vec<Piece>) {
        let mut outbox = self.outbox.lock();
        pieces.into_iter().for_each(|piece| outbox.push(piece));
    }

    /// Sends what the socket takes without blocking; false if something is left, for which the driver is to be woken.
    pub(crate) fn flush(&self) -> bool {
        let mut outbox = self.outbox.lock();
        // A worker that can't be written to is dying: its handle will tell the driver.
        outbox.flush(&self.socket).unwrap_or_else(|_| {
            outbox.clear();
            true
        })
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.outbox.lock().is_empty()
    }

    /// The worker is to get no more.
    pub(crate) fn clear(&self) {
        self.outbox.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    //! What goes through an out-buffer, over a real socket whose other end the test holds.

    use super::Outbound;
    use crate::process_pool::sys::Socket;
    use crate::process_pool::wire::buffer::PooledBuffer;
    use crate::process_pool::wire::frames::{Blocking, Piece, Stream};
    use std::sync::Arc;

    fn outbound() -> (Outbound, Socket) {
        let (ours, theirs) = Socket::pair().expect("a socket");
        (Outbound::new(ours), Socket::from_handle(theirs))
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
        outbound.put(vec![
            Piece::Owned(b"one ".to_vec()),
            Piece::Shared(Arc::new(PooledBuffer::of(b"two ".to_vec()))),
        ]);
        outbound.put(vec![Piece::Owned(b"three".to_vec())]);
        assert!(!outbound.is_drained());
        assert!(outbound.flush() && outbound.is_drained());
        assert_eq!(read(&worker, 13), b"one two three");
        assert!(outbound.flush(), "nothing is left to be sent");
    }

    #[test]
    fn what_the_socket_has_no_room_for_stays_until_it_has() {
        let (outbound, worker) = outbound();
        let large: Vec<u8> = (0..4 << 20).map(|n: u32| n as u8).collect();
        outbound.put(vec![Piece::Shared(Arc::new(PooledBuffer::of(large.clone())))]);
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
        outbound.put(vec![Piece::Owned(vec![1; 100])]);
        assert!(outbound.flush() && outbound.is_drained());
        outbound.put(vec![Piece::Owned(vec![1; 100])]);
        outbound.clear();
        assert!(outbound.is_drained());
    }
}
