//! Frames over streams that give and take as they like.

use super::{Blocking, Filled, Inbox, Outbox, Piece, ROOM, send_all};
use crate::process_pool::tests::{FakeStream, Incoming};
use crate::process_pool::wire::buffer::{PooledBuffer, reuse};
use crate::process_pool::wire::message::{HEAD, Head, Message};
use std::io;
use std::sync::Arc;

fn frame(number: u32, body: &[u8]) -> Vec<u8> {
    Message::Reply { batch: number, index: 0 }.frame(body)
}

fn number(message: Message) -> u32 {
    let Message::Reply { batch, .. } = message else { panic!("another message: {message:?}") };
    batch
}

/// All the frames that a stream gives, and how it ended.
fn read(inbox: &mut Inbox, stream: &FakeStream) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    loop {
        let filled = inbox.fill(stream, Blocking::Yes).expect("no error");
        while let Some(frame) = inbox.next().expect("whole frames") {
            frames.push((number(frame.message), inbox.body(frame.body).to_vec()));
        }
        if filled == Filled::End {
            return frames;
        }
    }
}

#[test]
fn frames_arrive_whole_however_they_are_cut() {
    let bodies: Vec<Vec<u8>> = [0, 1, 23, 24, 25, 5000].iter().map(|len| vec![*len as u8; *len]).collect();
    let bytes: Vec<u8> = bodies.iter().zip(0..).flat_map(|(body, n)| frame(n, body)).collect();
    for size in [1, 2, 7, 23, 24, 25, 100, 4096, bytes.len()] {
        let frames = read(&mut Inbox::default(), &FakeStream::giving(&bytes, size));
        let expected: Vec<_> = (0..).zip(bodies.clone()).collect();
        assert_eq!(frames, expected, "pieces of {size}");
    }
}

#[test]
fn a_frame_larger_than_the_room_arrives_and_its_memory_goes_back() {
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| n as u8).collect();
    let stream = FakeStream::giving(&frame(1, &body), 200_000);
    stream.give(&frame(2, b"small"), 100);
    let mut inbox = Inbox::default();
    let frames = read(&mut inbox, &stream);
    assert_eq!(frames.len(), 2);
    assert!(frames[0].1 == body && frames[1].1 == b"small");
    assert!(inbox.buffer.capacity() <= 2 * ROOM, "{} bytes are kept", inbox.buffer.capacity());
}

#[test]
fn room_is_kept_while_it_is_used_and_given_back_when_it_is_not() {
    let kept = |capacity: usize, used: usize| {
        let mut buffer = Vec::with_capacity(capacity);
        buffer.resize(used, 0_u8);
        reuse(&mut buffer);
        assert!(buffer.is_empty());
        buffer.capacity() > 0
    };
    assert!(kept(1 << 20, 0), "little is always kept");
    assert!(kept(8 << 20, 2 << 20) && !kept(8 << 20, (2 << 20) - 1));
    assert!(!kept((32 << 20) + 1, 32 << 20), "so much never is");
}

#[test]
fn a_length_alone_takes_no_memory() {
    for len in [1 << 30, 1 << 50, usize::MAX - HEAD, usize::MAX] {
        let mut bytes = Head { message: Message::Reply { batch: 0, index: 0 }, len }.to_bytes().to_vec();
        bytes.resize(bytes.len() + 300_000, 7);
        let (mut inbox, stream) = (Inbox::default(), FakeStream::giving(&bytes, 1000));
        let mut have = 0;
        while inbox.fill(&stream, Blocking::Yes).expect("no error") == Filled::Some {
            assert!(inbox.next().expect("a head").is_none());
            have = inbox.buffer.len();
            assert!(inbox.buffer.capacity() <= 4 * have + 2 * ROOM, "{} for {have}", inbox.buffer.capacity());
        }
        assert_eq!(have, bytes.len());
    }
}

