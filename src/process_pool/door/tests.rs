//! What goes through a door, over a real socket whose other end the test holds.

use super::Door;
use crate::process_pool::channel::{Part, Stream, Wait};
use crate::process_pool::record::Large;
use crate::process_pool::sys::Socket;
use std::sync::Arc;

fn door() -> (Door, Socket) {
    let (ours, theirs) = Socket::pair().expect("a socket");
    (Door::new(ours), Socket::from_fd(theirs))
}

/// What is there, or at least `least` bytes of it.
fn read(socket: &Socket, least: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < least {
        bytes.reserve(1 << 16);
        let got = socket.receive(&mut bytes, Wait::Yes).expect("the door is open");
        assert!(got > 0, "it was shut");
    }
    bytes
}

#[test]
fn what_is_put_is_sent_by_the_first_who_flushes() {
    let (door, worker) = door();
    assert!(door.is_drained());
    door.put(vec![Part::Own(b"one ".to_vec()), Part::Shared(Arc::new(Large::of(b"two ".to_vec())))]);
    door.put(vec![Part::Own(b"three".to_vec())]);
    assert!(!door.is_drained());
    assert!(door.flush() && door.is_drained());
    assert_eq!(read(&worker, 13), b"one two three");
    assert!(door.flush(), "nothing is left to be sent");
}

#[test]
fn what_the_socket_has_no_room_for_stays_until_it_has() {
    let (door, worker) = door();
    let large: Vec<u8> = (0..4 << 20).map(|n: u32| n as u8).collect();
    door.put(vec![Part::Shared(Arc::new(Large::of(large.clone())))]);
    assert!(!door.flush() && !door.is_drained());
    let mut heard = Vec::new();
    while heard.len() < large.len() {
        heard.extend(read(&worker, 1));
        door.flush();
    }
    assert!(door.is_drained() && heard == large);
}

#[test]
fn a_worker_that_is_gone_is_sent_nothing_and_nobody_is_held_up() {
    let (door, worker) = door();
    drop(worker);
    door.put(vec![Part::Own(vec![1; 100])]);
    assert!(door.flush() && door.is_drained());
    door.put(vec![Part::Own(vec![1; 100])]);
    door.clear();
    assert!(door.is_drained());
}
