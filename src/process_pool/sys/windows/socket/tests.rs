//! Pipes whose two ends are in this process.

use super::{ROOM, Socket};
use crate::process_pool::sys::windows::handle::{
    is_inherited, is_signalled, new_event, own_process, set_event,
};
use crate::process_pool::sys::windows::sleep::sleep;
use crate::process_pool::sys::{Event, Handle};
use crate::process_pool::wire::frames::{Blocking, Filled, HandleQueue, Inbox, Outbox, Piece, Stream};
use crate::process_pool::wire::message::Message;
use crate::sync::thread;
use std::io::{ErrorKind, IoSlice};
use std::os::windows::io::AsHandle;
use std::sync::Arc;

/// Both ends in this process, which handles are copied into.
fn pair() -> (Socket, Socket) {
    let (ours, theirs) = Socket::pair().expect("a pipe");
    ours.worker.set(own_process().try_clone_to_owned().expect("a handle")).expect("it is the first");
    (ours, Socket::from_handle(theirs).expect("a socket"))
}

fn received(socket: &Socket, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let got = socket.receive(&mut bytes, Blocking::Yes).expect("the other side lives");
        assert!(got > 0, "it has ended");
    }
    bytes
}

#[test]
fn each_handle_comes_with_its_message_whatever_lies_between() {
    let (parent, worker) = pair();
    let events: Vec<Arc<Handle>> = (0..20).map(|_| Arc::new(new_event(false).expect("an event"))).collect();
    let mut outbox = Outbox::default();
    for (n, event) in events.iter().enumerate() {
        let body = vec![n as u8; [0, 1, 5000, 40_000][n % 4]];
        outbox.push(Piece::Owned(Message::Batch { number: n as u32, tasks: 1 }.frame(&body)));
        outbox.push(Piece::WithHandle(Message::Welcome.frame(&body), event.clone()));
    }
    let mut inbox = Inbox::taking_handles();
    let mut came = Vec::new();
    while came.len() < events.len() {
        outbox.flush(&parent).expect("the worker lives");
        inbox.fill(&worker, Blocking::No).expect("no error");
        while let Some(frame) = inbox.next().expect("valid frames") {
            assert_eq!(frame.handle.is_some(), frame.message == Message::Welcome);
            came.extend(frame.handle);
        }
    }
    for (at, handle) in came.iter().enumerate() {
        assert!(!is_signalled(&*events[at]));
        set_event(handle);
        assert!(is_signalled(&*events[at]), "{at} is another");
    }
}

#[test]
fn a_handle_of_a_worker_is_not_taken() {
    let (parent, worker) = pair();
    worker.worker.set(own_process().try_clone_to_owned().expect("a handle")).expect("it is the first");
    let event = new_event(false).expect("an event");
    worker.send_with_handle(&Message::Welcome.frame(b"its own"), &event).expect("room");
    let error = parent.receive(&mut Vec::with_capacity(64), Blocking::Yes).expect_err("a handle");
    assert!(error.to_string().contains("handle"), "{error}");
}

#[test]
fn what_was_said_is_heard_before_the_end() {
    let (parent, worker) = pair();
    let long = vec![7; 3 * ROOM];
    let mut sent = 0;
    let reader = thread::Builder::new().spawn(move || {
        let bytes = received(&worker, 3 * ROOM);
        let end = worker.receive(&mut Vec::with_capacity(8), Blocking::Yes).expect("an end");
        (bytes, end, worker)
    });
    while sent < long.len() {
        sent += parent.send(&[IoSlice::new(&long[sent..])], Blocking::Yes).expect("somebody reads");
    }
    parent.close_write();
    let (bytes, end, worker) = reader.expect("a thread").join().expect("no panic");
    assert!(bytes == long && end == 0);
    // The other direction is open still.
    worker.send(&[IoSlice::new(b"last words")], Blocking::Yes).expect("room");
    assert_eq!(received(&parent, 10), b"last words");
}

#[test]
fn a_read_that_ended_with_its_thread_has_taken_nothing() {
    let (parent, worker) = pair();
    let parent = Arc::new(parent);
    let begins = parent.clone();
    let thread = thread::Builder::new().spawn(move || assert!(!begins.begin_reading())).expect("a thread");
    thread.join().expect("no panic");
    worker.send(&[IoSlice::new(b"reply")], Blocking::Yes).expect("room");
    assert_eq!(received(&parent, 5), b"reply");
}

#[test]
fn only_its_owner_leaves_a_write_under_way() {
    let (parent, worker) = pair();
    let (parent, event) = (Arc::new(parent), Event::new().expect("an event"));
    parent.own();
    let other = parent.clone();
    let sends = move || other.send(&[IoSlice::new(b"from elsewhere")], Blocking::No);
    let refused = thread::Builder::new().spawn(sends).expect("a thread").join().expect("no panic");
    assert!(refused.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    while parent.send(&[IoSlice::new(&[1; 1000])], Blocking::No).is_ok() {}
    assert!(!parent.is_taken(), "it is under way");
    let reader = thread::Builder::new().spawn(move || received(&worker, ROOM).len()).expect("a thread");
    while !sleep(Some(&parent), true, None, None, &event, None).writable {}
    assert!(parent.is_taken());
    reader.join().expect("no panic");
}

#[test]
fn a_peer_that_is_gone_has_left_what_it_said() {
    let (parent, worker) = pair();
    worker.send(&[IoSlice::new(b"last words")], Blocking::Yes).expect("room");
    drop(worker);
    let mut outbox = Outbox::default();
    outbox.push(Piece::Owned(vec![1; 10]));
    outbox.flush(&parent).expect_err("nobody is there");
    assert!(parent.is_taken() && parent.send(&[IoSlice::new(b"x")], Blocking::No).is_err());
    assert_eq!(received(&parent, 10), b"last words");
    assert_eq!(parent.receive(&mut Vec::with_capacity(8), Blocking::Yes).expect("an end"), 0);
}

#[test]
fn a_sleep_ends_by_whatever_comes() {
    let (parent, worker) = pair();
    let event = Event::new().expect("an event");
    worker.send(&[IoSlice::new(b"before")], Blocking::Yes).expect("room");
    assert!(sleep(Some(&parent), false, None, None, &event, None).readable);
    assert_eq!(received(&parent, 6), b"before");
    event.set();
    let awake = sleep(Some(&parent), false, None, None, &event, None);
    assert!(awake.event_set && !awake.readable);
    event.clear();
    drop(worker);
    assert!(sleep(Some(&parent), false, None, None, &event, None).readable, "it is gone");
    let mut inbox = Inbox::default();
    assert_eq!(inbox.fill(&parent, Blocking::No).expect("an end"), Filled::End);
    assert!(!parent.is_connected());
}

#[test]
fn nothing_inherits_the_ends_of_a_pipe() {
    let (ours, theirs) = Socket::pair().expect("a pipe");
    assert!(!is_inherited(ours.pipe.as_handle()) && !is_inherited(theirs.as_handle()));
    let mut queue = HandleQueue::default();
    let nothing = ours.receive_with_handles(&mut Vec::with_capacity(1), &mut queue, Blocking::No);
    assert!(nothing.is_err() && queue.handles.is_empty());
}
