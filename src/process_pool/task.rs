//! [`EncodedTask`]: a task, encoded, as the pool keeps it until its future is resolved.

use super::buffer::PooledBuffer;
use super::frames::Piece;
use super::message::{Head, Kind, put_length};
use super::worker::{PARCEL_AT, RING_WHEN_BEGUN};
use crate::error::TaskError;
use crate::future::cell::{Entry, Kept};
use crate::future::publish::publish_here;
use crate::future::state::Phase;
use crate::id::FutureId;
use crate::remote::parcel::Header;
use crate::sync::thread;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of one batch, together: a frame is copied at most so much.
pub(super) const BATCH_BYTES: usize = 64 << 10;

pub(super) struct EncodedTask {
    pub(super) entry: Unresolved,
    wire: Wire,
    /// How often it may be run again after a death.
    retries: u32,
    /// Whether its time is limited.
    pub(super) is_limited: bool,
}

/// A task's entry, as long as the pool owes it an end. Where it is dropped before that (a thread of the pool's panics with
/// it in hand, the pool goes with it in its queue) the future fails: it never waits for a result that nobody will give.
pub(super) struct Unresolved {
    entry: Option<Entry>,
    /// It was cancelled by the pool, which is to make that known. Where a future's `cancel` has come first, that does.
    is_to_cancel: Cell<bool>,
}

impl Unresolved {
    fn new(entry: Entry) -> Self {
        Unresolved { entry: Some(entry), is_to_cancel: Cell::new(false) }
    }

    /// The task has its end, or somebody else gives it one.
    pub(super) fn release(mut self) -> Entry {
        self.entry.take().expect("taken by value only")
    }
}

impl Deref for Unresolved {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry.as_ref().expect("taken by value only")
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let word = &entry.header().word;
        // Of a task that is queued, a cancel may take possession at this moment; of the others nobody but this.
        let (from, to) = match word.load().phase() {
            Phase::Dispatched => (Phase::Dispatched, Phase::Failed),
            Phase::Cancelling if self.is_to_cancel.get() => (Phase::Cancelling, Phase::Cancelled),
            Phase::Queued if word.claim().is_some() => (Phase::Running, Phase::Failed),
            _ => return,
        };
        let resolve = move |entry: &Entry| {
            entry.fill(if to == Phase::Cancelled { TaskError::Cancelled } else { TaskError::Abandoned });
            publish_here(&**entry, from, to);
        };
        if !std::thread::panicking() {
            return resolve(&entry);
        }
        // The thread that panics may hold the dispatcher's lock, which what hangs on the future may want.
        let elsewhere = entry.clone();
        if thread::Builder::new().spawn(move || resolve(&elsewhere)).is_err() {
            resolve(&entry);
        }
    }
}

/// The task as it stands in a batch, made at submit: a driver that ships holds up every submitter. Small ones are copied into
/// frames, large arguments are sent from where they are.
enum Wire {
    Small(Box<[u8]>),
    Large(Box<[u8]>, Arc<PooledBuffer>),
}

