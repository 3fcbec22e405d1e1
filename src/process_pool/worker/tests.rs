//! The worker's loop over a stream and a segment of the test's own.

use super::abort::{CUT, leave_last_words};
use super::main::{Held, SELF, ancestry, serve, short};
use crate::contain::Told;
use crate::error::TaskError;
use crate::executor::{Task, encode_call, encode_try_call};
use crate::future::TaskOptions;
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::shared::Layout;
use crate::process_pool::shared::last_words::LAST_WORDS;
use crate::process_pool::sys::Segment;
use crate::process_pool::tests::FakeStream;
use crate::process_pool::wire::batch;
use crate::process_pool::wire::frames::{Blocking, Filled, Inbox, Outbox};
use crate::process_pool::wire::message::{Message, PROTOCOL, Welcome};
use crate::remote::{outcome, parcel};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A parent: its segment, and what it sends.
struct Parent {
    segment: Arc<Segment>,
    stream: FakeStream,
    batches: u32,
}

impl Parent {
    fn new() -> Self {
        Parent {
            segment: Arc::new(Segment::create().expect("a segment").0),
            stream: FakeStream::default(),
            batches: 0,
        }
    }

    /// Ships a batch of calls, in pieces of `size` bytes.
    fn ship(&mut self, f: fn(u64) -> u64, args: &[u64], options: &TaskOptions, size: usize) {
        let task = |arg: &u64| {
            let (task, future) = Task::new(f, *arg);
            future.detach();
            let entry = task.with_options(options.clone()).into_entry();
            EncodedTask::new(entry, None).map_err(|(_, error)| error).expect("can be encoded")
        };
        let tasks: Vec<EncodedTask> = args.iter().map(task).collect();
        self.segment.claim(self.batches).open(tasks.len() as u32);
        let wire = FakeStream::default();
        let mut outbox = Outbox::default();
        let frame = batch::frame(self.batches, tasks.iter().map(EncodedTask::shipped));
        frame.into_iter().for_each(|piece| outbox.push(piece));
        assert!(outbox.flush(&wire).expect("it takes all"));
        self.stream.give(&wire.sent.borrow(), size);
        self.batches += 1;
    }

    fn serve(&self) -> std::io::Result<()> {
        serve(&self.stream, &mut Held::default(), &self.segment, &Welcome::default())
    }

    /// What the worker sent through the socket, and then its small replies.
    fn received(&self) -> Vec<(Message, Vec<u8>)> {
        let mut received = frames(&self.stream.sent.borrow());
        while let Some(next) = self.segment.ring.next().expect("a worker writes well") {
            let mut reply = Vec::new();
            self.segment.ring.take(next, &mut reply);
            received.push((Message::Reply { batch: next.batch, index: next.index }, reply));
        }
        received
    }
}

fn frames(bytes: &[u8]) -> Vec<(Message, Vec<u8>)> {
    let (mut inbox, stream) = (Inbox::default(), FakeStream::giving(bytes, 1 << 20));
    let mut frames = Vec::new();
    loop {
        let filled = inbox.fill(&stream, Blocking::Yes).expect("no error");
        while let Some(frame) = inbox.next().expect("valid frames") {
            frames.push((frame.message, inbox.body(frame.body).to_vec()));
        }
        if filled == Filled::End {
            return frames;
        }
    }
}

fn value(reply: &[u8]) -> Result<u64, TaskError> {
    outcome::read(reply)
}

fn square(n: u64) -> u64 {
    n * n
}

#[test]
fn each_task_is_answered_in_its_turn() {
    for size in [1, 10, 1 << 20] {
        let mut parent = Parent::new();
        parent.ship(square, &[2, 3, 4], &TaskOptions::new(), size);
        parent.ship(square, &[5], &TaskOptions::new(), size);
        parent.serve().expect("the stream ended well");
        let received = parent.received();
        let order: Vec<_> = received.iter().map(|(message, _)| *message).collect();
        let reply = |batch, index| Message::Reply { batch, index };
        assert_eq!(order, [reply(0, 0), reply(0, 1), reply(0, 2), reply(1, 0)]);
        let values: Vec<_> = received.iter().map(|(_, body)| value(body).expect("a square")).collect();
        assert_eq!(values, [4, 9, 16, 25]);
        assert_eq!(parent.segment.over(), 2);
    }
}