#[test]
fn what_is_no_frame_stays_an_error() {
    let (mut inbox, stream) = (Inbox::default(), FakeStream::giving(&[9; 100], 100));
    inbox.fill(&stream, Blocking::No).expect("no error");
    let error = inbox.next().expect_err("no frame begins so");
    assert_eq!(inbox.next().err(), Some(error));
    // Whole frames before it are still heard.
    let bytes = [frame(1, b"heard"), vec![9; 100]].concat();
    let (mut inbox, stream) = (Inbox::default(), FakeStream::giving(&bytes, 1000));
    inbox.fill(&stream, Blocking::No).expect("no error");
    assert!(matches!(inbox.next(), Ok(Some(frame)) if number(frame.message) == 1));
    assert!(inbox.next().is_err());
}

#[test]
fn a_look_says_what_there_is() {
    let stream = FakeStream::default();
    stream.pause();
    let mut inbox = Inbox::default();
    assert_eq!(inbox.fill(&stream, Blocking::No).expect("no error"), Filled::Nothing);
    stream.coming.borrow_mut().clear();
    // A peer that is gone, and one that went with bytes unread.
    assert_eq!(inbox.fill(&stream, Blocking::No).expect("no error"), Filled::End);
    stream.coming.borrow_mut().push_back(Incoming::Error(io::ErrorKind::ConnectionReset));
    assert_eq!(inbox.fill(&stream, Blocking::No).expect("no error"), Filled::End);
    stream.coming.borrow_mut().push_back(Incoming::Error(io::ErrorKind::InvalidInput));
    assert!(inbox.fill(&stream, Blocking::No).is_err());
}

#[test]
fn a_frame_that_is_cut_by_the_end_is_none() {
    let bytes = frame(1, &[1; 50]);
    for cut in 0..bytes.len() {
        assert!(read(&mut Inbox::default(), &FakeStream::giving(&bytes[..cut], 10)).is_empty());
    }
}

#[test]
fn parts_go_out_in_order_whatever_the_stream_takes() {
    let pieces = || (0..30_u8).map(|n| vec![n; usize::from(n % 7) * 11]);
    let expected: Vec<u8> = pieces().flatten().collect();
    for takes in [1, 2, 10, 11, 12, 33, 1000] {
        let stream = FakeStream::default();
        // Full every third time.
        let pattern = (0..10_000).map(|n| if n % 3 == 2 { 0 } else { takes });
        stream.takes.borrow_mut().extend(pattern);
        let mut outbox = Outbox::default();
        for (n, part) in pieces().enumerate() {
            outbox.push(if n % 2 == 0 {
                Piece::Owned(part)
            } else {
                Piece::Shared(Arc::new(PooledBuffer::of(part)))
            });
        }
        let mut tries = 0;
        while !outbox.flush(&stream).expect("no error") {
            assert!(!outbox.is_empty());
            tries += 1;
            assert!(tries < 10_000, "it makes no progress");
        }
        assert!(outbox.is_empty());
        assert_eq!(*stream.sent.borrow(), expected, "{takes} at a time");
    }
}

#[test]
fn what_is_cleared_is_not_sent() {
    let stream = FakeStream::default();
    stream.takes.borrow_mut().extend([3, 0]);
    let mut outbox = Outbox::default();
    outbox.push(Piece::Owned(b"gone for good".to_vec()));
    assert!(!outbox.flush(&stream).expect("no error"));
    outbox.clear();
    outbox.push(Piece::Owned(b"fresh".to_vec()));
    assert!(outbox.flush(&stream).expect("no error"));
    assert_eq!(*stream.sent.borrow(), b"gonfresh");
}

#[test]
fn send_all_sends_all() {
    let stream = FakeStream::default();
    stream.takes.borrow_mut().extend([1; 5]);
    send_all(&stream, b"every byte of it").expect("no error");
    assert_eq!(*stream.sent.borrow(), b"every byte of it");
}