impl EncodedTask {
    /// Encodes a task; its work is dropped.
    pub(super) fn new(entry: Entry) -> Result<Self, (Entry, TaskError)> {
        thread_local! {
            /// Arguments are encoded here first, so that each then takes just the bytes it needs.
            static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        // `Serialize` may submit tasks itself: then the inner one finds the scratch gone and makes its own. So does a
        // submit in the destructor of another thread-local, when this one is gone for good.
        let mut bytes = SCRATCH.try_with(RefCell::take).unwrap_or_default();
        let put_back = |bytes| {
            let _ = SCRATCH.try_with(|scratch| scratch.replace(bytes));
        };
        bytes.clear();
        if bytes.capacity() == 0 {
            // The last one was large, so perhaps this one is as well.
            bytes = PooledBuffer::spare();
        }
        let route = match entry.encode(Kept::Nothing, &mut bytes) {
            Ok(route) => route,
            Err(error) => return Err((entry, error)),
        };
        let options = entry.options();
        let (retries, is_limited) = (options.get_retries(), options.get_timeout().is_some());
        let header = Header::new(entry.header().id, 1, route);
        let wire = if bytes.len() < BATCH_BYTES {
            let wire = Wire::Small(framed(&header, is_limited, bytes.len(), &bytes));
            if bytes.capacity() <= 2 * BATCH_BYTES {
                put_back(bytes);
            } else {
                put_back(Vec::with_capacity(64));
                PooledBuffer::keep(bytes);
            }
            wire
        } else {
            // Queued ones are not to hold room that they don't use.
            if bytes.len() < bytes.capacity() / 2 {
                bytes.shrink_to_fit();
            }
            Wire::Large(framed(&header, is_limited, bytes.len(), &[]), Arc::new(PooledBuffer::of(bytes)))
        };
        Ok(EncodedTask { entry: Unresolved::new(entry), wire, retries, is_limited })
    }

    /// It is about to be resolved: its argument goes first, so that who is waiting for that finds a large one's memory
    /// free for the next.
    pub(super) fn into_unresolved(self) -> Unresolved {
        self.entry
    }

    pub(super) fn id(&self) -> FutureId {
        self.entry.header().id
    }

    pub(super) fn time_limit(&self) -> Option<Duration> {
        self.entry.options().get_timeout()
    }

    /// Takes one of its retries, if it has one left.
    pub(super) fn try_again(&mut self) -> bool {
        let again = self.retries > 0;
        if again {
            self.retries -= 1;
            let (Wire::Small(bytes) | Wire::Large(bytes, _)) = &mut self.wire;
            Header::try_again(&mut bytes[PARCEL_AT..]);
        }
        again
    }

    // Its phase, as it moves from place to place: only by whoever holds the dispatcher.

    pub(super) fn is_queued(&self) -> bool {
        self.entry.header().word.load().phase() == Phase::Queued
    }

    /// From the queue to a lane. False of one that was cancelled.
    pub(super) fn dispatch(&self) -> bool {
        self.entry.header().word.dispatch()
    }

    /// From a lane back to the queue.
    pub(super) fn recall(&self) {
        self.entry.header().word.recall();
    }

    /// From a lane to its end, which the pool publishes.
    pub(super) fn cancel_dispatched(&self) {
        self.entry.header().word.cancel_dispatched();
        self.entry.is_to_cancel.set(true);
    }

    /// From the queue to its end, which the caller publishes. False of one that was cancelled before.
    pub(super) fn begin_cancel(&self) -> bool {
        let begins = self.entry.header().word.begin_cancel().is_some();
        self.entry.is_to_cancel.set(begins);
        begins
    }

    /// Bytes that it takes in a frame.
    pub(super) fn size(&self) -> usize {
        match &self.wire {
            Wire::Small(bytes) => bytes.len(),
            Wire::Large(head, argument) => head.len() + argument.bytes().len(),
        }
    }
}

/// A task's part of a batch, or the beginning of it, before `argument` bytes of which `small` are here.
fn framed(header: &Header, is_limited: bool, argument: usize, small: &[u8]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(PARCEL_AT + Header::LEN + small.len());
    put_length(&mut bytes, 1 + Header::LEN + argument);
    bytes.push(if is_limited { RING_WHEN_BEGUN } else { 0 });
    header.write(argument, &mut bytes);
    bytes.extend_from_slice(small);
    bytes.into_boxed_slice()
}

/// The frame of a batch.
pub(super) fn frame(number: u32, tasks: &[EncodedTask]) -> Vec<Piece> {
    let size = tasks.iter().map(EncodedTask::size).sum();
    let head = Head::new(Kind::Batch, number, tasks.len() as u32, size);
    let mut pieces = Vec::with_capacity(1);
    let mut bytes =
        Vec::with_capacity(super::message::HEAD + size.min(BATCH_BYTES + PARCEL_AT + Header::LEN));
    bytes.extend_from_slice(&head.to_bytes());
    for task in tasks {
        match &task.wire {
            Wire::Small(task) => bytes.extend_from_slice(task),
            Wire::Large(head, argument) => {
                bytes.extend_from_slice(head);
                pieces.push(Piece::Owned(std::mem::take(&mut bytes)));
                pieces.push(Piece::Shared(argument.clone()));
            }
        }
    }
    pieces.push(Piece::Owned(bytes));
    pieces
}