#[test]
fn what_was_recalled_is_not_begun_and_the_parent_hears_of_it() {
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    fn note(n: u64) -> u64 {
        BEGUN.fetch_add(n, Ordering::Relaxed);
        n
    }
    let mut parent = Parent::new();
    parent.ship(note, &[1, 10, 100], &TaskOptions::new(), 1 << 20);
    parent.ship(note, &[1000], &TaskOptions::new(), 1 << 20);
    // Before the worker gets to them: two of the first batch, and all of the second.
    parent.segment.claim(0).lower(1);
    parent.segment.claim(1).lower(0);
    let segment = parent.segment.clone();
    parent.stream.pause();
    parent.stream.then(move |sent| {
        // Asleep now: the parent knows that the second frame was passed, by a doorbell because there was no reply.
        let messages: Vec<_> = frames(sent).iter().map(|(message, _)| *message).collect();
        assert_eq!(messages, [Message::Doorbell]);
        assert_eq!(segment.over(), 2);
    });
    parent.serve().expect("the stream ended well");
    assert_eq!(BEGUN.load(Ordering::Relaxed), 1);
}

#[test]
fn a_recall_while_a_task_runs_leaves_it_and_nothing_else() {
    static PAGE: std::sync::OnceLock<Arc<Segment>> = std::sync::OnceLock::new();
    fn recalls_the_others(n: u64) -> u64 {
        // The parent's hand, at the worst moment.
        let segment: &Layout = PAGE.get().expect("set");
        assert_eq!(segment.claim(0).lower(0).limit, 1);
        n
    }
    let mut parent = Parent::new();
    let _ = PAGE.set(parent.segment.clone());
    parent.ship(recalls_the_others, &[1, 2, 3], &TaskOptions::new(), 1 << 20);
    parent.serve().expect("the stream ended well");
    assert_eq!(parent.received().len(), 1);
    assert_eq!(parent.segment.over(), 1);
}

#[test]
fn a_limited_task_rings_when_it_begins() {
    let mut parent = Parent::new();
    let limited = TaskOptions::new().timeout(Duration::from_secs(5));
    parent.ship(square, &[1, 2], &limited, 1 << 20);
    parent.serve().expect("the stream ended well");
    let messages: Vec<_> = parent.received().iter().map(|(message, _)| *message).collect();
    assert_eq!(messages[..2], [Message::Doorbell, Message::Doorbell]);
    assert!(
        messages.len() == 4 && messages[2..].iter().all(|message| matches!(message, Message::Reply { .. }))
    );
}

#[test]
fn a_panic_is_a_reply_and_the_next_task_runs() {
    fn explode(n: u64) -> u64 {
        assert!(n != 1, "number {n}");
        n
    }
    let mut parent = Parent::new();
    parent.ship(explode, &[1, 2], &TaskOptions::new(), 1 << 20);
    parent.serve().expect("the stream ended well");
    let received = parent.received();
    let Err(TaskError::Panicked(panic)) = value(&received[0].1) else { panic!("it panicked") };
    assert!(panic.message().contains("number 1") && panic.location().is_some());
    assert_eq!(value(&received[1].1).expect("it went on"), 2);
}

#[test]
fn the_initializer_runs_first_and_its_outcome_is_told() {
    static LOADED: AtomicU64 = AtomicU64::new(0);
    fn load(n: u64) {
        LOADED.store(n, Ordering::Relaxed);
    }
    fn refuse(why: String) -> Result<(), String> {
        Err(why)
    }
    fn loaded(_: u64) -> u64 {
        LOADED.load(Ordering::Relaxed)
    }
    let mut parent = Parent::new();
    parent.ship(loaded, &[0], &TaskOptions::new(), 1 << 20);
    let initializer = encode_call(load, 7).expect("can be encoded").into_bytes();
    let welcome = Welcome { initializer: initializer.clone(), ..Welcome::default() };
    serve(&parent.stream, &mut Held::default(), &parent.segment, &welcome).expect("the stream ended well");
    let received = parent.received();
    assert_eq!((received[0].0, received[1].0), (Message::Ready, Message::Reply { batch: 0, index: 0 }));
    let id = parcel::Header::read(&initializer).expect("a parcel").0.id;
    let ready = outcome::open(&received[0].1, parcel::nonce(), id)
        .map_err(TaskError::Codec)
        .and_then(outcome::read::<()>);
    assert!(ready.is_ok());
    assert_eq!(value(&received[1].1).expect("it ran"), 7);

    let parent = Parent::new();
    let initializer = encode_try_call(refuse, "no licence".to_owned()).expect("can be encoded").into_bytes();
    let id = parcel::Header::read(&initializer).expect("a parcel").0.id;
    let welcome = Welcome { initializer, ..Welcome::default() };
    serve(&parent.stream, &mut Held::default(), &parent.segment, &welcome).expect("the stream ended well");
    let received = parent.received();
    let ready = outcome::open(&received[0].1, parcel::nonce(), id)
        .map_err(TaskError::Codec)
        .and_then(outcome::read::<()>);
    let Err(TaskError::Failed(failed)) = ready else { panic!("it failed") };
    assert_eq!(failed.to_string(), "no licence");
}

#[test]
fn what_no_parent_sends_ends_it() {
    // Frames that come the other way; a batch with more tasks than bytes; no frame at all.
    for message in [
        Message::Hello { protocol: PROTOCOL },
        Message::Welcome,
        Message::Ready,
        Message::Reply { batch: 0, index: 0 },
        Message::Doorbell,
    ] {
        let parent = Parent::new();
        parent.stream.give(&message.frame(&[]), 100);
        assert!(parent.serve().is_err(), "{message:?}");
    }
    let parent = Parent::new();
    parent.segment.claim(0).open(3);
    parent.stream.give(&Message::Batch { number: 0, tasks: 3 }.frame(&[]), 100);
    assert!(parent.serve().is_err());
    assert!(parent.received().is_empty());
    let parent = Parent::new();
    parent.stream.give(&[200; 100], 100);
    assert!(parent.serve().is_err());
    // A segment that allows more than the batch has.
    let mut parent = Parent::new();
    parent.ship(square, &[1], &TaskOptions::new(), 1 << 20);
    parent.segment.claim(0).open(2);
    assert!(parent.serve().is_err());
}

#[test]
fn names_are_shortened_in_their_middle() {
    assert_eq!(short("fetch_2"), "fetch_2");
    assert_eq!(short("a-rather-long-name_12"), "a-rather-lon_12");
    assert_eq!(short("ääääääääääää_3"), "ääääää_3");
    assert_eq!(short("no-number-but-long"), "no-number-but-_");
    assert!(SELF.get().is_none() && ancestry().is_empty(), "this process is no worker");
}

#[test]
fn last_words_that_are_too_long_keep_the_place_and_the_beginning() {
    for (letters, backtrace) in [(10, 50_000), (20_000, 0), (20_001, 50_000), (1_000_000, 10)] {
        let segment = Segment::create().expect("a segment").0;
        // Two bytes each, behind an odd number of others: some cuts would be in the middle of one.
        let message = format!("left == right: {}", "é".repeat(letters));
        let location = Some("src/tasks.rs:7:9".to_owned());
        let backtrace = Some("0: begin\n".repeat(backtrace / 9));
        leave_last_words(&segment, &Told { message: &message, location, backtrace });
        let words = segment.last_words.read().expect("some are left");
        assert!(words.len() <= LAST_WORDS);
        let Err(TaskError::Panicked(panic)) = outcome::read::<()>(&words) else { panic!("it is readable") };
        assert_eq!(panic.location(), Some("src/tasks.rs:7:9"));
        let said = panic.message();
        let kept = said.strip_suffix(CUT).unwrap_or(said);
        assert!(message.starts_with(kept) && (kept.len() == message.len() || kept.len() > LAST_WORDS - 300));
    }
}
